"""The tensors in what a pickle of PyTorch would build: their names by the path to them, and their place in a storage."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from aiosd.models.formats.dtypes import BITS
from aiosd.models.pickles import Global, Made, Pairs, Persistent
from aiosd.models.reading import Malformed, Region, StoredTensor, TooMuch, clean, count_elements, shown

_STORAGES = {
    "FloatStorage": "float32", "DoubleStorage": "float64", "HalfStorage": "float16", "BFloat16Storage": "bfloat16", "LongStorage": "int64",
    "IntStorage": "int32", "ShortStorage": "int16", "CharStorage": "int8", "ByteStorage": "uint8", "BoolStorage": "bool", "UntypedStorage": "uint8",
    "ComplexFloatStorage": "complex64", "ComplexDoubleStorage": "complex128", "QInt8Storage": "int8", "QUInt8Storage": "uint8", "QInt32Storage": "int32",
}  # fmt: skip
_DTYPES = {"float": "float32", "double": "float64", "half": "float16", "long": "int64", "int": "int32", "short": "int16"}
_TENSOR = ("_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_tensor_v3", "_rebuild_qtensor")
_AROUND_TENSOR = ("_rebuild_parameter", "_rebuild_parameter_with_state")
_NAMELESS = {"_parameters", "_buffers", "_modules"}  # of a module: what is in them is called as if it were in the module
_LONGEST_NAME = 1000


@dataclass(frozen=True, slots=True)
class Storage:
    """A run of elements in a file; `offset` -1: it is not there as it is."""

    dtype: str
    elements: int
    offset: int


@dataclass(frozen=True, slots=True)
class Asked:
    """The storage that a tensor asks for. `view`: (first element, elements) of it that are meant."""

    dtype: str
    key: str
    elements: int
    view: tuple[int, int] | None = None


def asked(persistent: object) -> Asked:
    """What a persistent id asks for. Raises Malformed for what is no storage, TooMuch for a type that is not known."""
    match persistent:
        case ("storage", Global(name=kind), str(key), _, int(elements), *more) if 0 <= elements < 1 << 60:
            if kind not in _STORAGES:
                raise TooMuch(f"storages of type {shown(kind)} are not known here")
            view = next((part for part in more if isinstance(part, tuple)), None)
            match view:
                case (_, int(start), int(count)):
                    return Asked(_STORAGES[kind], key, elements, (start, count))
            return Asked(_STORAGES[kind], key, elements)
    raise Malformed("a tensor has no storage")


Find = Callable[[Asked], Storage]


def tensors(region: Region, root: object, find: Find) -> list[StoredTensor]:
    """In the order of the pickle, one that has two names twice. Raises Malformed for one that leaves its storage."""
    return [_tensor(region, name, made, find) for name, made in _named(region, root)]


def _named(region: Region, root: object) -> Iterator[tuple[str, Made]]:
    """Walks whatever holds tensors; each such thing once, since it may hold itself."""
    todo: list[tuple[str, object]] = [("", root)]
    seen: set[int] = set()
    while todo:
        name, value = todo.pop()
        region.spend()
        if isinstance(value, Made) and _kind(value) in _TENSOR:
            yield name, value
        elif isinstance(value, list | tuple | Pairs | Made) and id(value) not in seen:
            seen.add(id(value))
            todo += reversed(list(_parts(name, value)))


def _parts(name: str, value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, list | tuple):
        yield from ((_joined(name, index), part) for index, part in enumerate(value))
    elif isinstance(value, Pairs):
        yield from ((_joined(name, key), part) for key, part in value.pairs if isinstance(key, str | int))
    elif isinstance(value, Made) and _kind(value) in _AROUND_TENSOR:
        yield name, value.arg(0)
    elif isinstance(value, Made):
        yield from _parts(name, Pairs(value.pairs))
        yield from _parts(name, value.items)
        yield name, value.state


def _joined(name: str, key: object) -> str:
    if key in _NAMELESS:
        return name
    return clean(f"{name}.{key}" if name else str(key)) if len(name) < _LONGEST_NAME else name


def _kind(made: Made) -> str:
    callee = made.callee
    return callee.name if isinstance(callee, Global) and callee.module in ("torch._utils", "torch") else ""


def _tensor(region: Region, name: str, made: Made, find: Find) -> StoredTensor:
    persistent, start, shape, stride = made.arg(0), made.arg(1), _sizes(made.arg(2)), _sizes(made.arg(3))
    if not isinstance(persistent, Persistent) or not isinstance(start, int) or start < 0 or shape is None or stride is None or len(shape) != len(stride):
        raise Malformed(f"tensor {shown(name)} has no storage, offset, shape and stride")
    storage = find(asked(persistent.id))
    dtype, per_element = storage.dtype, BITS[storage.dtype] // 8
    available = storage.elements
    named = made.arg(6)
    if _kind(made) == "_rebuild_tensor_v3" and isinstance(named, Global):
        dtype = _DTYPES.get(named.name, named.name)
        available, per_element = available * per_element // (BITS.get(dtype, 8) // 8 or 1), BITS.get(dtype, 8) // 8 or 1
    elements = count_elements(shape, f"tensor {shown(name)}")
    last = start + sum((size - 1) * step for size, step in zip(shape, stride, strict=True)) if elements else start - 1
    if last >= available or min(stride, default=0) < 0:
        raise Malformed(f"tensor {shown(name)} reaches element {last} of a storage of {available}")
    if storage.offset < 0 or last - start + 1 != elements:  # packed, or with gaps between its elements
        return StoredTensor(name, dtype, shape, 0, -1)
    kept = () if _is_in_order(shape, stride) else stride
    return StoredTensor(name, dtype, shape, storage.offset + start * per_element, elements * per_element, stride=kept)


def _sizes(value: object) -> tuple[int, ...] | None:
    """A shape as a tuple of numbers, or as `torch.Size` of one."""
    if isinstance(value, Made) and value.made_by == "torch.Size":
        value = value.arg(0)
    if isinstance(value, tuple | list) and len(value) <= 64 and all(type(one) is int and abs(one) < 1 << 63 for one in value):
        return tuple(value)
    return None


def _is_in_order(shape: Sequence[int], stride: Sequence[int]) -> bool:
    expected = 1
    for size, step in zip(reversed(shape), reversed(stride), strict=True):
        if size > 1 and step != expected:
            return False
        expected *= max(size, 1)
    return True


def distinct(found: Sequence[StoredTensor]) -> list[StoredTensor]:
    """Without those that are in the same place as one before: weights that are shared count once."""
    return list({(one.offset, one.size) if one.size >= 0 else (-1, index): one for index, one in enumerate(found)}.values())
