"""What models need of the doors: a memory of versions and references, and a worker that moves the bytes."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, Protocol

import msgspec

from aiosd.access.principal import Principal
from aiosd.models.diff import TensorDiff
from aiosd.models.findings import ScanFinding
from aiosd.models.manifest import Chunk, Manifest
from aiosd.models.model import Model, Move, Reference, Signature
from aiosd.models.version import Kind, Lineage, Schema, Version, VersionState


class Stored(msgspec.Struct, frozen=True, gc=False):
    """A chunk as it lies in the store: `place` is the pack (or whole file) that has it, from `offset` for `stored_size` bytes."""

    digest: str
    size: int
    place: str
    offset: int
    stored_size: int
    encoding: str  # raw, zstd, delta (base: the chunk that it is a difference to)
    base: str = ""


class UseRole(StrEnum):
    READ = "read"
    MADE = "made"


@dataclass(frozen=True, slots=True)
class Use:
    """A job has read this version, or made it."""

    job_id: str
    role: UseRole
    kind: Kind
    model: str
    version: str
    at_s: float


@dataclass(frozen=True, slots=True)
class RefChange:
    """Compare and set: `expected` None: wherever it is; "": it must not exist. `move.target` "" removes it."""

    kind: Kind
    model: str
    move: Move
    expected: str | None


@dataclass(frozen=True, slots=True)
class Registered:
    """What a registration with an idempotency key has made."""

    uid: int
    key: str
    kind: Kind
    model: str
    version: str
    at_s: float


class Node(NamedTuple):
    """A version as its history needs it; `parents`: the first is the one it follows, and none need be there any more."""

    number: int
    id: str
    parents: tuple[str, ...]
    manifest: str
    created_at_s: float


@dataclass(frozen=True, slots=True)
class Summary:
    """The versions of one model in numbers; `newest` is the id of the last one."""

    versions: int = 0
    size: int = 0
    stored_bytes: int = 0
    newest: str = ""
    references: Sequence[Reference] = ()


@dataclass(frozen=True, slots=True)
class Holding:
    """What one user's models and datasets take."""

    models: int = 0
    versions: int = 0
    size: int = 0
    stored_bytes: int = 0


@dataclass(frozen=True, slots=True)
class ModelChanges:
    """Committed as one transaction or not at all.

    Nothing is done, and Conflict raised, when a reference is elsewhere than its RefChange expects, when one would lead to a
    version that is not there, or when a version would go that a reference leads to. A model that goes takes all of its own with it.
    """

    models: Sequence[Model] = ()
    versions: Sequence[tuple[Version, bytes]] = ()  # with the bytes of the commit
    chunks: Sequence[Stored] = ()
    manifests: Mapping[str, bytes] = field(default_factory=dict)  # by digest
    tensors: Mapping[str, Sequence[str]] = field(default_factory=dict)  # the names of those that a manifest has
    references: Sequence[RefChange] = ()
    signatures: Sequence[Signature] = ()
    states: Sequence[Version] = ()  # whose state or reasons have changed
    gone_versions: Sequence[tuple[Kind, str, str]] = ()  # (kind, model, id)
    gone_models: Sequence[tuple[Kind, str]] = ()
    gone_manifests: Sequence[str] = ()  # those of them that no version has (any more)
    requests: Sequence[Registered] = ()
    uses: Sequence[Use] = ()


@dataclass(frozen=True, slots=True)
class ModelQuery:
    """Which models to list; empty fields match all.

    text     words, each of which stands somewhere, or begins a word there: in the name, the description, or any version
    metrics  (name, operator, value)
    tensor   the name of one, in which * and ? stand for anything
    """

    kind: Kind = Kind.MODEL
    text: str = ""
    format: str = ""
    metrics: tuple[tuple[str, str, float], ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    author: str = ""
    job_id: str = ""
    tensor: str = ""


@dataclass(frozen=True, slots=True)
class Pin:
    """Something that uses a version: "job 42", "deployment digits"."""

    kind: Kind
    model: str
    version: str
    why: str


class ModelStore(Protocol):
    """The memory of models. Raises Conflict, DiskFull, StorageUnwritable, StorageCorrupt and Unavailable."""

    async def commit(self, changes: ModelChanges) -> None:
        """Make `changes` one durable fact. Raises Conflict with what was expected and what is there."""

    async def models(self, query: ModelQuery) -> Sequence[Model]:
        """By name, or where there is a text by how well it fits, then by name; all that match, whoever may see them."""

    async def model(self, kind: Kind, name: str) -> Model | None: ...

    async def version(self, kind: Kind, model: str, version_id: str) -> Version | None:
        """`version_id`: all of it, or at least 4 letters of its beginning. Raises InvalidArgument when several begin so."""

    async def picked(self, kind: Kind, wanted: Collection[tuple[str, str]]) -> Mapping[tuple[str, str], Version]:
        """Those versions by (model, whole id) that are there."""

    async def graph(self, kind: Kind, model: str, after: int = 0) -> Sequence[Node]:
        """All versions of one model with a number above `after`, newest first, without what is in them."""

    async def last_number(self, kind: Kind, model: str) -> int:
        """The highest that a version of it has had, also one that is gone; 0: none."""

    async def tally(self, kind: Kind, model: str) -> tuple[int, str]:
        """How many versions it has, and the id of the newest: as long as these are the same, so is its graph."""

    async def summaries(self, kind: Kind, models: Collection[str]) -> Mapping[str, Summary]:
        """Of these models, those that are there."""

    async def holdings(self) -> Mapping[int, Holding]:
        """By the owner's uid."""

    async def registered(self, uid: int, key: str) -> Registered | None:
        """What this user's registration with this key has made."""

    async def in_state(self, state: VersionState) -> Sequence[Version]:
        """Of models and datasets alike, those that can be read."""

    async def manifest_digests(self) -> Sequence[str]:
        """Of all that are kept, used or not."""

    async def stored_bytes(self) -> int:
        """What all chunks together take."""

    async def versions(self, kind: Kind, model: str, before: int, limit: int) -> Sequence[Version]:
        """Newest first, those with a number below `before` (0: all)."""

    async def versions_with(self, manifest: str) -> Sequence[Version]:
        """Of models and datasets alike, those that have this list of files and can be read."""

    async def commit_bytes(self, version_id: str) -> bytes | None: ...

    async def references(self, kind: Kind, model: str) -> Sequence[Reference]: ...

    async def moves(self, kind: Kind, model: str, reference: str, before: int, limit: int) -> Sequence[tuple[int, Move]]:
        """Newest first, each with its number."""

    async def targets(self, kind: Kind, model: str, reference: str) -> Sequence[str]:
        """Where this reference has been led, oldest first; "": it was removed."""

    async def manifest(self, digest: str) -> Manifest | None: ...

    async def manifests(self, digests: Collection[str]) -> Mapping[str, Manifest]:
        """Of these, those that are there."""

    async def signatures(self, version_id: str) -> Sequence[Signature]: ...

    async def uses(self, job_ids: Collection[str]) -> Sequence[Use]:
        """What these jobs have read and made, oldest first; some of it may be gone."""

    async def made_from(self, version_id: str) -> Sequence[Use]:
        """What the jobs have made that have read this version, newest first."""


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
class Source:
    """What somebody named: `path` is opened, or made, as the user `uid`.

    form        how it lies there, as in layouts.Form; "": plain files
    ours        it lies in a place of the daemon's own, and is only examined as that user
    descriptor  what this process has open under this number; `path` is then what it is to be called
    """

    path: str
    uid: int
    gid: int
    user: str
    form: str = ""
    ours: bool = False
    descriptor: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep has removed, or would remove: chunks that no version needs, and the bytes of the disk that are free again."""

    chunks: int
    bytes: int
    strays: int = 0  # files that no row of the index knows, as of registrations that were cut off


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

    def read(self, manifest: Manifest, file: str, offset: int) -> AsyncIterator[bytes]:
        """Bytes of one file from `offset`, verified. Raises DataLoss, NotFound (no such file), InvalidArgument."""

    def chunks(self, wanted: Sequence[tuple[Chunk, int]]) -> AsyncIterator[tuple[Chunk, int, bytes]]:
        """These chunks one after another, each from its offset: pieces of them with where they begin, verified. Raises DataLoss."""

    def verify(self, manifests: Sequence[Manifest], permille: int) -> AsyncIterator[Progress | Sequence[str]]:
        """Read back and compare, so many of a thousand chunks. Ends with the digests that are damaged, which are set aside."""

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


class Pins(Protocol):
    """What keeps versions beside their references, as running jobs and deployments do."""

    async def __call__(self) -> Sequence[Pin]: ...


class Reads(Protocol):
    """Remembers that a job of the caller reads a version, which stays for as long as that job does; refuses a job that is not the caller's."""

    async def __call__(self, job_id: str, version: Version, by: Principal) -> None: ...


class Lineages(Protocol):
    """Completes what the client knows of where a version comes from with what only the daemon does; refuses a job that is not the caller's."""

    async def __call__(self, given: Lineage, by: Principal) -> Lineage: ...
