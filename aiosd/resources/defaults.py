"""From what a caller wrote down to a complete request: checked, every default filled in, equal wishes made equal."""

from collections import Counter
from collections.abc import Iterable

from aiosd.resources.inventory import Inventory
from aiosd.resources.limits import check_amount, check_device
from aiosd.resources.processors import WHOLE
from aiosd.resources.request import DeviceRequest, Request


def complete_request(
    *,
    cpu_millis: int,
    memory_bytes: int,
    devices: Iterable[DeviceRequest],
    disk_bytes: int,
    exclusive: bool,
    inventory: Inventory,
    default_cpu_millis: int,
) -> Request:
    """The request of one run; 0 processors are the default, 0 memory is a share in proportion to the processors.

    Raises InvalidArgument for amounts below 0, beyond what can be stored, or of one device and a half. Whether the machine
    can ever grant it is asked of `Pool.check_ever_fits`.
    """
    check_amount("cpu_millis", cpu_millis)
    check_amount("memory_bytes", memory_bytes)
    check_amount("disk_bytes", disk_bytes)
    cpu_millis = cpu_millis or default_cpu_millis
    return Request(
        cpu_millis=cpu_millis,
        memory_bytes=memory_bytes or memory_share(cpu_millis, inventory),
        devices=normalise(devices),
        disk_bytes=disk_bytes,
        exclusive=exclusive,
    )


def memory_share(cpu_millis: int, inventory: Inventory) -> int:
    """Bytes of memory in proportion to processors; never more than jobs may have."""
    if cpu_millis >= inventory.cpu_millis:
        return inventory.memory_bytes
    return inventory.memory_bytes * cpu_millis // inventory.cpu_millis


def normalise(devices: Iterable[DeviceRequest]) -> tuple[DeviceRequest, ...]:
    """The same wishes, spelt the one way: sorted, names in lower case, whole devices of one description added up.

    Parts stay apart: two halves may be of two devices, which is not what one whole is.
    """
    wholes: Counter[DeviceRequest] = Counter()
    parts: list[DeviceRequest] = []
    for wish in devices:
        check_device(wish)
        plain = DeviceRequest(wish.kind.strip().lower(), WHOLE, wish.model.strip().lower(), wish.memory_bytes)
        if wish.millis < WHOLE:
            parts.append(DeviceRequest(plain.kind, wish.millis, plain.model, plain.memory_bytes))
        else:
            wholes[plain] += wish.millis
    summed = [DeviceRequest(wish.kind, millis, wish.model, wish.memory_bytes) for wish, millis in wholes.items()]
    for wish in summed:
        check_device(wish)  # a sum of allowed numbers may be none
    return tuple(sorted((*summed, *parts), key=lambda wish: (wish.kind, wish.model, -wish.millis, -wish.memory_bytes)))
