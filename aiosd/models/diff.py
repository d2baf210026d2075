"""What differs between two versions: what is said of them, what can be read from them, and their files."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from aiosd.models.manifest import FileEntry, Manifest
from aiosd.models.version import Commit, Schema, Tensor, Version, VersionState

ADDED, REMOVED, CHANGED = "added", "removed", "changed"
_FACTS = ("message", "author", "licence", "card")
_SCHEMA = ("format", "framework", "opset", "parameters", "tensors")
_LINEAGE = ("job_id", "cwd", "git_commit", "git_branch", "git_remote", "git_dirty", "python", "host")


@dataclass(frozen=True, slots=True)
class Change:
    """`what` as a path: "metrics.accuracy"; `a` or `b` is "" where there is none."""

    what: str
    a: str
    b: str


@dataclass(frozen=True, slots=True)
class FileChange:
    path: str
    change: str
    size_a: int
    size_b: int


@dataclass(frozen=True, slots=True)
class TensorChange:
    """`relative_norm` is ||a-b|| / ||a||; None where it does not apply, or cannot be given: `note` says why then."""

    name: str
    change: str  # added, removed, dtype, shape, changed; unknown: its bytes could not be compared
    before: str = ""  # "float32 [2, 3]"
    after: str = ""
    relative_norm: float | None = None
    note: str = ""
    file: str = ""


@dataclass(frozen=True, slots=True)
class TensorDiff:
    """Tensor by tensor. `left_out`: so many changes more than are listed; `notes`: files that could not be compared, and why."""

    changes: Sequence[TensorChange] = ()
    unchanged: int = 0
    notes: Sequence[str] = ()
    left_out: int = 0

    def foremost(self, most: int) -> "TensorDiff":
        """What changed the network first, then the tensors that moved, the furthest first; of all that the first `most`."""
        ordered = sorted(self.changes, key=_weight)
        return TensorDiff(ordered[:most], self.unchanged, self.notes, max(0, len(ordered) - most))


def _weight(change: TensorChange) -> tuple[bool, float]:
    """One whose norm cannot be given may have moved as far as any."""
    return change.change == CHANGED, float("-inf") if change.relative_norm is None else -change.relative_norm


@dataclass(frozen=True, slots=True)
class Diff:
    """`tensors` None: they were not asked for."""

    a: Version
    b: Version
    changes: Sequence[Change]
    files: Sequence[FileChange]
    tensors: TensorDiff | None = None


def compared(a: Version, b: Version, files_a: Manifest, files_b: Manifest) -> Diff:
    return Diff(a, b, tuple(_changes(a.commit, b.commit)), tuple(_files(files_a, files_b)))


def unread(a: Version, b: Version, *, tensors: bool) -> Diff:
    """Of versions of which the bytes of one are not here: what is said of them; equal lists of files have equal names."""
    changes = list(_changes(a.commit, b.commit))
    if a.commit.manifest != b.commit.manifest:
        changes.append(Change("files", *("not here" if one.state is VersionState.ABSENT else f"{one.files} here" for one in (a, b))))
    return Diff(a, b, changes, (), TensorDiff(notes=("the bytes of one of them are not here",)) if tensors else None)


def _changes(a: Commit, b: Commit) -> Iterator[Change]:
    yield from _mapping("metrics", _numbers(a.metrics), _numbers(b.metrics))
    yield from _mapping("labels", a.labels, b.labels)
    yield from _mapping("", {name: getattr(a, name) for name in _FACTS}, {name: getattr(b, name) for name in _FACTS})
    yield from _schema(a.schema, b.schema)
    yield from _mapping("lineage", {name: _text(getattr(a.lineage, name)) for name in _LINEAGE}, {name: _text(getattr(b.lineage, name)) for name in _LINEAGE})
    yield from _mapping("lineage.packages", a.lineage.packages, b.lineage.packages)


def _schema(a: Schema, b: Schema) -> Iterator[Change]:
    yield from _mapping("schema", {name: _text(getattr(a, name)) for name in _SCHEMA}, {name: _text(getattr(b, name)) for name in _SCHEMA})
    for side in ("inputs", "outputs"):
        yield from _mapping(f"schema.{side}", *({tensor.name: described(tensor) for tensor in getattr(schema, side)} for schema in (a, b)))
    yield from _mapping("schema.metadata", a.metadata, b.metadata)


def described(tensor: Tensor) -> str:
    """ "float32 [?, 64]"; a shape that is not known is left out."""
    if tensor.shape is None:
        return tensor.dtype
    return f"{tensor.dtype} [{', '.join('?' if size < 0 else str(size) for size in tensor.shape)}]"


def _mapping(path: str, a: Mapping[str, str], b: Mapping[str, str]) -> Iterator[Change]:
    for name in sorted(a.keys() | b.keys()):
        if a.get(name, "") != b.get(name, ""):
            yield Change(f"{path}.{name}" if path else name, a.get(name, ""), b.get(name, ""))


def _numbers(values: Mapping[str, float]) -> dict[str, str]:
    return {name: f"{value:.10g}" for name, value in values.items()}


def _text(value: object) -> str:
    """0 and False say that nothing is known, as "" does."""
    return str(value) if value else ""


def _files(a: Manifest, b: Manifest) -> Iterator[FileChange]:
    if a.single and b.single:  # one file by whatever name
        before, after = a.files[0], b.files[0]
        if before.digest != after.digest:
            yield FileChange(after.path, CHANGED, before.size, after.size)
        return
    olds, news = ({entry.path: entry for entry in manifest.files} for manifest in (a, b))
    for path in sorted(olds.keys() | news.keys()):
        change = _file(path, olds.get(path), news.get(path))
        if change is not None:
            yield change


def _file(path: str, old: FileEntry | None, new: FileEntry | None) -> FileChange | None:
    if old is not None and new is not None:
        same = old.digest == new.digest and old.executable == new.executable
        return None if same else FileChange(path, CHANGED, old.size, new.size)
    if old is None:
        return FileChange(path, ADDED, 0, new.size) if new is not None else None
    return FileChange(path, REMOVED, old.size, 0)
