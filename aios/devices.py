"""Devices as people ask for them: `2`, `0.5`, `a100:2`, `fpga=1`."""

from collections.abc import Iterable, Iterator, Mapping

from aios.errors import InvalidArgument
from aios.resources import DeviceRequest
from aios.units import parse_bytes, parse_millis

_GPUS = 'a number, a part of one, or MODEL:NUMBER, for example 2, 0.5 or "a100:2"'
_GRES = 'KIND=NUMBER or KIND:MODEL=NUMBER, separated by commas, for example "fpga=1" or "fpga=1,nic=2"'


def parse_gpus(given: str | float, *, memory: str | int | None = None, what: str = "gpus") -> DeviceRequest | None:
    """`2`, `0.5`, `"a100:2"`, `"a100"` (one of them); None for zero."""
    model, amount = "", given
    if isinstance(given, str):
        model, colon, count = given.strip().rpartition(":")
        if not (model.strip() if colon else count):
            raise InvalidArgument(f"{what} {given!r} names no {'model' if colon else 'number'}", hint=f"allowed: {_GPUS}")
        if not colon and not _is_number(count):
            model, count = count, "1"
        amount = count
    return _request("gpu", model.strip(), amount, memory, what)


def parse_devices(given: "str | float | Mapping[str, str | float] | Iterable[str]", *, what: str = "gres") -> tuple[DeviceRequest, ...]:
    """`{"fpga": 1}`, `"fpga=1,nic=2"`, `["fpga=1"]`, `"fpga:u250=1"`, also Slurm's `"gpu:a100:2"`; zero asks for none."""
    asked: dict[tuple[str, str], DeviceRequest] = {}
    for kind, amount in _pairs(given, what):
        kind, _, model = kind.strip().partition(":")
        if not kind or not kind.replace("-", "").replace("_", "").isalnum():
            raise InvalidArgument(f"{what} {given!r} has no valid kind of device", hint=f"allowed: {_GRES}")
        request = _request(kind, model.strip(), amount, None, f"{what} {kind}")
        if request is not None and asked.setdefault((kind, model), request) is not request:
            raise InvalidArgument(f"{what} {given!r} names {kind!r} twice", hint=f"allowed: {_GRES}")
    return tuple(asked.values())


def _pairs(given: "str | float | Mapping[str, str | float] | Iterable[str]", what: str) -> "Iterator[tuple[str, str | float]]":
    if isinstance(given, Mapping):
        yield from given.items()
    elif isinstance(given, str):
        for part in given.split(","):
            yield _pair(part.strip(), given, what)
    elif isinstance(given, Iterable):
        for text in given:
            yield from _pairs(text, what)
    else:
        raise InvalidArgument(f"{what} {given!r} names no kind of device", hint=f"allowed: {_GRES}")


def _pair(part: str, given: str, what: str) -> tuple[str, str]:
    kind, equals, amount = part.rpartition("=")
    if equals:
        return kind, amount
    kind, colon, amount = part.rpartition(":")  # Slurm: gpu:2, gpu:a100:2
    if colon and _is_number(amount):
        return kind, amount
    if not part:
        raise InvalidArgument(f"{what} {given!r} has an empty part", hint=f"allowed: {_GRES}")
    return part, "1"


def _request(kind: str, model: str, amount: str | float, memory: str | int | None, what: str) -> DeviceRequest | None:
    millis = parse_millis(amount, what=what, zero=True)
    memory_bytes = 0 if memory is None else parse_bytes(memory, what="gpu-memory")
    if millis == 0 and memory is None:
        return None
    if millis == 0 or (millis > 1000 and millis % 1000):
        raise InvalidArgument(f"{what} {amount!r} is neither whole devices nor a part of one", hint="ask for 1, 2, 3 … or for less than one, for example 0.5")
    return DeviceRequest(kind=kind, millis=millis, model=model, memory_bytes=memory_bytes)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
