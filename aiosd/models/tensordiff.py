"""What has become of each tensor from one version to the next, and how far those that moved have moved."""

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from aiosd.models.diff import TensorChange, TensorDiff
from aiosd.models.formats.directory import FileReport, stem_of
from aiosd.models.formats.dtypes import BLOCKS
from aiosd.models.reading import StoredTensor, clean

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BLOCK_BYTES = 4 << 20  # of each side that are looked at at once
_PLAIN = ("bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float16", "float32", "float64")
_QUANTISED = ("q4_0", "q4_1", "q8_0")
_PARTS = {"complex64": "float32", "complex128": "float64"}  # two of these make one
# Of eight bits: how many are the exponent's, what is taken from it, and whether there are infinities or "fnuz" rules.
_SMALL = {"float8_e4m3fn": (4, 7, "fn"), "float8_e5m2": (5, 15, "ieee"), "float8_e4m3fnuz": (4, 8, "fnuz"), "float8_e5m2fnuz": (5, 16, "fnuz")}

Read = Callable[[StoredTensor, int, int], bytes]  # of a tensor, from an offset in it, how many bytes


def compare(before: Mapping[str, FileReport], after: Mapping[str, FileReport], read_before: Read, read_after: Read) -> TensorDiff:
    """Tensors of the same name are compared byte by byte, in bounded memory: in the order of the new version, what is gone behind.

    before, after  the files of each version by path, as they were inspected; the tensors' `file` is that path then
    raises         what the readers raise
    """
    old, new = _by_key(before), _by_key(after)
    changes, unchanged = [], 0
    for key, tensor in new.items():
        change = _compare(old[key], tensor, read_before, read_after) if key in old else TensorChange(clean(tensor.name), "added", after=_kind(tensor))
        unchanged += change is None
        changes += [_in_file(change, tensor)] if change else []
    gone = [(tensor, TensorChange(clean(tensor.name), "removed", before=_kind(tensor))) for key, tensor in old.items() if key not in new]
    return TensorDiff([*changes, *(_in_file(change, tensor) for tensor, change in gone)], unchanged)


def _by_key(files: Mapping[str, FileReport]) -> dict[tuple[str, str], StoredTensor]:
    """Names are unique in a model, which may be in several files; where there are several models, within each."""
    stems = {stem_of(path) for path, report in files.items() if report.tensors}
    found: dict[tuple[str, str], StoredTensor] = {}
    for path, report in files.items():
        for tensor in report.tensors:
            place = _beside(path, tensor.file) if tensor.file else path
            found.setdefault((stem_of(path) if len(stems) > 1 else "", tensor.name), _placed(tensor, place))
    return found


def _beside(path: str, file: str) -> str:
    return path.removesuffix(path.rpartition("/")[2]) + file


def _placed(tensor: StoredTensor, place: str) -> StoredTensor:
    return StoredTensor(tensor.name, tensor.dtype, tensor.shape, tensor.offset, tensor.size, place, tensor.stride)


def _in_file(change: TensorChange, tensor: StoredTensor) -> TensorChange:
    return TensorChange(change.name, change.change, change.before, change.after, change.relative_norm, change.note, tensor.file)


def _kind(tensor: StoredTensor) -> str:
    return f"{tensor.dtype} {list(tensor.shape)}"


def _compare(old: StoredTensor, new: StoredTensor, read_old: Read, read_new: Read) -> TensorChange | None:
    """None: it is unchanged."""
    name, before, after = clean(new.name), _kind(old), _kind(new)
    if old.dtype != new.dtype or old.shape != new.shape:
        return TensorChange(name, "dtype" if old.dtype != new.dtype else "shape", before, after)
    if old.size < 0 or new.size < 0:
        return TensorChange(name, "unknown", before, after, note="its bytes do not lie in one place")
    if old.size == new.size and old.stride == new.stride and _is_equal(old, new, read_old, read_new):
        return None
    if old.size != new.size or old.stride != new.stride:
        return TensorChange(name, "changed", before, after, note="it is stored in another order, in which it is not compared")
    norm, note = _relative_norm(old, new, read_old, read_new)
    return TensorChange(name, "changed", before, after, norm, note)


def _blocks(size: int, unit: int = 1) -> Iterator[tuple[int, int]]:
    step = max(unit, BLOCK_BYTES - BLOCK_BYTES % unit)
    for at in range(0, size, step):
        yield at, min(step, size - at)


def _is_equal(old: StoredTensor, new: StoredTensor, read_old: Read, read_new: Read) -> bool:
    return all(read_old(old, at, count) == read_new(new, at, count) for at, count in _blocks(old.size))


def _relative_norm(old: StoredTensor, new: StoredTensor, read_old: Read, read_new: Read) -> tuple[float | None, str]:
    decode = _decoder(old.dtype)
    if decode is None:
        return None, f"no norm: elements of {old.dtype} are not decoded here"
    import numpy as np

    moved = length = 0.0
    with np.errstate(all="ignore"):
        for at, count in _blocks(old.size, BLOCKS.get(old.dtype, (1, 1))[1]):
            a, b = decode(read_old(old, at, count)), decode(read_new(new, at, count))
            length += float(np.dot(a, a))
            np.subtract(a, b, out=a)
            moved += float(np.dot(a, a))
    if not (np.isfinite(moved) and np.isfinite(length)):
        return None, "no norm: it has elements that are not finite, or very large"
    if not length:
        return None, "no norm: it was all zero"
    return float(np.sqrt(moved / length)), ""


def _decoder(dtype: str) -> "Callable[[bytes], NDArray[np.float64]] | None":
    """Makes numbers of little-endian bytes; None: not of these."""
    import numpy as np

    if dtype in _PLAIN or dtype in _PARTS:
        plain = np.dtype(_PARTS.get(dtype, dtype)).newbyteorder("<")
        return lambda data: np.frombuffer(data, plain).astype(np.float64)
    if dtype == "bfloat16":
        return lambda data: (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    if dtype in _SMALL:
        table = np.array([_small(code, *_SMALL[dtype]) for code in range(256)])
        return lambda data: table[np.frombuffer(data, np.uint8)]
    if dtype in _QUANTISED:
        return lambda data: _dequantised(dtype, np.frombuffer(data, np.uint8).reshape(-1, BLOCKS[dtype][1]))
    return None


def _dequantised(dtype: str, blocks: "NDArray[np.uint8]") -> "NDArray[np.float64]":
    """Of each block: a scale and, of q4_1, a least value in float16, then 32 elements; in whatever order, which no norm asks for."""
    import numpy as np

    scale = np.ascontiguousarray(blocks[:, :2]).view("<f2").astype(np.float64)
    if dtype == "q8_0":
        return np.asarray(scale * np.ascontiguousarray(blocks[:, 2:]).view(np.int8)).ravel()
    codes = blocks[:, 2:] if dtype == "q4_0" else blocks[:, 4:]
    numbers = np.concatenate([codes & 15, codes >> 4], axis=1)
    least = -8 * scale if dtype == "q4_0" else np.ascontiguousarray(blocks[:, 2:4]).view("<f2").astype(np.float64)
    return np.asarray(scale * numbers + least).ravel()


def _small(code: int, exponent_bits: int, bias: int, rules: str) -> float:
    """The number that a byte is in one of the formats of OCP's "8-bit floating point" (2023), or their "fnuz" kin."""
    mantissa_bits = 7 - exponent_bits
    exponent, mantissa = (code & 0x7F) >> mantissa_bits, code & ((1 << mantissa_bits) - 1)
    if (rules == "fnuz" and code == 0x80) or (rules == "fn" and code & 0x7F == 0x7F):
        return float("nan")
    if rules == "ieee" and exponent == (1 << exponent_bits) - 1:
        return float("nan") if mantissa else float("-inf" if code & 0x80 else "inf")
    fraction = mantissa / (1 << mantissa_bits)
    value = (1 + fraction) * 2.0 ** (exponent - bias) if exponent else fraction * 2.0 ** (1 - bias)
    return -value if code & 0x80 else value
