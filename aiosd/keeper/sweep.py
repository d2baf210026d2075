"""The sweep: what no version needs is forgotten first and removed then, a few places at a time, so that at any moment all that is known is there."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import groupby

from aiosd.errors import AiosError, DiskFull, StorageCorrupt
from aiosd.keeper.leases import Leases
from aiosd.models.vault_ports import ChunkIndex, Stored, Swept
from aiosd.storage.blobs.layout import Layout
from aiosd.storage.blobs.sweeping import Marks, Verdict, age_s, judge

_PLACES = 16  # looked at together: each may have thousands of chunks
_ROWS = 2000  # digests that are marked before others have their turn


@dataclass(slots=True)
class Sweep:
    """One run. `gate` is held while it is decided what goes and while it is forgotten: meanwhile nobody hears that it is there."""

    layout: Layout
    index: ChunkIndex
    leases: Leases
    gate: asyncio.Lock
    grace_s: float
    dry_run: bool
    rewrite: Callable[[Sequence[Stored]], Awaitable[Sequence[Stored]]]
    reached: Callable[[str], None]
    chunks: int = 0
    bytes: int = 0
    strays: int = 0
    _marks: Marks = field(default_factory=Marks)

    async def run(self, live: AsyncIterator[Collection[str]], under_way: Collection[str]) -> Swept:
        """`under_way`: names of what is being written, which nobody knows yet."""
        async for digests in live:
            await self._mark(digests)
        self.reached("sweep.1-marked")
        await self._mark_bases()
        async for places in self._places():
            await self._sweep(places)
        await self._sweep_strays(under_way)
        return Swept(self.chunks, self.bytes, self.strays)

    async def _mark(self, digests: Iterable[str]) -> None:
        for part in _parts(list(digests)):
            self._marks.add(part)
            await asyncio.sleep(0)

    async def _mark_bases(self) -> None:
        """A base of what is alive is alive; none is a difference itself."""
        async for places in self._places():
            alive = [one for one in await self.index.within(places) if self._is_alive(one.digest)]
            await asyncio.to_thread(self._check_there, {one.place for one in alive})
            await self._mark([one.base for one in alive if one.base])

    def _check_there(self, places: Iterable[str]) -> None:
        """An index that is damaged would have it take for a stray what it has lost. Raises StorageCorrupt."""
        for place in places:
            try:
                self.layout.path(place).lstat()
            except (FileNotFoundError, ValueError):
                raise StorageCorrupt(
                    f"what versions need lies in {place} by the index, and that is not there; nothing was removed",
                    hint="`aiosctl model verify --all` sets aside what is lost; aiosctl admin check --repair", place=place,
                ) from None  # fmt: skip

    async def _places(self) -> AsyncIterator[Sequence[str]]:
        after = ""
        while places := await self.index.places(after, _PLACES):
            yield places
            after = places[-1]

    def _is_alive(self, digest: str) -> bool:
        return digest in self._marks or digest in self.leases

    async def _sweep(self, places: Sequence[str]) -> None:
        for verdict in await self._forget(places):
            self.reached("sweep.2-forgotten")
            if verdict.empty:
                await self._remove(verdict.place)
            elif verdict.rewrite:
                await self._move(verdict)

    async def _forget(self, places: Sequence[str]) -> list[Verdict]:
        """In one transaction."""
        async with self.gate:
            old = await asyncio.to_thread(self._old, places)
            rows = await self.index.within(old)
            verdicts = [self._judge(place, old[place], list(own)) for place, own in groupby(rows, key=lambda one: one.place)]
            verdicts = [verdict for verdict in verdicts if verdict.dead or verdict.rewrite]
            self.chunks += sum(len(verdict.dead) for verdict in verdicts)
            if self.dry_run:
                self.bytes += sum(verdict.freed for verdict in verdicts)
                return []
            gone = {(one.digest, one.place) for verdict in verdicts for one in verdict.dead}
            if gone:
                await self.index.commit((), gone)
        return verdicts

    def _judge(self, place: str, size: int, rows: Sequence[Stored]) -> Verdict:
        """What somebody works with stays as it is, with all that lies beside it."""
        if any(one.digest in self.leases for one in rows):
            return Verdict(place, 0, [], list(rows))
        return judge(place, size, rows, self._marks)

    def _old(self, places: Sequence[str]) -> dict[str, int]:
        """Those whose grace is over, and their sizes; one that is gone is as old as can be."""
        now_s, old = time.time(), {}
        for place in places:
            try:
                if age_s(self.layout, place, now_s) >= self.grace_s:
                    old[place] = self.layout.path(place).lstat().st_size
            except FileNotFoundError:
                old[place] = 0
        return old

    async def _remove(self, place: str) -> None:
        """Under the gate: a registration that has asked for a whole file since may be about to write it there again."""
        async with self.gate:
            if place.partition("/")[2] in self.leases or await self.index.within([place]):
                return
            path = self.layout.path(place)
            with suppress(FileNotFoundError):
                size = path.lstat().st_size
                path.unlink()
                self.bytes += size
        self.reached("sweep.3-removed")

    async def _move(self, verdict: Verdict) -> None:
        """The living go into a pack of their own. Without room for that, or where one cannot be read, they stay."""
        try:
            moved = await self.rewrite(verdict.alive)
        except (DiskFull, AiosError):
            return
        self.reached("sweep.4-rewritten")
        async with self.gate:
            there = await self.index.within([verdict.place])
            if {one.digest for one in there} == {one.digest for one in verdict.alive} and not any(one.digest in self.leases for one in there):
                await self.index.commit(moved, {(one.digest, one.place) for one in verdict.alive})
                self.bytes -= sum(one.stored_size for one in moved)
        self.reached("sweep.5-moved")
        await self._remove(verdict.place)

    async def _sweep_strays(self, under_way: Collection[str]) -> None:
        """Files that the index does not know: of registrations that were cut off, or were never remembered."""
        for places in _parts(await asyncio.to_thread(lambda: list(self.layout.places()))):
            async with self.gate:
                written = set(under_way)  # before the index is asked: what is no longer under way then is known, or is a stray
                known = {one.place for one in await self.index.within(places)}
                old = await asyncio.to_thread(self._old, [place for place in places if place not in known])
                stray = [place for place in old if place.partition("/")[2] not in written and place.partition("/")[2] not in self.leases]
                self.strays += len(stray)
                if self.dry_run:
                    continue
                for place in stray:
                    with suppress(FileNotFoundError):
                        path = self.layout.path(place)
                        self.bytes += path.lstat().st_size
                        path.unlink()
            self.reached("sweep.6-strays")


def _parts(values: Sequence[str]) -> Iterator[Sequence[str]]:
    return (values[at : at + _ROWS] for at in range(0, len(values), _ROWS))
