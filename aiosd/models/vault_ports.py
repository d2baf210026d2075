"""What models need of whoever keeps their bytes: the vault, the index of its chunks, and what they say to each other."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import msgspec

from aiosd.models.diff import TensorDiff
from aiosd.models.findings import ScanFinding
from aiosd.models.manifest import Chunk, Manifest
from aiosd.models.version import Schema, Version


class Stored(msgspec.Struct, frozen=True, gc=False):
    """A chunk as it lies in the store: `place` is the pack (or whole file) that has it, from `offset` for `stored_size` bytes."""

    digest: str
    size: int
    place: str
    offset: int
    stored_size: int
    encoding: str  # raw, zstd, delta (base: the chunk that it is a difference to)
    base: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """What somebody named: `path` is opened, or made, as the user `uid`.

    form        how it lies there, as in layouts.Form; "": plain files
    ours        it lies in a place of the daemon's own, and is only examined as that user
    descriptor  what this process has open under this number; `path` is then what it is to be called
    room        bytes that may be put together from what is packed there, beyond what it takes there itself; None: no quota says
    """

    path: str
    uid: int
    gid: int
    user: str
    form: str = ""
    ours: bool = False
    descriptor: tuple[int, int] | None = None
    room: int | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """Bytes of how many are read, and how many were new to the store."""

    done: int
    total: int
    stored: int = 0
    doing: str = ""


@dataclass(frozen=True, slots=True)
class Said:
    """What a layout says of the version in it: a claim, as what a user says who registers it."""

    licence: str = ""
    card: str = ""
    description: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)


class Examined(NamedTuple):
    """What is found in the files of a version: the schema, why it is to be flagged, and the names of the tensors that it has, as far as they are kept."""

    schema: Schema
    findings: Sequence[str]
    tensors: Sequence[str]


@dataclass(frozen=True, slots=True)
class Taken:
    """What a registration has brought into the store, durable but not yet remembered: garbage until it is committed."""

    manifest: Manifest
    chunks: Sequence[Stored]  # the new ones
    schema: Schema
    findings: Sequence[str] = ()  # why it is to be flagged
    tensors: Sequence[str] = ()  # the names of those that it has, as far as they are kept
    said: Said | None = None  # by what lies beside its files

    @property
    def stored_bytes(self) -> int:
        return new_bytes(self.chunks)


@dataclass(frozen=True, slots=True)
class Received:
    """What has come from another store, verified and durable but not yet remembered; `examined`: what was found in it, by the manifest."""

    chunks: Sequence[Stored]  # the new ones
    examined: Mapping[str, Examined]

    @property
    def stored_bytes(self) -> int:
        return new_bytes(self.chunks)


def new_bytes(chunks: Sequence[Stored]) -> int:
    """What is new on the disk: a file that is whole counts once, and not its chunks again."""
    return sum(chunk.stored_size for chunk in chunks if not chunk.place.startswith("whole/") or chunk.place == f"whole/{chunk.digest}")


@dataclass(frozen=True, slots=True)
class Part:
    """A chunk that lies within a file that is one chunk itself, `of`: whoever has that one has this one, too."""

    digest: str
    size: int
    of: str
    offset: int


@dataclass(frozen=True, slots=True)
class Delivery:
    """Chunks on their way. `examined`: by digest, the lists of files that nobody here has looked at; `had`: the chunks that need not come, and neither
    need `parts` of them.

    head   the digest of the head of the bundle at the source's path
    feed   where there is no bundle: pieces of chunks as they come, each with the chunk's name, one chunk after the other
    """

    manifests: Sequence[Manifest]
    examined: Collection[str] = ()
    had: Collection[str] = ()
    parts: Sequence[Part] = ()
    head: str = ""
    feed: AsyncIterator[tuple[str, bytes]] | None = None


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep has removed, or would remove: chunks that no version needs, and the bytes of the disk that are free again."""

    chunks: int
    bytes: int
    strays: int = 0  # files that no row of the index knows, as of registrations that were cut off


@dataclass(frozen=True, slots=True)
class Looked:
    """How many chunks were read back, and the digests of those that are damaged or not there; what is damaged was set aside."""

    chunks: int
    damaged: Sequence[str]


class ChunkIndex(Protocol):
    """The memory of where chunks lie. Raises DiskFull, StorageUnwritable, StorageCorrupt and Unavailable."""

    async def stored(self, digests: Collection[str]) -> Mapping[str, Stored]:
        """Those that are there, and the bases of those that are differences. One whose base is gone is not there."""

    async def within(self, places: Collection[str]) -> Sequence[Stored]:
        """All that lie in these places, by place and offset."""

    async def places(self, after: str, limit: int) -> Sequence[str]:
        """Those that have any chunk, by name, from behind `after`."""

    async def commit(self, new: Sequence[Stored], gone: Collection[tuple[str, str]]) -> None:
        """One transaction: forget each (digest, place) of `gone` that lies there still, then add what is new."""


class Vault(Protocol):
    """The bytes. Long work is done in a process of its own with bounded memory and low priority, and can be cancelled by closing the iterator."""

    def take(self, source: Source, base: Manifest | None) -> AsyncIterator[Progress | Taken]:
        """Read, chunk, compare with what is there, store what is new. `base`: the parent's, for differences. Ends with Taken.

        Commit what is taken before the iterator is closed: until then no sweep touches what the manifest names.
        raises  NotFound, Denied, InvalidArgument (what cannot be registered, with why), FailedPrecondition (it changed while it was read), DiskFull
        """

    def receive(self, source: Source, delivery: Delivery) -> AsyncIterator[Progress | Received]:
        """Compare each chunk with its name, store what is new, and look at what came as at what is registered, as this user. Ends with Received.

        Commit what was received before the iterator is closed, as for `take`.
        raises  InvalidArgument (what is damaged, or made to do harm), FailedPrecondition (something that was left out is not here), DiskFull
        """

    async def head(self, source: Source) -> bytes:
        """What the bundle at this path says of itself. Raises NotFound, Denied, InvalidArgument."""

    async def parts(self, manifests: Sequence[Manifest], base: Sequence[Manifest]) -> Sequence[Part]:
        """The chunks of `manifests`, and what they are differences to, that are parts of files which `base` has as one chunk."""

    def bundle(self, to: Source, head: bytes, manifests: Sequence[Manifest], had: Collection[str], *, replace: bool) -> AsyncIterator[Progress | str]:
        """A bundle at `to.path`, made as this user, with the chunks of `manifests` but for those that whoever reads it `had`. Ends with the path.

        raises  DataLoss, AlreadyExists (there is something, and it is not to be replaced), Denied, NotFound, DiskFull
        """

    def lay(self, to: Source, version: Version, manifest: Manifest, tag: str, *, replace: bool) -> AsyncIterator[Progress | str]:
        """A version in the form of `to.form` at `to.path`, made as this user; called `tag` where it has a name. Ends with the path. Raises as `bundle`."""

    def give(self, manifest: Manifest, to: Source) -> AsyncIterator[Progress | str]:
        """A verified, read-only path of all of it that this user can read; with `to.path` a copy of the user's own there. Ends with the path.

        raises  DataLoss, AlreadyExists (there is something at `to.path`), Denied, NotFound, Exhausted, DiskFull
        """

    def chunks(self, wanted: Sequence[tuple[Chunk, int]]) -> AsyncIterator[tuple[Chunk, int, bytes]]:
        """These chunks one after another, each from its offset: pieces of them with where they begin, verified. Raises DataLoss."""

    def verify(self, manifests: Sequence[Manifest], permille: int) -> AsyncIterator[Progress | Looked]:
        """Read back and compare, so many of a thousand chunks. Ends with Looked."""

    def verify_all(self, permille: int) -> AsyncIterator[Progress | Looked]:
        """All that is stored, whoever needs it: some of it at a time, each with what was seen of it."""

    async def scrub(self, share: float) -> Sequence[str]:
        """Read back the next part (0 to 1) of all that is stored, for a background task. The digests that are damaged, which are set aside."""

    async def there(self, digests: Collection[str]) -> Mapping[str, str]:
        """Of these chunks those that are in the store, each with the whole file that it is a part of, "": with none."""

    async def missing(self, manifest: Manifest) -> Sequence[str]:
        """The chunks of it that are not in the store (any more); none: it is whole, as far as is known."""

    async def examine(self, manifest: Manifest) -> Sequence[ScanFinding]:
        """What the scanner says of it, in a process of its own with limits. Raises DataLoss, Exhausted, DiskFull."""

    async def sweep(self, live: AsyncIterator[Collection[str]], grace_s: float, *, dry_run: bool) -> Swept:
        """Remove what is stored, older than `grace_s`, and not among the digests of `live`, which is read once, from now on."""


class TensorDiffs(Protocol):
    """Compares two versions tensor by tensor; offered by the vault, which has the bytes."""

    async def __call__(self, a: Manifest, b: Manifest) -> TensorDiff:
        """The foremost changes, see `TensorDiff`. Raises DataLoss, Exhausted (it takes more than is allowed), DiskFull."""
