"""safetensors: eight bytes of length, a JSON header, then the tensors one after the other."""

import json
from collections.abc import Sequence

from aiosd.models.formats.dtypes import bytes_of, parameters_of
from aiosd.models.reading import (
    Contents,
    Malformed,
    Region,
    StoredTensor,
    TooMuch,
    check_names,
    check_ranges,
    metadata_of,
    shown,
    text_of,
)
from aiosd.models.version import Schema

_DTYPES = {
    "BOOL": "bool", "U8": "uint8", "I8": "int8", "U16": "uint16", "I16": "int16", "U32": "uint32", "I32": "int32", "U64": "uint64", "I64": "int64",
    "F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float64", "C64": "complex64",
    "F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2", "F8_E4M3FNUZ": "float8_e4m3fnuz", "F8_E5M2FNUZ": "float8_e5m2fnuz",
    "F8_E8M0": "float8_e8m0fnu", "F6_E2M3": "float6_e2m3", "F6_E3M2": "float6_e3m2", "F4": "float4_e2m1",
}  # fmt: skip
_METADATA = "__metadata__"
_FRAMEWORKS = {"pt": "pytorch", "tf": "tensorflow", "flax": "flax", "np": "numpy", "mlx": "mlx"}


def matches(name: str, head: bytes) -> bool:
    return name.endswith(".safetensors") or (len(head) > 10 and head[8:10] == b'{"' and 2 <= int.from_bytes(head[:8], "little") < 100_000_000)


def read(region: Region) -> Contents:
    """Raises Malformed and TooMuch."""
    (length,) = region.unpack("<Q", 0)
    if length > region.size - 8:
        raise Malformed(f"its header claims {length} bytes, the file has {region.size}")
    if length > region.limits.header_bytes:
        raise TooMuch(f"its header has {length} bytes; {region.limits.header_bytes} are read")
    pairs = _pairs(region, text_of(region.read(8, length), "its header"))
    about = [value for name, value in pairs if name == _METADATA]
    tensors = [_tensor(name, value, 8 + length) for name, value in pairs if name != _METADATA]
    check_names(tensors)
    check_ranges(tensors, region.size)
    if 8 + length + sum(one.size for one in tensors) != region.size:
        raise Malformed(f"it has {region.size - 8 - length} bytes of tensors, its header accounts for {sum(one.size for one in tensors)}")
    return Contents(_schema(tensors, _about(about)), tensors)


def _schema(tensors: Sequence[StoredTensor], about: list[tuple[str, object]]) -> Schema:
    made_by = next((_FRAMEWORKS.get(str(value), "") for name, value in about if name == "format"), "")
    return Schema(format="safetensors", framework=made_by, parameters=parameters_of(tensors), tensors=len(tensors), metadata=metadata_of(about))


def _pairs(region: Region, text: str) -> list[tuple[str, object]]:
    """The top of the header with every name it has, also twice; JSON's objects as lists of pairs."""

    def counted(pairs: list[tuple[str, object]]) -> list[tuple[str, object]]:
        region.spend(len(pairs) + 1)
        return pairs

    try:
        decoded = json.loads(text, object_pairs_hook=counted)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"its header is no JSON: {error}") from None
    if not _are_pairs(decoded):
        raise Malformed("its header is no JSON object")
    return list(decoded)


def _are_pairs(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, tuple) for one in value)


def _tensor(name: str, value: object, base: int) -> StoredTensor:
    fields = dict(value) if isinstance(value, list) and _are_pairs(value) else {}
    dtype, shape, place = fields.get("dtype"), _numbers(fields.get("shape")), _numbers(fields.get("data_offsets"))
    if not isinstance(dtype, str) or shape is None or place is None or len(place) != 2 or place[0] > place[1]:
        raise Malformed(f"tensor {shown(name)} is described by {shown(str(value))}; it takes dtype, shape and two data_offsets")
    spelt = _DTYPES.get(dtype, dtype.lower()[:32])
    expected = bytes_of(spelt, shape, name)
    if expected not in (-1, place[1] - place[0]):
        raise Malformed(f"tensor {shown(name)} is {spelt} {list(shape)}, which takes {expected} bytes; it has {place[1] - place[0]}")
    return StoredTensor(name, spelt, shape, base + place[0], place[1] - place[0])


def _numbers(value: object) -> tuple[int, ...] | None:
    """A list of sizes; None: it is anything else, which `true` is, too."""
    if isinstance(value, list) and all(type(one) is int and 0 <= one < 1 << 63 for one in value):
        return tuple(value)
    return None


def _about(found: list[object]) -> list[tuple[str, object]]:
    if len(found) > 1 or any(not _are_pairs(one) for one in found):
        raise Malformed(f"{_METADATA} must be one object of texts")
    return [pair for one in found if isinstance(one, list) for pair in one if isinstance(pair[1], str)]
