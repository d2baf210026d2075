"""GGUF, of llama.cpp: metadata with types, descriptions of the tensors, then the tensors, each aligned."""

import struct
from collections.abc import Sequence

from aiosd.models.formats.dtypes import BLOCKS, bytes_of, parameters_of
from aiosd.models.reading import (
    Contents,
    Cursor,
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

MAGIC = b"GGUF"
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_DTYPES = {
    0: "float32", 1: "float16", 2: "q4_0", 3: "q4_1", 6: "q5_0", 7: "q5_1", 8: "q8_0", 9: "q8_1", 10: "q2_k", 11: "q3_k", 12: "q4_k", 13: "q5_k",
    14: "q6_k", 15: "q8_k", 16: "iq2_xxs", 17: "iq2_xs", 18: "iq3_xxs", 19: "iq1_s", 20: "iq4_nl", 21: "iq3_s", 22: "iq2_s", 23: "iq4_xs",
    24: "int8", 25: "int16", 26: "int32", 27: "int64", 28: "float64", 29: "iq1_m", 30: "bfloat16", 34: "tq1_0", 35: "tq2_0", 39: "mxfp4",
}  # fmt: skip
_MOST_DIMENSIONS = 8  # of ggml: 4
_LONGEST_KEY = 1 << 16
_DEFAULT_ALIGNMENT = 32


def matches(name: str, head: bytes) -> bool:
    return name.endswith(".gguf") or head.startswith(MAGIC)


def read(region: Region) -> Contents:
    """Raises Malformed and TooMuch."""
    if region.head(4) != MAGIC:
        raise Malformed("it does not begin with GGUF")
    reader = _Reader(region)
    tensor_count, key_count = reader.number("Q"), reader.number("Q")
    _refuse_absurd(region, tensor_count, 24, "tensors")
    _refuse_absurd(region, key_count, 13, "keys")
    about = [reader.pair() for _ in range(key_count)]
    described = [reader.description() for _ in range(tensor_count)]
    keys = dict(about)
    if len(keys) != len(about):
        raise Malformed("a key of its metadata is there twice")
    base = _aligned(reader.at, keys)
    tensors, unknown = _placed(described, base, region.size)
    return Contents(_schema(tensors, about, unknown), tensors)


def _schema(tensors: Sequence[StoredTensor], about: list[tuple[str, object]], unknown: int) -> Schema:
    notes = (f"{unknown} of its tensors have a type that is not known here",) if unknown else ()
    count = len(tensors) + unknown
    return Schema(format="gguf", framework="ggml", parameters=parameters_of(tensors), tensors=count, metadata=metadata_of(about), notes=notes)


def _refuse_absurd(region: Region, count: int, least_bytes: int, what: str) -> None:
    if count * least_bytes > region.size:
        raise Malformed(f"it claims {count} {what}; that takes {count * least_bytes} bytes at least, and the file has {region.size}")
    region.spend(count)


def _aligned(at: int, keys: dict[str, object]) -> int:
    alignment = keys.get("general.alignment", _DEFAULT_ALIGNMENT)
    if not isinstance(alignment, int) or not 1 <= alignment <= 1 << 20:
        raise Malformed(f"general.alignment is {shown(str(alignment))}")
    return -(-at // alignment) * alignment


def _placed(described: list[tuple[str, int, tuple[int, ...], int]], base: int, end: int) -> tuple[list[StoredTensor], int]:
    """The tensors whose type is known, and how many others there are."""
    known = []
    for name, number, shape, offset in described:
        dtype = _DTYPES.get(number)
        if dtype is not None:
            if dtype in BLOCKS and (not shape or shape[-1] % BLOCKS[dtype][0]):
                raise Malformed(f"tensor {shown(name)} is {dtype} {list(shape)}: rows of that type are multiples of {BLOCKS[dtype][0]}")
            known.append(StoredTensor(name, dtype, shape, base + offset, bytes_of(dtype, shape, name)))
    check_names(known)
    check_ranges(known, end)
    return known, len(described) - len(known)


class _Reader(Cursor):
    """Knows the order of bytes, which the version gives away, and the widths of its lengths."""

    def __init__(self, region: Region) -> None:
        super().__init__(region, 4)
        version = self.take(4)
        self._order = "<" if version[:2] != b"\0\0" else ">"
        self._version = struct.unpack(self._order + "I", version)[0]
        if self._version not in (1, 2, 3):
            raise TooMuch(f"GGUF version {self._version} is not known here; 1 to 3 are")

    def number(self, layout: str) -> int:
        return super().number(self._order + ("I" if layout == "Q" and self._version == 1 else layout))

    def pair(self) -> tuple[str, object]:
        self.region.spend()
        return self.text(_LONGEST_KEY), self.value(self.number("I"), 0)

    def text(self, longest: int) -> str:
        length = self.number("Q")
        if length > longest:
            raise Malformed(f"a name of {length} bytes at offset {self.at}")
        return text_of(self.take(length), "a name")

    def value(self, kind: int, depth: int) -> object:
        """A scalar as it is, the beginning of a text, a few words about an array."""
        if kind in _SCALARS:
            return self.unpack(self._order + _SCALARS[kind])[0]
        if kind == _STRING:
            length = self.number("Q")
            at = self.at
            self.skip(length)
            return self.region.read(at, min(length, 1024)).decode(errors="replace")
        if kind == _ARRAY:
            return self._array(depth)
        raise Malformed(f"a value of type {kind} at offset {self.at}; there are 0 to 12")

    def _array(self, depth: int) -> str:
        if depth >= self.region.limits.depth:
            raise Malformed(f"arrays {depth} deep")
        kind, count = self.number("I"), self.number("Q")
        if kind in _SCALARS:
            self.skip(count * struct.calcsize("=" + _SCALARS[kind]))
        else:
            _refuse_absurd(self.region, count, 8, "elements of an array")
            for _ in range(count):
                self.value(kind, depth + 1)
        return f"[{count} elements]"

    def description(self) -> tuple[str, int, tuple[int, ...], int]:
        """(name, type, shape with the slowest dimension first, offset)."""
        name = self.text(_LONGEST_KEY)
        dimensions = self.number("I")
        if dimensions > _MOST_DIMENSIONS:
            raise Malformed(f"tensor {shown(name)} has {dimensions} dimensions")
        shape = tuple(self.number("Q") for _ in range(dimensions))
        return name, self.number("I"), shape[::-1], super().number(self._order + "Q")
