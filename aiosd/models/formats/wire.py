"""The wire form of protobuf as fields and places, without descriptions and without reading what is skipped.

It is all of protobuf that models need, and protobuf's own runtime would decode a whole message, tensors and all, into memory.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from aiosd.models.reading import Malformed, Region, text_of

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_FIXED = {FIXED64: 8, FIXED32: 4}
_SIGN, _WRAP = 1 << 63, 1 << 64


@dataclass(frozen=True, slots=True)
class Field:
    """One field: `value` of a number, or the place from `start` to `end` of whatever has a length."""

    number: int
    kind: int
    start: int
    end: int
    value: int = 0


@dataclass(frozen=True, slots=True)
class Message:
    """A message in a region: its fields are read anew each time they are asked for."""

    region: Region
    start: int
    end: int
    depth: int = 0

    def __iter__(self) -> Iterator[Field]:
        at = self.start
        while at < self.end:
            self.region.spend()
            key, at = varint(self.region, at, self.end)
            number, kind = key >> 3, key & 7
            if not number or number >= 1 << 29:
                raise Malformed(f"field number {number} at offset {at}")
            if kind == VARINT:
                began = at
                value, at = varint(self.region, at, self.end)
                yield Field(number, kind, began, at, value)
                continue
            length = _FIXED.get(kind, -1)
            if kind == BYTES:
                length, at = varint(self.region, at, self.end)
            if length < 0 or at + length > self.end:
                raise Malformed(f"field {number} of kind {kind} at offset {at} claims {length} bytes; its message ends at {self.end}")
            value = int.from_bytes(self.region.read(at, length), "little") if kind != BYTES else 0
            yield Field(number, kind, at, at + length, value)
            at += length

    def inner(self, field: Field) -> "Message":
        """Raises Malformed when it has no length, or lies deeper than a reader follows."""
        if field.kind != BYTES:
            raise Malformed(f"field {field.number} at offset {field.start} is no message")
        if self.depth >= self.region.limits.depth:
            raise Malformed(f"messages {self.depth} deep at offset {field.start}")
        return Message(self.region, field.start, field.end, self.depth + 1)

    def text(self, field: Field, longest: int = 1 << 16) -> str:
        """Raises Malformed for what is no text, or longer than any name."""
        if field.kind != BYTES or field.end - field.start > longest:
            raise Malformed(f"field {field.number} at offset {field.start} is no text of at most {longest} bytes")
        return text_of(self.region.read(field.start, field.end - field.start), f"the text at offset {field.start}")

    def numbers(self, field: Field) -> list[int]:
        """A repeated number, packed or not."""
        if field.kind != BYTES:
            return [signed(field.value)]
        found, at = [], field.start
        while at < field.end:
            self.region.spend()
            value, at = varint(self.region, at, field.end)
            found.append(signed(value))
        return found


def whole(region: Region) -> Message:
    return Message(region, 0, region.size)


def varint(region: Region, at: int, end: int) -> tuple[int, int]:
    """(value, offset behind it), at most 64 bits of it."""
    value = 0
    for shift, byte in enumerate(region.read(at, min(10, end - at))):
        value |= (byte & 0x7F) << (7 * shift)
        if byte < 0x80:
            return value & (_WRAP - 1), at + shift + 1
    raise Malformed(f"a number at offset {at} does not end")


def signed(value: int) -> int:
    return value - _WRAP if value >= _SIGN else value
