"""The records of models and datasets as the daemon reports them: plain values, times in Unix seconds, sizes in bytes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

MODEL, DATASET = "model", "dataset"
_SHORT = 12


@dataclass(frozen=True, slots=True)
class Tensor:
    """A dimension of -1 may have any size; an empty `shape`: a scalar, or not known."""

    name: str
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Schema:
    """What the files say of themselves. 0 and "": not known."""

    format: str
    framework: str
    opset: int
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    parameters: int
    tensors: int
    metadata: Mapping[str, str]
    notes: tuple[str, ...]  # what could not be read, and why


@dataclass(frozen=True, slots=True)
class Lineage:
    """Where a version comes from; `models` and `datasets`: "name@id" of what its job read through AIOS."""

    job_id: str
    command: tuple[str, ...]
    cwd: str
    git_commit: str
    git_branch: str
    git_remote: str
    git_dirty: bool
    python: str
    packages: Mapping[str, str] = field(repr=False)
    models: tuple[str, ...]
    datasets: tuple[str, ...]
    gpu_hours: float
    host: str


@dataclass(frozen=True, slots=True)
class StoredFile:
    path: str
    size: int
    digest: str
    executable: bool


@dataclass(frozen=True, slots=True)
class Signature:
    key_id: str
    format: str
    signature: bytes = field(repr=False)
    signed_at_s: float
    signed_by: str


@dataclass(frozen=True, slots=True)
class Version:
    """An immutable version; `number` counts those of its model from 1, `references` lead here now. `state` changes with what is found out.

    state  "registered"; "flagged": it may run code when it is loaded; "allowed": it was flagged, and somebody looked; "damaged";
           "absent": it came as part of a history, without its bytes
    """

    model: str
    kind: str
    id: str
    number: int
    parents: tuple[str, ...]
    author: str
    created_at_s: float
    message: str
    metrics: Mapping[str, float]
    labels: Mapping[str, str]
    licence: str
    card: str = field(repr=False)  # what is long is left out where a person looks at one in Python
    schema: Schema = field(repr=False)
    lineage: Lineage = field(repr=False)
    manifest: str = field(repr=False)
    size: int
    files: int
    stored_bytes: int  # what it added to the store, or took over from one that is gone
    references: tuple[str, ...]
    state: str
    reasons: tuple[str, ...]
    signatures: tuple[Signature, ...]
    listing: tuple[StoredFile, ...] = field(repr=False)  # where it was asked for
    used_by: tuple[str, ...] = field(default=(), repr=False)  # "digits@0123456789ab": what jobs have made of it; where one version was asked for
    existed: bool = False  # of a registration: the branch was at just this already

    def __str__(self) -> str:
        return f"{self.model}@{self.id[:_SHORT]}"


@dataclass(frozen=True, slots=True)
class ScanFinding:
    """severity  "danger", "unknown" (a name that is not on the list of what is harmless) or "broken" (it cannot be followed to its end)"""

    file: str
    severity: str
    what: str


@dataclass(frozen=True, slots=True)
class Scan:
    """What a version would do when it is loaded, beyond being data."""

    state: str
    findings: tuple[ScanFinding, ...]


@dataclass(frozen=True, slots=True)
class SignatureCheck:
    """`reason`: why it is not `valid`."""

    version: Version
    key_id: str
    valid: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Reference:
    """A branch, tag or alias, and the version it leads to."""

    model: str
    name: str
    kind: str
    version: str
    moved_at_s: float
    moved_by: str


@dataclass(frozen=True, slots=True)
class Move:
    """One move of a reference; `source` "": it was made, `target` "": it was removed."""

    reference: str
    kind: str
    source: str
    target: str
    who: str
    at_s: float
    why: str


@dataclass(frozen=True, slots=True)
class Model:
    """`latest` is the version that the bare name stands for: that of main, else the newest. Rules of retention: 0 is none.

    found    of a search that asks for versions of a kind: the one it has found, `latest` where that is such a one, else the newest that is
    damaged  why its record in the daemon's database cannot be read; then little else is known of it
    """

    name: str
    kind: str
    owner: str
    description: str
    visibility: str
    group: str
    roles: Mapping[str, str]
    require_signature: bool
    keep_last: int
    keep_for_s: float
    versions: int
    references: tuple[Reference, ...]
    latest: Version | None
    size: int
    stored_bytes: int
    created_at_s: float
    trusted_keys: tuple[str, ...] = ()  # ids of those whose signatures count
    damaged: str = ""
    found: Version | None = None


@dataclass(frozen=True, slots=True)
class Merge:
    """`how`: "fast-forward", "already there" or "merge"."""

    version: Version
    how: str


@dataclass(frozen=True, slots=True)
class Change:
    """`what` as a path, "metrics.accuracy"; "" where one of them has none."""

    what: str
    a: str
    b: str


@dataclass(frozen=True, slots=True)
class FileChange:
    path: str
    change: str  # added, removed, changed
    size_a: int
    size_b: int


@dataclass(frozen=True, slots=True)
class TensorChange:
    """`a` and `b` describe it, "float32 [64, 10]"; `relative_norm` of the difference to what it was; None: see `note`, or it does not apply.

    change  "added", "removed", "dtype", "shape", "changed"; "unknown": its bytes could not be compared
    """

    name: str
    change: str
    a: str
    b: str
    relative_norm: float | None
    file: str
    note: str


@dataclass(frozen=True, slots=True)
class Diff:
    """`tensors`, where they were asked for: what changed the network first, then those that moved, the furthest first."""

    a: Version
    b: Version
    changes: tuple[Change, ...]
    files: tuple[FileChange, ...]
    tensors: tuple[TensorChange, ...]
    tensors_unchanged: int
    tensors_left_out: int  # so many changes more than are listed
    tensor_notes: tuple[str, ...]  # files that could not be compared, and why


@dataclass(frozen=True, slots=True)
class Damage:
    """A chunk that does not read back, and the versions that have it; `healed`: it does again."""

    digest: str
    problem: str
    versions: tuple[str, ...]
    healed: bool


@dataclass(frozen=True, slots=True)
class Verified:
    chunks: int  # that were looked at
    damaged: tuple[Damage, ...]
    healed: tuple[Damage, ...]

    @property
    def sound(self) -> bool:
        return not self.damaged


@dataclass(frozen=True, slots=True)
class Garbage:
    """What went, or would go, and why the rest stays."""

    removed: tuple[str, ...]
    chunks: int
    bytes: int
    kept_because: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class UserUsage:
    user: str
    size: int
    stored_bytes: int
    limit_bytes: int  # 0: none
    models: int
    versions: int


@dataclass(frozen=True, slots=True)
class Usage:
    users: tuple[UserUsage, ...]
    store_bytes: int
    free_bytes: int


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a registration, checkout or verification is; `stored`: bytes that were new to the store."""

    done: int
    total: int
    stored: int = 0
    doing: str = ""


@dataclass(frozen=True, slots=True)
class Transfer:
    """A version that is at two daemons now. Chunks that were sent, and that the other had already; `bytes_sent`: breaks included."""

    version: Version
    chunks_sent: int
    chunks_had: int
    bytes_sent: int


OnProgress = Callable[[Progress], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What can be set for a model; None leaves it. `roles`: user or "@group" -> reader, writer, owner; "" takes one away."""

    description: str | None = None
    visibility: str | None = None
    group: str | None = None
    roles: Mapping[str, str] = field(default_factory=dict)
    require_signature: bool | None = None
    trust_keys: tuple[str, ...] = ()  # files of public keys
    distrust_keys: tuple[str, ...] = ()  # ids, or how they begin
    keep_last: int | None = None
    keep_for: str | float | None = None
