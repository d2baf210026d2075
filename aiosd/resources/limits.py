"""What no machine, or not this one, can ever grant, and how that is said."""

from aiosd.errors import InvalidArgument, NeverFits
from aiosd.resources.inventory import Inventory
from aiosd.resources.kinds import is_model
from aiosd.resources.processors import WHOLE
from aiosd.resources.request import DeviceRequest, Request
from aiosd.resources.shortage import CPU, DISK, MEMORY, WHOLE_MACHINE, Shortage
from aiosd.units import format_millis

LARGEST = 1 << 62  # beyond it sums of a few requests would not fit the 64 bits of the database and the wire

_NAMES = {CPU: "processors", MEMORY: "of memory", DISK: "of disk"}


def check_amount(name: str, amount: int, least: int = 0) -> None:
    """Raises InvalidArgument when `amount` is below `least` or beyond what can be stored."""
    if amount < least:
        raise InvalidArgument(f"{name} must be at least {least}, not {amount}", resource=name, asked=amount)
    if amount > LARGEST:
        raise InvalidArgument(f"{name} must be at most {LARGEST}, not {amount}", resource=name, asked=amount)


def check_sane(request: Request) -> None:
    """Raises InvalidArgument for amounts that mean nothing on any machine."""
    check_amount("cpu_millis", request.cpu_millis, least=1)
    check_amount("memory_bytes", request.memory_bytes)
    check_amount("disk_bytes", request.disk_bytes)
    for wish in request.devices:
        check_device(wish)


def check_device(wish: DeviceRequest) -> None:
    """Raises InvalidArgument for a device without a kind, of no size, or of one and a half."""
    if not wish.kind:
        raise InvalidArgument("a device needs a kind", hint='write it as "gpu", "gpu:a100" or "fpga"', resource="device")
    check_amount(f"millis of {wish.kind}", wish.millis, least=1)
    check_amount(f"memory of {wish.kind}", wish.memory_bytes)
    if wish.millis > WHOLE and wish.millis % WHOLE:
        raise InvalidArgument(
            f"{format_millis(wish.millis)} of {wish.kind} is neither a part of one nor a whole number",
            hint=f"ask for a part below 1 (0.5), or for a whole number ({wish.millis // WHOLE} or {wish.millis // WHOLE + 1})",
            resource=wish.kind,
            asked=format_millis(wish.millis),
        )


def never_fits(short: Shortage, inventory: Inventory) -> NeverFits:
    """The refusal of a request that even the idle machine cannot run, for the resource that is short."""
    message, hint = _words(short, inventory)
    return NeverFits(message, hint=hint, resource=short.resource, asked=short.asked_text, machine_has=short.total_text)


def _words(short: Shortage, inventory: Inventory) -> tuple[str, str]:
    if short.resource in _NAMES:
        name = _NAMES[short.resource]
        return f"asked for {short.asked_text} {name}; this machine has {short.total_text}", f"ask for at most {short.total_text}"
    if short.resource == WHOLE_MACHINE:
        return "this machine cannot be had as a whole", ""
    name = short.resource.removesuffix(" memory")
    kind, _, model = name.partition(":")
    if name != short.resource:
        message = f"asked for {short.asked_text} of the memory of one {kind}; the largest of this machine has {short.total_text}"
        return message, f"ask for at most {short.total_text} of each"
    return _device_words(short, kind, model, inventory)


def _device_words(short: Shortage, kind: str, model: str, inventory: Inventory) -> tuple[str, str]:
    of_kind = [device for device in inventory.devices if device.kind == kind]
    if not of_kind:
        kinds = sorted({device.kind for device in inventory.devices})
        hint = f"kinds of devices it has: {', '.join(kinds)}" if kinds else "it has no devices; they are declared in the configuration, [[resources.device]]"
        return f"asked for {short.asked_text} {kind}; this machine has no {kind}", hint
    of_model = [device for device in of_kind if is_model(model, device.model)]
    if not of_model:
        models = sorted({device.model for device in of_kind if device.model})
        hint = f"models of {kind} it has: {', '.join(models)}" if models else f"the models of its {kind} devices are not known"
        return f"asked for {short.asked_text} {short.resource}; this machine has none of that model", hint
    if short.asked <= short.total:
        return f"the {kind} devices asked for cannot be had together on this machine", "ask for fewer, or name no model"
    ill = [f"{device.id} is ill: {device.health}" for device in of_model if not device.promised]
    most = [f"ask for at most {short.total_text}"] if short.total else []
    well = f"{short.total_text} that {'is' if short.total == WHOLE else 'are'} well" if ill else short.total_text
    return f"asked for {short.asked_text} {short.resource}; this machine has {well}", "; ".join(most + ill)
