"""Versions chunk by chunk, for a client that brings them from one daemon to another, or to its own disk."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from aiosd.errors import InvalidArgument, NotFound, StorageCorrupt
from aiosd.models import permits
from aiosd.models.history import SHORT
from aiosd.models.manifest import Chunk, Manifest
from aiosd.models.model import Model, ModelRole, Signature
from aiosd.models.parcel import Parcel, Sent, chunks_of, is_digest, read_commit, read_manifest
from aiosd.models.permits import Caller
from aiosd.models.ports import ModelQuery
from aiosd.models.read_service import ModelReader
from aiosd.models.receive_service import Landed, ModelReceiver, ancestry
from aiosd.models.transfer_ports import Piece
from aiosd.models.upload_service import Uploads
from aiosd.models.vault_ports import Progress
from aiosd.models.version import Kind

MOST_RECORDS = 64 << 20  # bytes of a list of files
MOST_COMPARED = 1000  # lists of files that are looked at for what need not be sent


@dataclass(frozen=True, slots=True, kw_only=True)
class Arriving:
    """A version whose chunks, commit and list of files were sent before; see Sent."""

    kind: Kind
    model: str
    version: str
    branch: str
    tags: tuple[str, ...] = ()
    ancestry: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    signatures: tuple[Signature, ...] = ()


@dataclass(frozen=True, slots=True)
class Transfers:
    """What one knows by its digest one has no right to: a chunk counts as being here only where a version has it that the caller may read."""

    uploads: Uploads
    receiver: ModelReceiver

    @property
    def reader(self) -> ModelReader:
        return self.receiver.models.reader

    # From here

    async def fetch(
        self, kind: Kind, text: str, wanted: Sequence[tuple[str, int]], by: Caller, *, allow_flagged: bool, job_id: str = ""
    ) -> AsyncIterator[Piece]:
        """Chunks of a version, each from an offset; also its list of files, and its commit and those of its model's other versions.

        job_id  as of ModelReader.checkout
        raises  NotFound for what is none of these, FailedPrecondition for a version that is damaged, or flagged; DataLoss
        """
        found = await self.reader.find(kind, text, by)
        await self.reader.check_usable(found, by, allow_flagged=allow_flagged)
        if job_id:
            await self.reader.reads(job_id, found.version, by.principal)
        manifest = await self.reader.manifest(found.version)
        chunks, rest = chunks_of([manifest]), list[tuple[Chunk, int]]()
        for digest, offset in wanted:
            if digest in chunks and 0 <= offset <= chunks[digest].size:
                rest.append((chunks[digest], offset))
                continue
            record = manifest.encode() if digest == found.version.commit.manifest else await self._commit(found.model, digest)
            for begin in range(offset, len(record), 1 << 20):
                yield Piece(digest, begin, record[begin : begin + (1 << 20)], len(record))
        async for chunk, begin, data in self.reader.vault.chunks(rest):
            yield Piece(chunk.digest, begin, data, chunk.size)

    async def _commit(self, model: Model, digest: str) -> bytes:
        there = is_digest(digest) and await self.reader.store.version(model.kind, model.name, digest) is not None
        record = await self.reader.store.commit_bytes(digest) if there else None
        if record is None:
            raise NotFound(f"{model.name} has no chunk {digest[:SHORT]} in this version", hint="its list of files names its chunks", digest=digest[:64])
        return record

    # To here

    async def missing(self, kind: Kind, name: str, digests: Sequence[str], by: Caller) -> Sequence[tuple[str, int]]:
        """Those that must be sent for a version of this model, each with how much of it has been; commits by their ids."""
        if not all(map(is_digest, digests)):
            raise InvalidArgument("digests: one of them is none", hint="give 64 hexadecimal digits in lower case", field="digests")
        commits = await self._commits(kind, name, by)
        lengths = await self.uploads.stage.lengths(by.principal.uid, digests)
        wanted = [digest for digest in digests if digest not in commits and lengths.get(digest, 0) >= 0]
        present = await self._present(kind, name, wanted, by)
        return [(digest, lengths.get(digest, 0)) for digest in wanted if digest not in present]

    async def send(self, pieces: AsyncIterator[Sequence[Piece]], by: Caller) -> int:
        """The bytes that came. Raises DataLoss for a chunk that is not what its name says, Exhausted; what came whole before stays."""
        return await self.uploads.stage.chunks(by.principal.uid, _named(pieces), self.uploads.most_of(by))

    async def receive(self, arriving: Arriving, by: Caller) -> AsyncIterator[Progress | Landed]:
        """Make a version of what was sent, and lead the branch forward to it; see ModelReceiver.receive."""
        there = await self._commits(arriving.kind, arriving.model, by)
        body = await self._commit_sent(arriving, arriving.version, by)
        commit = await asyncio.to_thread(read_commit, body, arriving.kind)
        listed = await self._record(commit.manifest, by)
        before = await ancestry((id_ for id_ in arriving.ancestry if id_ not in there), lambda id_: self._commit_sent(arriving, id_, by))
        chunks = chunks_of([await asyncio.to_thread(read_manifest, listed)])
        parcel = Parcel(
            model=arriving.model, kind=arriving.kind, manifests=(listed,), ancestry=before,
            versions=(Sent(body, arriving.branch, arriving.tags, arriving.flags, arriving.signatures),),
        )  # fmt: skip
        lengths = await self.uploads.stage.lengths(by.principal.uid, chunks)
        had = await self._present(arriving.kind, arriving.model, [digest for digest in chunks if lengths.get(digest, 0) >= 0], by)
        sent = [digest for digest in chunks if digest not in had]
        async for step in self.receiver.receive(parcel, by, feed=self._feed(sent, by), had=had):
            if isinstance(step, Progress):
                yield step
            else:
                landed = step
        await self.uploads.stage.drop(by.principal.uid, chunks=[*chunks, arriving.version, commit.manifest, *arriving.ancestry])
        yield landed  # last: whoever has it may hang up

    async def _commits(self, kind: Kind, name: str, by: Caller) -> Collection[str]:
        """Those of this model that are here, by their ids, for whoever may read it."""
        model = await self.reader.store.model(kind, name)
        return (await self.reader.graph(model)).nodes.keys() if model is not None and permits.role_of(model, by) >= ModelRole.READER else ()

    async def _commit_sent(self, arriving: Arriving, id_: str, by: Caller) -> bytes:
        """Or the one that is here, since before, or because another push of the same history was faster. Raises NotFound."""
        try:
            return await self._record(id_, by)
        except NotFound:
            here = id_ in await self._commits(arriving.kind, arriving.model, by)
            if here and (body := await self.reader.store.commit_bytes(id_)) is not None:
                return body
            raise

    async def _record(self, digest: str, by: Caller) -> bytes:
        """What was sent under this name. Raises NotFound, InvalidArgument for more than goes into memory."""
        body = bytearray()
        async for data in self.uploads.stage.read(by.principal.uid, digest):
            body += data
            if len(body) > MOST_RECORDS:
                raise InvalidArgument(f"a commit or list of files may have {MOST_RECORDS} bytes, and {digest} has more", digest=digest)
        return bytes(body)

    async def _feed(self, digests: Sequence[str], by: Caller) -> AsyncIterator[tuple[str, bytes]]:
        for digest in digests:
            async for data in self.uploads.stage.read(by.principal.uid, digest):
                yield digest, data

    async def _present(self, kind: Kind, name: str, digests: Sequence[str], by: Caller) -> frozenset[str]:
        """Which of these the store has, and a version that the caller may read: of this model first, then of others, the newest first."""
        left, present = dict(await self.reader.vault.there(digests)), set[str]()
        manifests = await self._readable(kind, name, by) if left else ()
        for listed in manifests:  # one at a time: that of 100,000 files takes 50 MB
            if not left:
                break
            manifest = None
            with suppress(StorageCorrupt):  # then what it has is sent again
                manifest = await self.reader.store.manifest(listed)
            if manifest is None:
                continue
            found = await asyncio.to_thread(_found, manifest, left)
            present |= found
            left = {digest: whole for digest, whole in left.items() if digest not in found}
        return frozenset(present)

    async def _readable(self, kind: Kind, name: str, by: Caller) -> Sequence[str]:
        """Lists of files by their digests, no more than are worth comparing."""
        models = [model for model in await self.reader.store.models(ModelQuery(kind)) if permits.role_of(model, by) >= ModelRole.READER]
        found: dict[str, None] = {}
        for model in sorted(models, key=lambda one: one.name != name):
            nodes, absent = (await self.reader.graph(model)).nodes.values(), await self.reader.store.absent(model.kind, model.name)
            found |= dict.fromkeys(node.manifest for node in sorted(nodes, key=lambda node: -node.number) if node.id not in absent)
            if len(found) >= MOST_COMPARED:
                break
        return list(found)[:MOST_COMPARED]


def _found(manifest: Manifest, wanted: Mapping[str, str]) -> set[str]:
    known = manifest.digests()
    return {digest for digest, whole in wanted.items() if digest in known or whole in known}


async def _named(pieces: AsyncIterator[Sequence[Piece]]) -> AsyncIterator[Sequence[Piece]]:
    async for some in pieces:
        wrong = next((piece for piece in some if not is_digest(piece.name) or not piece.size), None)
        if wrong is not None:
            raise InvalidArgument(
                f"{wrong.name[:80]!r} with {wrong.size} bytes is no chunk", hint="a chunk has bytes, and their digest for a name", field="pieces"
            )
        yield some
