"""Where a file is cut into chunks: at its tensors where its format says where they are, by its content elsewhere."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, pairwise
from typing import BinaryIO

from aiosd.errors import FailedPrecondition
from aiosd.storage.blobs.lanes import AHEAD

Boundaries = Callable[[str, BinaryIO], Sequence[int] | None]
"""Of a file by its path and content: offsets at which tensors begin; None: it has none. It raises nothing: what cannot be read has none."""

WINDOW_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Sizes:
    """Of chunks, in bytes: those that are cut by content, and what tensors are cut into. A file up to `small` is one chunk."""

    least: int = 128 << 10
    average: int = 256 << 10
    most: int = 1 << 20
    piece: int = 1 << 20
    small: int = 128 << 10
    whole: int = 1 << 20  # from here on a file may stay whole
    framed: int = 32 << 20  # what is larger, and one chunk where it comes from, is written in frames where the store has a key


def pieces_at(boundaries: Sequence[int], size: int, sizes: Sizes) -> list[int]:
    """The lengths of the pieces: large tensors are cut at multiples of `piece` from their beginning, small neighbours stay together."""
    marks = sorted({0, size, *(at for at in boundaries if 0 < at < size)})
    lengths: list[int] = []
    together = 0
    for begin, end in pairwise(marks):
        length = end - begin
        if length < sizes.small:
            together += length
            if together >= sizes.small:
                lengths.append(together)
                together = 0
            continue
        if together:
            lengths.append(together)
            together = 0
        whole, rest = divmod(length, sizes.piece)
        lengths += [sizes.piece] * whole + ([rest] if rest else [])
    return lengths + ([together] if together else [])


def windows(fd: int, size: int, lengths: Sequence[int] | None, sizes: Sizes) -> Iterator[list[memoryview]]:
    """The file from its beginning, in pieces, several at a time: `lengths`, or where the content says. They are good until AHEAD more have come.

    raises    FailedPrecondition when the file ends early
    """
    return _by_content(fd, size, sizes) if lengths is None else _by_lengths(fd, lengths)


def blocks(fd: int, size: int) -> Iterator[list[memoryview]]:
    """The file as `windows` gives it, where nobody asks for pieces."""
    whole, rest = divmod(size, WINDOW_BYTES)
    return _by_lengths(fd, [WINDOW_BYTES] * whole + ([rest] if rest else []))


def joined(pieces: Sequence[memoryview]) -> memoryview:
    """Of one window: they are neighbours, from the beginning of one buffer on."""
    return memoryview(pieces[0].obj)[: sum(map(len, pieces))]


def _by_lengths(fd: int, lengths: Sequence[int]) -> Iterator[list[memoryview]]:
    buffers = _buffers(max([min(WINDOW_BYTES, sum(lengths)), *lengths]))
    at = index = 0
    while index < len(lengths):
        last, total = index, 0
        while last < len(lengths) and (total == 0 or total + lengths[last] <= WINDOW_BYTES):
            total += lengths[last]
            last += 1
        data = next(buffers)[:total]
        _fill(fd, data, at)
        pieces, begin = [], 0
        for length in lengths[index:last]:
            pieces.append(data[begin : begin + length])
            begin += length
        yield pieces
        at, index = at + total, last


def _by_content(fd: int, size: int, sizes: Sizes) -> Iterator[list[memoryview]]:
    """The last piece of a window may go on in the next one, and is cut again with it."""
    from pyfastcdc import FastCDC

    cutter = FastCDC(min_size=sizes.least, avg_size=sizes.average, max_size=sizes.most)
    buffers = _buffers(min(size, WINDOW_BYTES + sizes.most))
    at, rest = 0, memoryview(b"")
    while at < size or rest:
        fresh = min(WINDOW_BYTES, size - at)
        data = next(buffers)[: len(rest) + fresh]
        data[: len(rest)] = rest
        _fill(fd, data[len(rest) :], at)
        at += fresh
        pieces = [data[chunk.offset : chunk.offset + chunk.length] for chunk in cutter.cut_buf(data)]
        rest = pieces.pop() if at < size else memoryview(b"")
        if pieces:
            yield pieces


def _buffers(size: int) -> Iterator[memoryview]:
    """The same few again and again: fresh memory costs as much as reading into it."""
    made = []
    for _ in range(AHEAD):
        made.append(memoryview(bytearray(size)))
        yield made[-1]
    yield from cycle(made)


def _fill(fd: int, data: memoryview, at: int) -> None:
    while data:
        count = os.preadv(fd, [data], at)
        if not count:
            raise _shorter()
        data, at = data[count:], at + count


def read_exactly(fd: int, length: int, at: int) -> bytes:
    parts, left = [], length
    while left:
        part = os.pread(fd, left, at)
        if not part:
            raise _shorter()
        parts.append(part)
        at, left = at + len(part), left - len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _shorter() -> FailedPrecondition:
    return FailedPrecondition("the file has become shorter while it was read", hint="register it when nobody writes to it")
