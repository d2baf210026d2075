"""Uploads: files of a client on another machine come here piece by piece, and are registered when they are whole."""

import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from aiosd.errors import FailedPrecondition, InvalidArgument, NotFound
from aiosd.models.draft import Draft
from aiosd.models.manifest import check_path
from aiosd.models.permits import Caller
from aiosd.models.service import ModelService, Registration
from aiosd.models.transfer_ports import Piece, Stage
from aiosd.models.vault_ports import Progress, Source

_UPLOAD = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Uploads:
    """Each user's own: nobody can name another's. `most_bytes`: what all that is on its way from one user may take."""

    models: ModelService
    stage: Stage
    most_bytes: int

    async def uploaded(self, upload: str, by: Caller) -> Sequence[tuple[str, int]]:
        """The files that are there, and how much of each."""
        return await self.stage.uploaded(by.principal.uid, _checked(upload))

    async def upload(self, upload: str, pieces: AsyncIterator[Sequence[Piece]], by: Caller) -> int:
        """The bytes that came. Raises InvalidArgument, Exhausted, DiskFull; what came before stays."""
        return await self.stage.files(by.principal.uid, _checked(upload), _looked_at(pieces), self.most_of(by))

    async def register(self, draft: Draft, name: str, upload: str, contents: str, by: Caller) -> AsyncIterator[Progress | Registration]:
        """As ModelService.register does what lies on this machine. `name`: of the file or directory; `contents`: what must have arrived."""
        uid = by.principal.uid
        answered = await self.models.answered(draft, by)
        if answered is not None:  # the upload went with the first answer
            yield answered
            return
        if not await self.uploaded(upload, by):
            raise NotFound("there is no such upload, or it is so old that it was removed", hint="upload it again", upload=upload)
        source = Source(f"{self.stage.upload(uid, upload)}/{check_path(name)}", uid, by.principal.gid, by.name, ours=True)
        try:
            async for step in self.models.register(draft, source, by, contents):
                if isinstance(step, Progress):
                    yield step
                else:
                    made = step
        except FailedPrecondition as error:
            if "contents" in error.facts:
                await self.stage.drop(uid, upload)
            raise
        await self.stage.drop(uid, upload)
        yield made  # last: whoever has it may hang up

    def most_of(self, by: Caller) -> int:
        """What may be on its way from this user, who cannot keep more than that either."""
        limit = self.models.care.limit_of(by.name)
        return min(self.most_bytes, limit) if limit else self.most_bytes


def _checked(upload: str) -> str:
    if not _UPLOAD.fullmatch(upload):
        raise InvalidArgument(f"upload_id is {upload[:60]!r}", hint="give 32 hexadecimal digits, which the SDK makes of what it sends", field="upload_id")
    return upload


async def _looked_at(pieces: AsyncIterator[Sequence[Piece]]) -> AsyncIterator[Sequence[Piece]]:
    async for some in pieces:
        for piece in some:
            check_path(piece.name.removesuffix("/"))
        yield some
