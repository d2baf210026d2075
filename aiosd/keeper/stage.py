"""The port Stage: what is on its way here, written by threads of the daemon, for it is little work for each piece and none to look into."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ParamSpec, TypeVar

from aiosd.errors import NotFound
from aiosd.models.transfer_ports import Piece
from aiosd.storage.blobs.disk import explained
from aiosd.storage.blobs.layout import Layout
from aiosd.storage.blobs.settings import BlobSettings
from aiosd.storage.blobs.staging import Staging

_BLOCK = 1 << 20
P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class BlobStage:
    """Implements Stage."""

    staging: Staging

    @classmethod
    def of(cls, settings: BlobSettings) -> "BlobStage":
        return cls(Staging(Layout(Path(settings.directory)).staged, settings.staged_s))

    async def uploaded(self, uid: int, upload: str) -> Sequence[tuple[str, int]]:
        return await self._done(self.staging.uploaded, uid, upload)

    def upload(self, uid: int, upload: str) -> str:
        return str(self.staging.upload(uid, upload))

    async def files(self, uid: int, upload: str, pieces: AsyncIterator[Sequence[Piece]], most: int) -> int:
        arrivals, received = await self._done(self.staging.of, uid, most), 0
        async for some in pieces:
            await self._done(arrivals.files, upload, some)
            received += sum(len(piece.data) for piece in some)
        return received

    async def chunks(self, uid: int, pieces: AsyncIterator[Sequence[Piece]], most: int) -> int:
        arrivals, received = await self._done(self.staging.of, uid, most), 0
        async for some in pieces:
            await self._done(arrivals.chunks, some)
            received += sum(len(piece.data) for piece in some)
        return received

    async def lengths(self, uid: int, digests: Collection[str]) -> Mapping[str, int]:
        return await self._done(self.staging.lengths, uid, digests)

    async def read(self, uid: int, digest: str) -> AsyncIterator[bytes]:
        path = self.staging.chunk(uid, digest)
        if not await self._done(path.exists):
            raise NotFound(f"the chunk {digest} was not sent, or it was so long ago that it is gone", hint="send it again", digest=digest)
        with await self._done(path.open, "rb", buffering=0) as file:
            while data := await self._done(file.read, _BLOCK):
                yield data

    async def drop(self, uid: int, upload: str = "", chunks: Collection[str] = ()) -> None:
        if upload:
            await self._done(self.staging.drop_upload, uid, upload)
        await self._done(self.staging.drop_chunks, uid, chunks)

    async def _done(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return await asyncio.to_thread(work, *args, **kwargs)
        except OSError as error:
            raise explained(error, str(self.staging.root)) from None
