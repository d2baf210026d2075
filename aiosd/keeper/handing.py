"""Chunks read back one after another, in pieces, for whoever hands them on."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import ParamSpec, TypeVar

from aiosd.models.manifest import Chunk, FileEntry
from aiosd.storage.blobs.reading import Reader

_READ_BYTES = 1 << 20  # in one go
P = ParamSpec("P")
R = TypeVar("R")


def each(wanted: Sequence[tuple[Chunk, int]], reader: Reader) -> Iterator[tuple[Chunk, int, bytes]]:
    """A chunk is a file of one chunk."""
    for chunk, offset in wanted:
        begin = 0
        for data in reader.file(FileEntry("", chunk.size, chunk.digest, (chunk,))):
            if begin + len(data) > offset:
                skip = max(0, offset - begin)
                yield chunk, begin + skip, data[skip:]
            begin += len(data)


def some(pieces: Iterator[tuple[Chunk, int, bytes]]) -> list[tuple[Chunk, int, bytes]]:
    """Many small ones at a time, for each question to a thread takes its time."""
    found, size = list[tuple[Chunk, int, bytes]](), 0
    while size < _READ_BYTES and (piece := next(pieces, None)) is not None:
        found.append(piece)
        size += len(piece[2])
    return found


async def to_its_end(work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """In a thread, which has ended when this has, cancelled or not: what it reads from may be closed then."""
    doing = asyncio.ensure_future(asyncio.to_thread(work, *args, **kwargs))
    try:
        return await asyncio.shield(doing)
    except asyncio.CancelledError:
        await asyncio.gather(doing, return_exceptions=True)
        raise
