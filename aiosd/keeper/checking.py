"""What is stored read back and compared, by children; what is damaged is set aside."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

from aiosd import logs
from aiosd.keeper import words
from aiosd.keeper.children import Children
from aiosd.keeper.leases import Lease, Leases
from aiosd.keeper.quarantine import set_aside
from aiosd.models.manifest import Manifest
from aiosd.models.vault_ports import Looked, Progress, Stored
from aiosd.storage.blobs.disk import explained
from aiosd.storage.blobs.layout import Layout, is_whole, size_of
from aiosd.storage.blobs.settings import BlobSettings
from aiosd.storage.blobs.verifying import to_read

log = logs.logger("aiosd.keeper")

_PERMILLE = 1000
_TOGETHER, _TOGETHER_BYTES = 2000, 1 << 30  # chunks, and bytes, that one child reads back
_PLACES = 1000  # that are asked for together


@dataclass(frozen=True, slots=True)
class Checks:
    """`slots`: so many children at once, whatever they do."""

    settings: BlobSettings
    layout: Layout
    leases: Leases
    children: Children
    slots: asyncio.Semaphore

    async def verify(self, manifests: Sequence[Manifest], permille: int) -> AsyncIterator[Progress | Looked]:
        digests = {chunk.digest for manifest in manifests for chunk in manifest.chunks() if _sampled(chunk.digest, permille)}
        async with aclosing(self._verified(digests)) as steps:
            async for step in steps:
                yield step

    async def verify_all(self, permille: int) -> AsyncIterator[Progress | Looked]:
        sizes = dict(await asyncio.to_thread(self._sized, await self._places()))
        done, total = 0, sum(sizes.values())
        async for places, digests in self._batches(list(sizes), permille):
            part = sum(sizes[place] for place in places)
            async with aclosing(self._verified(digests, places)) as steps:
                async for step in steps:
                    yield step if isinstance(step, Looked) else Progress(done + part * step.done // (step.total or 1), total)
            done += part

    async def scrub(self, share: float) -> Sequence[str]:
        """Read back the next `share` of all that is stored, from where the last one ended. The digests that are damaged, which are set aside."""
        damaged: list[str] = []
        async for places, digests in self._batches(await self._next_places(share)):
            async for step in self._verified(digests, places):
                if isinstance(step, Looked):
                    damaged += step.damaged
            try:
                await asyncio.to_thread(self._cursor.write_text, places[-1])
            except OSError as error:  # as on a full disk: what was found is told all the same, and the next one begins where this one did
                log.warning("where the reading back has come to could not be noted", error=error.strerror)
        return damaged

    async def _batches(self, places: Sequence[str], permille: int = _PERMILLE) -> AsyncIterator[tuple[Sequence[str], Collection[str]]]:
        """As many of these places as one child reads back, and the chunks in them: what is known of millions together would take gigabytes."""
        batch, digests, size = list[str](), set[str](), 0
        for place in places:
            rows = [one for one in to_read(await self.children.index.within([place])) if _sampled(one.digest, permille)]
            batch.append(place)
            digests.update(one.digest for one in rows)
            size += sum(one.size for one in rows)
            if len(digests) >= _TOGETHER or size >= _TOGETHER_BYTES or place == places[-1]:
                yield batch, digests
                batch, digests, size = [], set(), 0

    async def _verified(self, digests: Collection[str], places: Collection[str] = ()) -> AsyncGenerator[Progress | Looked, None]:
        """Ends with Looked. What was in these `places` may have been swept meanwhile."""
        missing, damaged = set[str](), dict[str, str]()
        async with self.slots:
            with self.leases.held() as lease:
                known = await self.children.stored(digests, lease)
                missing = set(digests) - known.keys()
                if missing and places:
                    missing &= {one.digest for one in await self.children.index.within(places)}
                rows = sorted((known[digest] for digest in set(digests) & known.keys()), key=lambda one: (one.place, one.offset))
                bases = [one for digest, one in known.items() if digest not in digests]
                async with self.children.work(words.Verify(self.settings, rows, bases), lease) as said:
                    async for word in said:
                        if isinstance(word, words.Verified):
                            damaged.update(word.damaged)
                        else:
                            yield words.progress_of(word)
                if damaged:
                    broken, parts = await self._damaged_parts([known[digest] for digest in damaged], lease)
                    damaged |= broken
                    await self._set_aside(damaged, {**parts, **known})
        yield Looked(len(digests), sorted(missing | damaged.keys()))

    async def _damaged_parts(self, rows: Sequence[Stored], lease: Lease) -> tuple[dict[str, str], Mapping[str, Stored]]:
        """Of damaged whole files: which of the chunks that are parts of them are damaged, too."""
        wholes = {one.place for one in rows if is_whole(one)}
        parts = {one.digest: one for one in (await self.children.index.within(wholes) if wholes else ()) if not is_whole(one)}
        if not parts:
            return {}, {}
        verified = await self.children.answer(words.Verify(self.settings, list(parts.values()), []), words.Verified, lease)
        return dict(verified.damaged), parts

    async def _set_aside(self, damaged: Mapping[str, str], known: Mapping[str, Stored]) -> None:
        """Forget where they lie, so that they are stored anew when they come again; what is known of each is kept."""
        rows = [known[digest] for digest in damaged if digest in known]
        async with self.children.gate:
            await self.children.index.commit((), {(one.digest, one.place) for one in rows})
        try:
            await asyncio.to_thread(set_aside, self.layout, rows, damaged)
        except OSError as error:
            raise explained(error, self.settings.directory) from None
        for one in rows:
            log.error("a damaged chunk was set aside", chunk=one.digest, place=one.place, offset=one.offset, why=damaged[one.digest])

    @property
    def _cursor(self) -> Path:
        return self.layout.root / "scrubbed"

    async def _next_places(self, share: float) -> list[str]:
        """From behind the last one that was read, and round: by the index, which knows of what is gone, too."""
        return await asyncio.to_thread(self._chosen, await self._places(), share)

    async def _places(self) -> Sequence[str]:
        known = list[str]()
        while more := await self.children.index.places(known[-1] if known else "", _PLACES):
            known += more
        return known

    def _sized(self, places: Sequence[str]) -> list[tuple[str, int]]:
        return [(place, size_of(self.layout, place)) for place in places]

    def _chosen(self, known: Sequence[str], share: float) -> list[str]:
        places = self._sized(known)
        last = self._cursor.read_text() if self._cursor.exists() else ""
        budget, chosen = share * sum(size for _, size in places), list[str]()
        for place, size in sorted(places, key=lambda one: (one[0] <= last, one[0])):
            if budget <= 0:
                break
            chosen.append(place)
            budget -= size
        return chosen


def _sampled(digest: str, permille: int) -> bool:
    """By another chance each hour, so that all have their turn."""
    return permille >= _PERMILLE or hash((digest, int(time.time() / 3600))) % _PERMILLE < permille
