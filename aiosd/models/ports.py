"""What models need of whoever remembers them: versions, references, and who has used what."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, Protocol

from aiosd.access.principal import Principal
from aiosd.models.manifest import Manifest
from aiosd.models.model import Model, Move, Reference, Signature
from aiosd.models.vault_ports import Stored
from aiosd.models.version import Kind, Lineage, Version, VersionState


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
    """The versions of one model in numbers; `newest` is the id of the last one that is not absent, or where all are, of the last."""

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
    version that is not there, or absent, or when a version would go that a reference leads to. A model that goes takes all of its own with it.
    """

    models: Sequence[Model] = ()
    versions: Sequence[tuple[Version, bytes]] = ()  # with the bytes of the commit
    chunks: Sequence[Stored] = ()
    manifests: Mapping[str, bytes] = field(default_factory=dict)  # by digest
    tensors: Mapping[str, Sequence[str]] = field(default_factory=dict)  # the names of those that a manifest has
    references: Sequence[RefChange] = ()
    signatures: Sequence[Signature] = ()
    filled: Sequence[Version] = ()  # that were absent, and whose bytes have come
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

    @property
    def of_versions(self) -> bool:
        """Whether it asks for a version of a kind, and so finds one."""
        return bool(self.format or self.metrics or self.labels or self.author or self.job_id or self.tensor)


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
        """By name, or where there is a text by how well it fits, then by name; all that match, whoever may see them, and DamagedModel for those that are."""

    async def matching(self, query: ModelQuery, latest: Mapping[str, str]) -> Mapping[str, str]:
        """Of each of these models the version that `query` finds: the one that is its latest, given by model, where that fits, else the newest that does."""

    async def model(self, kind: Kind, name: str) -> Model | None:
        """Raises StorageCorrupt for one that is damaged."""

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

    async def absent(self, kind: Kind, model: str) -> Collection[str]:
        """The ids of its versions that only the commits of are here."""

    async def in_state(self, state: VersionState) -> Sequence[Version]:
        """Of models and datasets alike, those that can be read."""

    async def manifest_digests(self) -> Sequence[str]:
        """Of all that are kept, used or not."""

    async def stored_bytes(self) -> int:
        """What all chunks together take."""

    async def versions(self, kind: Kind, model: str, before: int, limit: int) -> Sequence[Version]:
        """Newest first, those with a number below `before` (0: all)."""

    async def versions_with(self, manifest: str) -> Sequence[Version]:
        """Of models and datasets alike, those that have this list of files, are not absent, and can be read."""

    async def commit_bytes(self, version_id: str) -> bytes | None:
        """Raises StorageCorrupt for one that is damaged."""

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


class Pins(Protocol):
    """What keeps versions beside their references, as running jobs and deployments do."""

    async def __call__(self) -> Sequence[Pin]: ...


class Reads(Protocol):
    """Remembers that a job of the caller reads a version, which stays for as long as that job does; refuses a job that is not the caller's."""

    async def __call__(self, job_id: str, version: Version, by: Principal) -> None: ...


class Lineages(Protocol):
    """Completes what the client knows of where a version comes from with what only the daemon does; refuses a job that is not the caller's."""

    async def __call__(self, given: Lineage, by: Principal) -> Lineage: ...
