"""Bounded reading of files that nobody vouches for: every claim is checked against the file before anything is allocated for it."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from aiosd.errors import InvalidArgument
from aiosd.models.version import Schema

_PAGE_BYTES = 8192
_LONGEST = 1 << 63  # no count, size or offset of a real model comes near
_SHOWN = 200  # letters of a text from a file
_MOST_METADATA = 100


class Unreadable(InvalidArgument):
    """A reader gives up on a file; the message says where and why."""


class Malformed(Unreadable):
    """The file is not what it says it is: cut off, contradictory, or made to do harm."""


class Harmful(Malformed):
    """The file is made to do harm to whoever unpacks it."""


class TooMuch(Unreadable):
    """The file may be well, but reading it would take more than a reader is given."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one file may cost its reader. `read_bytes`: all that is read of it, tensors are not; `items`: fields, tensors, opcodes and the like."""

    read_bytes: int = 256 << 20
    items: int = 3_000_000
    depth: int = 64
    header_bytes: int = 32 << 20  # of a header that is parsed as a whole
    unpacked_bytes: int = 64 << 20  # of a compressed member


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A tensor and the bytes of it: `size` of them at `offset` of `file`; `size` -1: they lie in no one place.

    `file`: "": the one that was read; else the path of another one from there.
    `stride`: how many elements on the next one of each dimension is, where that is not the usual order.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    offset: int
    size: int
    file: str = ""
    stride: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Contents:
    """All that a reader found in one file."""

    schema: Schema
    tensors: Sequence[StoredTensor] = field(default=())


class Region:
    """Random access to one file, within it and within the limits. Raises Malformed beyond its end, TooMuch beyond the limits."""

    def __init__(self, file: BinaryIO, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self._file = file
        self.size = file.seek(0, 2)
        self._page, self._page_at = b"", 0
        self._read_left, self._items_left = self.limits.read_bytes, self.limits.items

    def read(self, offset: int, count: int) -> bytes:
        """Exactly `count` bytes from `offset`."""
        end = offset + count
        if offset < 0 or count < 0 or end > self.size:
            raise Malformed(f"{count} bytes at offset {offset} are claimed, the file has {self.size}")
        if count > _PAGE_BYTES:
            return self._fetch(offset, count)
        at = offset - self._page_at
        if at < 0 or at + count > len(self._page):
            self._page, self._page_at, at = self._fetch(offset, min(_PAGE_BYTES, self.size - offset)), offset, 0
        return self._page[at : at + count]

    def unpack(self, layout: str, offset: int) -> tuple[Any, ...]:
        return struct.unpack(layout, self.read(offset, struct.calcsize(layout)))

    def head(self, count: int) -> bytes:
        """As much of its first `count` bytes as there is."""
        return self.read(0, min(count, self.size))

    def spend(self, items: int = 1) -> None:
        """Account for `items` more things taken from the file. Raises TooMuch."""
        self._items_left -= items
        if self._items_left < 0:
            raise TooMuch(f"it consists of more than {self.limits.items} items")

    def part(self, offset: int, size: int) -> "Region":
        """The bytes of a member, as a file of their own: what is spent on it is spent on the whole."""
        if offset < 0 or size < 0 or offset + size > self.size:
            raise Malformed(f"{size} bytes at offset {offset} are claimed, the file has {self.size}")
        return _Part(self, offset, size)

    def _fetch(self, offset: int, count: int) -> bytes:
        self._read_left -= count
        if self._read_left < 0:
            raise TooMuch(f"more than {self.limits.read_bytes} bytes of it would have to be read")
        self._file.seek(offset)
        data = self._file.read(count)
        if len(data) != count:
            raise Malformed(f"the file ended at offset {offset + len(data)} while it was read; it had {self.size} bytes before")
        return data


class _Part(Region):
    def __init__(self, whole: Region, offset: int, size: int) -> None:
        self.limits, self.size, self._whole, self._offset = whole.limits, size, whole, offset

    def read(self, offset: int, count: int) -> bytes:
        if offset < 0 or count < 0 or offset + count > self.size:
            raise Malformed(f"{count} bytes at offset {offset} are claimed, there are {self.size}")
        return self._whole.read(self._offset + offset, count)

    def spend(self, items: int = 1) -> None:
        self._whole.spend(items)


class Cursor:
    """Reads a region from front to back."""

    def __init__(self, region: Region, at: int = 0) -> None:
        self.region, self.at = region, at

    def take(self, count: int) -> bytes:
        data = self.region.read(self.at, count)
        self.at += count
        return data

    def unpack(self, layout: str) -> tuple[Any, ...]:
        return struct.unpack(layout, self.take(struct.calcsize(layout)))

    def number(self, layout: str) -> int:
        return int(self.unpack(layout)[0])

    def skip(self, count: int) -> None:
        """Raises Malformed when that leads out of the file."""
        if count < 0 or self.at + count > self.region.size:
            raise Malformed(f"{count} bytes at offset {self.at} are claimed, the file has {self.region.size}")
        self.at += count


def count_elements(shape: Sequence[int], what: str) -> int:
    """The product of the dimensions. Raises Malformed for a negative one, and for more elements than any memory holds."""
    count = 1
    for dimension in shape:
        if dimension < 0:
            raise Malformed(f"{what} has a dimension of {dimension}")
        count *= dimension
        if count >= _LONGEST:
            raise Malformed(f"{what} claims {count} elements or more")
    return count


def check_ranges(tensors: Sequence[StoredTensor], end: int) -> None:
    """Refuses tensors that leave the file or lie over each other. Raises Malformed naming them."""
    reached, before = 0, ""
    for tensor in sorted(tensors, key=lambda one: (one.offset, one.size)):
        if tensor.offset < 0 or tensor.offset + tensor.size > end:
            raise Malformed(f"tensor {shown(tensor.name)} claims bytes {tensor.offset} to {tensor.offset + tensor.size}, the file ends at {end}")
        if tensor.offset < reached and tensor.size:
            raise Malformed(f"tensors {shown(before)} and {shown(tensor.name)} lie over each other at offset {tensor.offset}")
        reached, before = max(reached, tensor.offset + tensor.size), tensor.name


def check_names(tensors: Sequence[StoredTensor]) -> None:
    """Raises Malformed when two have one name."""
    seen: set[str] = set()
    for tensor in tensors:
        if tensor.name in seen:
            raise Malformed(f"there are two tensors {shown(tensor.name)}")
        seen.add(tensor.name)


def text_of(data: bytes, what: str) -> str:
    """Raises Malformed for what is not UTF-8."""
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise Malformed(f"{what} is not UTF-8: {error.reason} at byte {error.start}") from None


def shown(text: str) -> str:
    """A text from a file as it may stand in a message: short, on one line, nothing that a terminal obeys."""
    plain = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text[: _SHOWN + 1])
    return repr(plain if len(plain) <= _SHOWN else plain[:_SHOWN] + "…")


def metadata_of(pairs: Sequence[tuple[str, object]]) -> dict[str, str]:
    """The first pairs as texts, each cut to a length that can be shown."""
    return {clean(name): clean(str(value)) for name, value in pairs[:_MOST_METADATA]}


def clean(text: str) -> str:
    """Cut to what can be shown, without letters that no database takes."""
    plain = text[:_SHOWN].replace("\0", "").encode(errors="replace").decode()
    return plain if len(text) <= _SHOWN else plain + "…"
