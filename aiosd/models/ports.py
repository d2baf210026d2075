"""What models need of the doors: a memory of versions and references, and a worker that moves the bytes."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from aiosd.access.principal import Principal
from aiosd.models.diff import TensorDiff
from aiosd.models.manifest import Manifest
from aiosd.models.model import Model, Move, Reference, Signature
from aiosd.models.version import Kind, Lineage, Schema, Version, VersionState


@dataclass(frozen=True, slots=True)
class Stored:
    """A chunk as it lies in the store: `place` is the pack (or whole file) that has it, from `offset` for `stored_size` bytes."""

    digest: str
    size: int
    place: str
    offset: int
    stored_size: int
    encoding: str  # raw, zstd, delta (base: the chunk that it is a difference to)
    base: str = ""


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
    references: Sequence[RefChange] = ()
    signatures: Sequence[Signature] = ()
    states: Sequence[Version] = ()  # whose state or reasons have changed
    gone_versions: Sequence[tuple[Kind, str, str]] = ()  # (kind, model, id)
    gone_models: Sequence[tuple[Kind, str]] = ()
    gone_manifests: Sequence[str] = ()  # those of them that no version has (any more)
    requests: Sequence[Registered] = ()


@dataclass(frozen=True, slots=True)
class ModelQuery:
    """Which models to list; empty fields match all. `metrics`: (name, operator, value)."""

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
        """By name; all that match, whoever may see them."""

    async def model(self, kind: Kind, name: str) -> Model | None: ...

    async def version(self, kind: Kind, model: str, version_id: str) -> Version | None:
        """`version_id`: all of it, or at least 4 letters of its beginning. Raises InvalidArgument when several begin so."""

    async def picked(self, kind: Kind, wanted: Collection[tuple[str, str]]) -> Mapping[tuple[str, str], Version]:
        """Those versions by (model, whole id) that are there."""

    async def graph(self, kind: Kind, model: str, after: int = 0) -> Sequence[Node]:
        """All versions of one model with a number above `after`, newest first, without what is in them."""

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


@dataclass(frozen=True, slots=True)
class Progress:
    """Bytes of how many are read, and how many were new to the store."""

    done: int
    total: int
    stored: int = 0
    doing: str = ""


@dataclass(frozen=True, slots=True)
class Taken:
    """What a registration has brought into the store, durable but not yet remembered: garbage until it is committed."""

    manifest: Manifest
    chunks: Sequence[Stored]  # the new ones
    schema: Schema
    findings: Sequence[str] = ()  # why it is to be flagged

    @property
    def stored_bytes(self) -> int:
        """What is new on the disk: a file that is whole counts once, and not its chunks again."""
        return sum(chunk.stored_size for chunk in self.chunks if not chunk.place.startswith("whole/") or chunk.place == f"whole/{chunk.digest}")


@dataclass(frozen=True, slots=True)
class Source:
    """What somebody named: `path` is opened, or made, as the user `uid`."""

    path: str
    uid: int
    gid: int
    user: str


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

    def give(self, manifest: Manifest, to: Source) -> AsyncIterator[Progress | str]:
        """A verified, read-only path of all of it that this user can read; with `to.path` a copy of the user's own there. Ends with the path.

        raises  DataLoss, AlreadyExists (there is something at `to.path`), Denied, NotFound, Exhausted, DiskFull
        """

    def read(self, manifest: Manifest, file: str, offset: int) -> AsyncIterator[bytes]:
        """Bytes of one file from `offset`, verified. Raises DataLoss, NotFound (no such file), InvalidArgument."""

    def verify(self, manifests: Sequence[Manifest], permille: int) -> AsyncIterator[Progress | Sequence[str]]:
        """Read back and compare, so many of a thousand chunks. Ends with the digests that are damaged, which are set aside."""

    async def scrub(self, share: float) -> Sequence[str]:
        """Read back the next part (0 to 1) of all that is stored, for a background task. The digests that are damaged, which are set aside."""

    async def missing(self, manifest: Manifest) -> Sequence[str]:
        """The chunks of it that are not in the store (any more); none: it is whole, as far as is known."""

    async def sweep(self, live: AsyncIterator[Collection[str]], grace_s: float, *, dry_run: bool) -> Swept:
        """Remove what is stored, older than `grace_s`, and not among the digests of `live`, which is read once, from now on."""


class TensorDiffs(Protocol):
    """Compares two versions tensor by tensor; offered by the readers of formats."""

    async def __call__(self, a: Manifest, b: Manifest) -> TensorDiff: ...


class Pins(Protocol):
    """What keeps versions beside their references, as running jobs and deployments do."""

    async def __call__(self) -> Sequence[Pin]: ...


class Lineages(Protocol):
    """Completes what the client knows of where a version comes from with what only the daemon does; refuses a job that is not the caller's."""

    async def __call__(self, given: Lineage, by: Principal) -> Lineage: ...
