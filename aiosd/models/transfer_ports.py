"""What transfers need of the doors: a place for what is on its way here."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a file or chunk; `size` is that of all of it. A file's `name` is a relative path, with "/" at its end an empty directory."""

    name: str
    offset: int
    data: bytes
    size: int
    executable: bool = False


class Stage(Protocol):
    """What is on its way here, each user's own. `most`: the bytes that all of it may take. Raises Exhausted, DiskFull, StorageUnwritable."""

    async def uploaded(self, uid: int, upload: str) -> Sequence[tuple[str, int]]:
        """The files of an upload that are there, and how much of each; directories with a "/" at their end."""

    def upload(self, uid: int, upload: str) -> str:
        """Where it lies."""

    async def files(self, uid: int, upload: str, pieces: AsyncIterator[Sequence[Piece]], most: int) -> int:
        """Add to an upload, and make it young again; the bytes that came. Raises InvalidArgument for what does not follow what is there."""

    async def chunks(self, uid: int, pieces: AsyncIterator[Sequence[Piece]], most: int) -> int:
        """The same for chunks. Raises DataLoss for one that is not what its name says."""

    async def lengths(self, uid: int, digests: Collection[str]) -> Mapping[str, int]:
        """From where on these chunks are to be sent, which may be a little before what is there; -1: all of it is."""

    def read(self, uid: int, digest: str) -> AsyncIterator[bytes]:
        """A chunk that came whole, in pieces. Raises NotFound."""

    async def drop(self, uid: int, upload: str = "", chunks: Collection[str] = ()) -> None:
        """What is not needed any more."""
