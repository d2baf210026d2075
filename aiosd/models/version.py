"""A version: an immutable commit that says what was registered, by whom, from what, and what is known of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import msgspec

from aiosd.models.manifest import digest_of


class Kind(StrEnum):
    """What a name names; models and datasets have name spaces of their own."""

    MODEL = "model"
    DATASET = "dataset"


class VersionState(StrEnum):
    """What may be done with a version. It is no part of its identity: it changes with what is found out."""

    REGISTERED = "registered"
    FLAGGED = "flagged"  # it may run code when it is loaded: a checkout takes who has the right to say so
    ALLOWED = "allowed"  # it was flagged, and somebody with the right has looked
    DAMAGED = "damaged"  # a chunk of it does not read back
    ABSENT = "absent"  # only its commit is here, as part of a history: nothing is handed out, and no reference leads to it


@dataclass(frozen=True, slots=True)
class Tensor:
    """A dimension of -1 may have any size; `shape` None: not known."""

    name: str
    dtype: str
    shape: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Schema:
    """What its files say of a model. `parameters` 0: not known; `notes`: what could not be read, and why."""

    format: str = "other"
    framework: str = ""
    opset: int = 0
    inputs: tuple[Tensor, ...] = ()
    outputs: tuple[Tensor, ...] = ()
    parameters: int = 0
    tensors: int = 0
    metadata: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Lineage:
    """Where a version comes from; `models` and `datasets`: "name@id" of what its job read through AIOS."""

    job_id: str = ""
    command: tuple[str, ...] = ()
    cwd: str = ""
    git_commit: str = ""
    git_branch: str = ""
    git_remote: str = ""
    git_dirty: bool = False
    python: str = ""
    packages: Mapping[str, str] = field(default_factory=dict)
    models: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    gpu_hours: float = 0.0
    host: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """What the id of a version is made from: never changed."""

    kind: Kind
    manifest: str  # digest
    parents: tuple[str, ...] = ()
    author: str = ""
    created_at_s: float = 0.0
    message: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    licence: str = ""
    card: str = ""
    schema: Schema = Schema()
    lineage: Lineage = Lineage()

    def encode(self) -> bytes:
        """The one way to write it."""
        return msgspec.json.encode(self, order="deterministic")

    @property
    def id(self) -> str:
        return digest_of(self.encode())


def decode_commit(data: bytes) -> Commit:
    """Raises msgspec.DecodeError and ValidationError for what `encode` did not write."""
    return msgspec.json.decode(data, type=Commit)


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A commit of one model, with what is found out about it. `number` counts the versions of its model from 1."""

    model: str
    number: int
    id: str
    commit: Commit
    size: int
    files: int
    stored_bytes: int
    state: VersionState = VersionState.REGISTERED
    reasons: tuple[str, ...] = ()
