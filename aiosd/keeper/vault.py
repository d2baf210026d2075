"""The port Vault: long work goes to a child, what takes no time is done in a thread, and the sweep keeps off what is in use."""

import asyncio
import os
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from aiosd import logs
from aiosd.errors import StorageUnwritable
from aiosd.host.directories import remove_tree
from aiosd.keeper import words
from aiosd.keeper.checking import Checks
from aiosd.keeper.children import Children, Feed
from aiosd.keeper.handing import each, some, to_its_end
from aiosd.keeper.leases import Lease, Leases
from aiosd.keeper.quarantine import forget, noted
from aiosd.keeper.sweep import Sweep
from aiosd.models.diff import TensorDiff
from aiosd.models.findings import ScanFinding
from aiosd.models.layouts import Form
from aiosd.models.manifest import Chunk, Manifest
from aiosd.models.parcel import chunks_of
from aiosd.models.vault_ports import ChunkIndex, Delivery, Looked, Part, Progress, Received, Source, Stored, Swept, Taken
from aiosd.models.version import Version
from aiosd.storage.blobs.disk import explained
from aiosd.storage.blobs.giving import Asked, Giver
from aiosd.storage.blobs.layout import WHOLE, Layout, is_whole
from aiosd.storage.blobs.reading import Lookup, Reader
from aiosd.storage.blobs.settings import BlobSettings, coder_of, remember_key
from aiosd.storage.blobs.staging import Staging

Came = TypeVar("Came", Taken, Received)

log = logs.logger("aiosd.keeper")

_QUICK_FILES = 200  # so many links are made in a thread of the daemon
_TOGETHER = 2000  # chunks in one question


@dataclass(slots=True)
class BlobVault:
    """Implements Vault. `pinned`: the manifests whose checkouts must stay, as of running jobs. `start` before anything else."""

    settings: BlobSettings
    index: ChunkIndex
    pinned: Callable[[], Collection[str]] = tuple
    reached: Callable[[str], None] = lambda step: None
    layout: Layout = field(init=False)
    leases: Leases = field(default_factory=Leases)
    gate: asyncio.Lock = field(default_factory=asyncio.Lock)  # held while it is answered where chunks lie, and while the sweep forgets some
    _slots: asyncio.Semaphore = field(init=False)
    _giving: asyncio.Lock = field(default_factory=asyncio.Lock)
    _sweeping: asyncio.Lock = field(default_factory=asyncio.Lock)
    _looking: asyncio.Lock = field(default_factory=asyncio.Lock)
    _looked_at: Collection[str] = ()
    _under_way: set[str] = field(default_factory=set)
    _children: Children = field(init=False)
    _checks: Checks = field(init=False)

    def __post_init__(self) -> None:
        self.layout = Layout(Path(self.settings.directory))
        self._slots = asyncio.Semaphore(self.settings.at_once)
        self._children = Children(self.index, self.gate)
        self._checks = Checks(self.settings, self.layout, self.leases, self._children, self._slots)

    def start(self, *, passable: bool) -> None:
        """Make the directories; remove what registrations that were cut off have left. Blocks. Raises StorageUnwritable, ConfigError (of the key)."""
        coder_of(self.settings)
        try:
            self.layout.prepare(passable=passable)
            remember_key(self.settings)
            for left in self.layout.incoming.iterdir():
                remove_tree(str(left))
            self._staging().tidy_all()
        except OSError as error:
            raise StorageUnwritable(
                f"the store of models in {self.layout.root} cannot be used: {error.strerror}", hint="is it writable for the daemon? See models.directory",
                path=str(self.layout.root),
            ) from None  # fmt: skip

    def _staging(self) -> Staging:
        return Staging(self.layout.staged, self.settings.staged_s)

    def take(self, source: Source, base: Manifest | None) -> AsyncIterator[Progress | Taken]:
        return self._brought(lambda name: words.Take(self.settings, source, name, base), Taken)

    def receive(self, source: Source, delivery: Delivery) -> AsyncIterator[Progress | Received]:
        def work(name: str) -> words.Receive:
            manifests, had = list(delivery.manifests), set(delivery.had)
            return words.Receive(self.settings, name, source, manifests, list(delivery.examined), had, list(delivery.parts), delivery.head)

        return self._brought(work, Received, delivery.feed)

    async def _brought(self, work: Callable[[str], words.Request], kind: type[Came], feed: Feed | None = None) -> AsyncGenerator[Progress | Came, None]:
        """What a child brings into the store, in a scratch directory of this name; it is in use until the iterator is closed."""
        async with self._scratch() as name, self._slots:
            with self.leases.held() as lease:
                batches: list[words.Batch] = []
                async with self._children.work(work(name), lease, feed) as said:
                    async for word in said:
                        if isinstance(word, words.Batch):
                            batches.append(word)
                            lease.add({one.digest for one in word.chunks})
                        elif isinstance(word, words.Took | words.Got):
                            made = words.together(batches, word)
                            assert isinstance(made, kind)
                            try:
                                yield made
                            finally:
                                await self._healed(made.chunks)
                        else:
                            yield words.progress_of(word)

    async def head(self, source: Source) -> bytes:
        with self.leases.held() as lease:
            return (await self._children.answer(words.Peek(self.settings, source), words.Head, lease)).data

    async def parts(self, manifests: Sequence[Manifest], base: Sequence[Manifest]) -> Sequence[Part]:
        wholes, found = chunks_of(base).keys(), dict[str, Part]()
        asked = [digest for digest in chunks_of(manifests) if digest not in wholes] if wholes else []
        for at in range(0, len(asked), _TOGETHER):
            for one in (await self.index.stored(asked[at : at + _TOGETHER])).values():  # with the bases of differences
                of = one.place.partition("/")[2]
                if one.place.startswith(WHOLE) and of in wholes and of != one.digest:
                    found[one.digest] = Part(one.digest, one.size, of, one.offset)
        return list(found.values())

    def bundle(self, to: Source, head: bytes, manifests: Sequence[Manifest], had: Collection[str], *, replace: bool) -> AsyncIterator[Progress | str]:
        return self._written(words.Bundle(self.settings, to, head, list(manifests), set(had), replace))

    def lay(self, to: Source, version: Version, manifest: Manifest, tag: str, *, replace: bool) -> AsyncIterator[Progress | str]:
        return self._written(words.Lay(self.settings, to, Form(to.form), manifest, version.commit, version.model, tag, replace))

    async def _written(self, request: words.Bundle | words.Lay) -> AsyncGenerator[Progress | str, None]:
        async with self._slots:
            with self.leases.held() as lease:
                async with self._children.work(request, lease) as said:
                    async for word in said:
                        yield word.path if isinstance(word, words.Gave) else words.progress_of(word)

    async def give(self, manifest: Manifest, to: Source) -> AsyncGenerator[Progress | str, None]:
        with self.leases.held() as lease:
            async with AsyncExitStack() as stack:
                if not to.path:  # those to a path of the user's own do not touch the cache
                    await stack.enter_async_context(self._giving)
                    if (path := await self._quick(manifest, to, lease)) is not None:
                        yield path
                        return
                await stack.enter_async_context(self._slots)
                async with self._children.work(words.Give(self.settings, manifest, to, self._pinned()), lease) as said:
                    async for word in said:
                        yield word.path if isinstance(word, words.Gave) else words.progress_of(word)

    async def tensor_diff(self, a: Manifest, b: Manifest) -> TensorDiff:
        """Implements TensorDiffs: both are read by a process with limits."""
        async with self._laid_out(a, b) as (before, after):
            with self.leases.held() as lease:
                return (await self._children.answer(words.Compare(self.settings, before, after), words.Compared, lease)).found

    async def examine(self, manifest: Manifest) -> Sequence[ScanFinding]:
        async with self._laid_out(manifest) as (path,):
            with self.leases.held() as lease:
                return (await self._children.answer(words.Examine(self.settings, path, manifest), words.Findings, lease)).found

    @asynccontextmanager
    async def _laid_out(self, *manifests: Manifest) -> AsyncIterator[Sequence[str]]:
        """Handed out to the daemon itself, for one question at a time; they stay until it is answered."""
        mine = Source("", os.geteuid(), os.getegid(), "")
        async with self._looking:
            self._looked_at = [each.digest for each in manifests]
            try:
                yield [step for each in manifests async for step in self.give(each, mine) if isinstance(step, str)]
            finally:
                self._looked_at = ()

    def _pinned(self) -> list[str]:
        """Whose checkouts must stay."""
        return [*self.pinned(), *self._looked_at]

    async def chunks(self, wanted: Sequence[tuple[Chunk, int]]) -> AsyncIterator[tuple[Chunk, int, bytes]]:
        with self.leases.held() as lease:
            known = await self._children.stored({chunk.digest for chunk, _ in wanted}, lease)
            reader = Reader(self.layout, coder_of(self.settings), _lookup(known))
            try:
                pieces = each(wanted, reader)
                while read := await to_its_end(some, pieces):
                    for piece in read:
                        yield piece
            finally:
                reader.close()

    async def there(self, digests: Collection[str]) -> Mapping[str, str]:
        known = await self.index.stored(digests)
        return {digest: known[digest].place.removeprefix(f"{WHOLE}/") if known[digest].place.startswith(WHOLE) else "" for digest in digests if digest in known}

    def verify(self, manifests: Sequence[Manifest], permille: int) -> AsyncIterator[Progress | Looked]:
        return self._checks.verify(manifests, permille)

    def verify_all(self, permille: int) -> AsyncIterator[Progress | Looked]:
        return self._checks.verify_all(permille)

    async def scrub(self, share: float) -> Sequence[str]:
        return await self._checks.scrub(share)

    @asynccontextmanager
    async def still(self) -> AsyncIterator[None]:
        """Nothing is swept within: whatever the index names stays where it is, as for a backup."""
        async with self._sweeping:
            yield

    async def missing(self, manifest: Manifest) -> Sequence[str]:
        digests = await asyncio.to_thread(manifest.digests)
        return sorted(digests - (await self.index.stored(digests)).keys())

    async def sweep(self, live: AsyncIterator[Collection[str]], grace_s: float, *, dry_run: bool) -> Swept:
        async with self._sweeping:
            with self.leases.remembering():
                sweep = Sweep(self.layout, self.index, self.leases, self.gate, grace_s, dry_run, self._rewrite, self.reached)
                swept = await sweep.run(live, self._under_way)
        if not dry_run:
            async with self._giving:
                giver = Giver(self.layout, Reader(self.layout, coder_of(self.settings), _lookup({})), 0, remove_tree, self._pinned())
                await asyncio.to_thread(giver.trim, grace_s)
            await asyncio.to_thread(self._staging().tidy_all)
        return swept

    async def _healed(self, chunks: Sequence[Stored]) -> None:
        """What was set aside, and has come again; the caller has committed it, or it is still missing."""
        came = {one.digest for one in chunks} & await asyncio.to_thread(noted, self.layout)
        if came:
            await asyncio.to_thread(forget, self.layout, (await self.index.stored(came)).keys())

    async def _quick(self, manifest: Manifest, to: Source, lease: Lease) -> str | None:
        """Where it stands already, or links are all there is to do."""
        if len(manifest.files) > _QUICK_FILES:
            return None
        known = await self._children.stored({entry.digest for entry in manifest.files}, lease)
        asked = Asked(to.uid, to.gid, to.uid == os.geteuid() or os.geteuid() != 0)
        reader = Reader(self.layout, coder_of(self.settings), _lookup(known))
        giver = Giver(self.layout, reader, self.settings.cache_bytes, remove_tree, self._pinned())
        is_quick = all(not entry.size or (entry.digest in known and is_whole(known[entry.digest])) for entry in manifest.files)
        try:
            return await to_its_end(giver.checkout if is_quick else giver.standing, manifest, asked)
        except OSError as error:
            raise explained(error, self.settings.directory) from None
        finally:
            reader.close()  # which has files open where one had been touched

    async def _rewrite(self, rows: Sequence[Stored]) -> Sequence[Stored]:
        async with self._scratch() as name, self._slots:
            with self.leases.held() as lease:
                return (await self._children.answer(words.Rewrite(self.settings, name, list(rows)), words.Rewrote, lease)).moved

    @asynccontextmanager
    async def _scratch(self) -> AsyncIterator[str]:
        name = uuid.uuid4().hex
        self._under_way.add(name)
        try:
            yield name
        finally:
            self._under_way.discard(name)
            await asyncio.to_thread(remove_tree, str(self.layout.incoming / name))


def _lookup(known: Mapping[str, Stored]) -> Lookup:
    return lambda digests: (
        {digest: known[digest] for digest in digests if digest in known}
        | {base: known[base] for digest in digests if digest in known and (base := known[digest].base) in known}
    )
