"""Reads what jobs print: pieces by offset, the last lines, and word of every growth; memory is bounded for any size."""

import asyncio
import copy
import os
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

from aiosd.errors import FailedPrecondition
from aiosd.host.acting import acting_as, open_regular
from aiosd.host.growth import Growth, look_at
from aiosd.host.identities import Identities
from aiosd.jobs.job import Owner

BLOCK_BYTES = 65536
MOST_TAIL_BYTES = 64 << 20  # are looked through for the last lines: a file may be a hole of many terabytes, and a thread is held meanwhile
SHORTEST_PAUSE_S, LONGEST_PAUSE_S = 0.02, 0.1  # between two words of growth: longer, the longer a writer goes on without a break

THREADS_OF_ONE = 2  # of one owner's, where owners are told apart

P = ParamSpec("P")
T = TypeVar("T")


class FileOutputReader:
    """Implements OutputReader of the jobs domain. Whatever may block runs on its own few threads.

    With `identities`, what it reads for an owner it reads as that user: a name that the owner gave, or has put a link at, leads
    to nothing that the owner may not read; and on threads of that owner, who may have put the files on a file system of its own
    that never answers.
    """

    def __init__(self, threads: int = 4, identities: Identities | None = None) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="output")
        self._growth = Growth(self._threads)
        self._identities = identities
        self._owner: Owner | None = None
        self._of_owners: dict[int, ThreadPoolExecutor] = {}

    def of(self, owner: Owner) -> "FileOutputReader":
        reader = copy.copy(self)
        reader._owner = owner
        if self._identities is not None:
            if owner.uid not in self._of_owners:
                self._of_owners[owner.uid] = ThreadPoolExecutor(THREADS_OF_ONE, thread_name_prefix=f"output-{owner.uid}")
            reader._threads = self._of_owners[owner.uid]
        return reader

    async def read(self, path: str, offset: int, limit: int) -> bytes:
        return await self._blocking(_read, path, offset, limit)

    async def size(self, path: str) -> int:
        (look,) = await self._blocking(look_at, (path,))
        return look.size

    async def offset_of_tail(self, path: str, lines: int) -> int:
        return await self._blocking(_offset_of_tail, path, lines)

    async def changes(self, paths: Sequence[str]) -> AsyncIterator[None]:
        """The files may have grown when it begins, and again after each yield: read to their ends, then ask for the next."""
        loop = asyncio.get_running_loop()
        looks, pause_s = await self._blocking(look_at, paths), SHORTEST_PAUSE_S
        while True:
            told_at_s = loop.time()
            yield
            await asyncio.sleep(max(0.0, told_at_s + pause_s - loop.time()))
            asked_at_s = loop.time()
            looks = await self._growth.changed(paths, looks, self._as_owner, self._threads)
            went_on = loop.time() - asked_at_s < pause_s
            pause_s = min(1.5 * pause_s, LONGEST_PAUSE_S) if went_on else SHORTEST_PAUSE_S

    def close(self) -> None:
        """To be called on the event loop, when nobody follows any more."""
        self._growth.close()
        for threads in (self._threads, *self._of_owners.values()):
            threads.shutdown(wait=False, cancel_futures=True)

    async def _blocking(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        def as_owner() -> T:
            with self._as_owner():
                return work(*args, **kwargs)

        return await asyncio.get_running_loop().run_in_executor(self._threads, as_owner)

    @contextmanager
    def _as_owner(self) -> Iterator[None]:
        """On one of the threads."""
        identity = self._identities.of(self._owner) if self._identities is not None and self._owner is not None else None
        with acting_as(identity):
            yield


def _read(path: str, offset: int, limit: int) -> bytes:
    opened = _open(path)
    if opened is None:
        return b""
    try:
        return os.pread(opened, limit, offset)
    finally:
        os.close(opened)


def _open(path: str) -> int | None:
    """As `open_regular`, and who may not read learns that."""
    try:
        return open_regular(path)
    except OSError as error:
        message = f"the output file {path} cannot be read: {error.strerror}"
        raise FailedPrecondition(message, hint="see who may read the file and its directories", path=path) from error


def _offset_of_tail(path: str, lines: int) -> int:
    """Reads backwards, a block at a time. A last line without its newline counts as a line; what is too far back is not looked for."""
    opened = _open(path)
    if opened is None:
        return 0
    try:
        end = os.fstat(opened).st_size
        if lines <= 0:
            return end
        start, wanted = end, lines
        if end and os.pread(opened, 1, end - 1) == b"\n":
            wanted += 1  # the newline that ends the last line begins none
        furthest = max(0, end - MOST_TAIL_BYTES)
        while start > furthest:
            start, stop = max(furthest, start - BLOCK_BYTES), start
            block = os.pread(opened, stop - start, start)
            if block.count(b"\n") >= wanted:
                return start + _nth_newline_from_right(block, wanted) + 1
            wanted -= block.count(b"\n")
        return furthest
    finally:
        os.close(opened)


def _nth_newline_from_right(block: bytes, nth: int) -> int:
    at = len(block)
    for _ in range(nth):
        at = block.rindex(b"\n", 0, at)
    return at
