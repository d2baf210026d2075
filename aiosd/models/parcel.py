"""What travels from store to store beside the chunks: commits, lists of files and where they led; checked before any of it is believed."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

import msgspec

from aiosd.errors import InvalidArgument
from aiosd.models.draft import MOST_COMMIT, Draft
from aiosd.models.history import SHORT
from aiosd.models.manifest import DIGEST_LETTERS, Chunk, FileEntry, Manifest, decode_manifest, digest_of, path_problem
from aiosd.models.model import Signature
from aiosd.models.vault_ports import Part
from aiosd.models.version import Commit, Kind, decode_commit

MOST_VERSIONS = 10_000  # in one parcel, and of those that come before them
MOST_ANCESTRY_BYTES = 32 << 20  # of the commits that come before: where there are more, the history ends earlier
MOST_PART, MOST_SIZE = 64 << 20, 1 << 60  # bytes of a piece of a file, and of a file
_LATEST_S = 1e11  # since 1970: what a clock may say
_HEX = frozenset("0123456789abcdef")


@dataclass(frozen=True, slots=True)
class Sent:
    """A version as it travels: `commit` are the bytes that its id is the digest of. `branch` "": nothing leads to it but what comes after it.

    flags  why it is flagged where it comes from; "": it is not
    """

    commit: bytes
    branch: str = ""
    tags: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    signatures: tuple[Signature, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """Versions of one model, the first that were made first.

    base      the ids of versions whose chunks are left out
    ancestry  commits that come before the versions, the last that were made first: the history, without what they are the commits of
    parts     of files of the base, which are left out as well
    """

    model: str
    kind: Kind = Kind.MODEL
    description: str = ""
    versions: tuple[Sent, ...] = ()
    manifests: tuple[bytes, ...] = ()
    base: tuple[str, ...] = ()
    ancestry: tuple[bytes, ...] = ()
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True, slots=True)
class Opened:
    """A parcel that is what it says it is.

    ancestry  the commits that came to show what comes before, by id, the first that were made first
    parents   of every commit that came
    """

    parcel: Parcel
    commits: Mapping[str, Commit]  # of its versions, by id, in their order
    sent: Mapping[str, Sent]
    manifests: Mapping[str, Manifest]
    ancestry: Mapping[str, bytes] = field(default_factory=dict)
    parents: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def draft(self, id_: str, branch: str) -> Draft:
        """As if it were registered: which says whether its names and sizes are allowed. Raises InvalidArgument."""
        return _draft(self.parcel, self.commits[id_], branch, self.sent[id_].tags)

    def leads_to(self, tip: str, id_: str, there: Mapping[str, Sequence[str]]) -> bool:
        """Whether `id_` is `tip` or comes after it, by what came and by what is `there`: the parents of each version."""
        return any(one == tip for one in self._back([id_], there))

    def lacking(self, there: Mapping[str, Sequence[str]]) -> Mapping[str, bytes]:
        """Of the commits that came, in their order, those that are not `there`, and do come before its versions: whoever sends others is not believed."""
        before = set(self._back(self.commits, there))
        return {id_: body for id_, body in self.ancestry.items() if id_ in before and id_ not in there and id_ not in self.commits}

    def _back(self, ids: Iterable[str], there: Mapping[str, Sequence[str]]) -> Iterator[str]:
        ahead, seen = list(ids), set[str]()
        while ahead:
            one = ahead.pop()
            if one not in seen:
                seen.add(one)
                yield one
                ahead += (*self.parents.get(one, ()), *there.get(one, ()))


def packed(parcel: Parcel) -> bytes:
    """As it lies in a bundle."""
    return msgspec.msgpack.encode(parcel)


def unpacked(head: bytes) -> Parcel:
    """Raises InvalidArgument."""
    try:
        return msgspec.msgpack.decode(head, type=Parcel)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
        _refuse(f"what it says of itself cannot be read: {error}")


def opened(parcel: Parcel) -> Opened:
    """Every digest compared, every path looked at. Raises InvalidArgument with what is wrong."""
    if not 0 < len(parcel.versions) <= MOST_VERSIONS:
        _refuse(f"it has {len(parcel.versions)} versions of {parcel.model}, and 1 to {MOST_VERSIONS} are allowed")
    manifests = {manifest.digest: manifest for manifest in map(read_manifest, parcel.manifests)}
    commits, sent = dict[str, Commit](), dict[str, Sent]()
    for one in parcel.versions:
        commit = read_commit(one.commit, parcel.kind)
        commits[commit.id], sent[commit.id] = commit, one
    if len(commits) != len(parcel.versions):
        _refuse("it has the same version twice")
    if {commit.manifest for commit in commits.values()} != manifests.keys() or len(manifests) != len(parcel.manifests):
        _refuse("its lists of files are not those of its versions: a version names one that did not come, or one came that none names")
    _check_sizes(manifests.values())
    for part in parcel.parts:
        if not (is_digest(part.digest) and is_digest(part.of) and 0 < part.size <= MOST_PART and 0 <= part.offset < MOST_SIZE):
            _refuse("it names parts of files that are none")
    if len(parcel.ancestry) > MOST_VERSIONS:
        _refuse(f"it has {len(parcel.ancestry)} versions that come before, and {MOST_VERSIONS} are allowed")
    ancestry, parents = dict[str, bytes](), {id_: commit.parents for id_, commit in commits.items()}
    for body in reversed(parcel.ancestry):
        commit = read_commit(body, parcel.kind)
        _draft(parcel, commit)
        ancestry[commit.id], parents[commit.id] = body, commit.parents
    made = Opened(parcel, commits, sent, manifests, ancestry, parents)
    for id_ in commits:
        made.draft(id_, sent[id_].branch or "main")
    return made


def _draft(parcel: Parcel, commit: Commit, branch: str = "main", tags: tuple[str, ...] = ()) -> Draft:
    return Draft(
        model=parcel.model, kind=parcel.kind, branch=branch, message=commit.message, metrics=commit.metrics, labels=commit.labels,
        licence=commit.licence, card=commit.card, description=parcel.description, tags=tags,
    )  # fmt: skip


def read_commit(body: bytes, kind: Kind) -> Commit:
    """Its id is computed from its bytes, so nobody can name another one; but it must be written in the one way."""
    try:
        commit = decode_commit(body)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
        _refuse(f"a version of it cannot be read: {error}")
    if commit.encode() != body:
        _refuse("a version of it is not written as versions are: something was added to it, or changed")
    if commit.kind is not kind:
        _refuse(f"it says {kind}, and its version {commit.id[:SHORT]} says {commit.kind}")
    schema = commit.schema
    counts = (schema.opset, schema.parameters, schema.tensors, *(size for tensor in (*schema.inputs, *schema.outputs) for size in tensor.shape or ()))
    if len(body) > MOST_COMMIT or any(not -MOST_SIZE < count < MOST_SIZE for count in counts) or not 0 <= commit.created_at_s < _LATEST_S:
        _refuse(f"its version {commit.id[:SHORT]} is larger, or has larger numbers, than any version has")
    asked = (commit.author, schema.format, commit.lineage.job_id, *commit.metrics, *commit.labels, *commit.labels.values())
    if any("\0" in text for text in asked):  # PostgreSQL takes none
        _refuse(f"its version {commit.id[:SHORT]} has a NUL character in what it is found by")
    if not all(map(is_digest, (commit.manifest, *commit.parents))):
        _refuse(f"its version {commit.id[:SHORT]} names what is no digest")
    return commit


def read_manifest(body: bytes) -> Manifest:
    try:
        manifest = decode_manifest(body)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
        _refuse(f"a list of files of it cannot be read: {error}")
    if manifest.encode() != body:
        _refuse("a list of files of it is not written as they are: something was added to it, or changed")
    _check_paths(manifest)
    for entry in manifest.files:
        _check_entry(entry)
    return manifest


def _check_paths(manifest: Manifest) -> None:
    """No path leads out, none is there twice, and none goes through a file."""
    paths = [entry.path for entry in manifest.files]
    for path in (*paths, *manifest.empty_directories):
        if problem := path_problem(path):
            _refuse(f"it names the file {path[:200]!r}, which {problem}")
    names, directories = {*paths, *manifest.empty_directories}, set[str]()
    for path in names:
        while "/" in path:
            path = path.rpartition("/")[0]
            directories.add(path)
    twice = {*paths} & directories
    if twice or len(names) != len(paths) + len(manifest.empty_directories):
        _refuse(f"it names {min(twice, default='a path')!r} twice: as a file and as something else")
    if manifest.single and (len(paths) != 1 or "/" in paths[0] or manifest.empty_directories):
        _refuse("it says that it is one file, and has several, or none")


def _check_entry(entry: FileEntry) -> None:
    chunks = entry.chunks
    if not is_digest(entry.digest) or not all(is_digest(chunk.digest) and 0 < chunk.size < MOST_SIZE for chunk in chunks):
        _refuse(f"'{entry.path}' has a chunk without a digest, or without bytes")
    if sum(chunk.size for chunk in chunks) != entry.size:
        _refuse(f"'{entry.path}' says that it has {entry.size} bytes, and its chunks have others")
    if len(chunks) < 2 and entry.digest != (chunks[0].digest if chunks else digest_of(b"")):
        _refuse(f"'{entry.path}' has the digest of another file")


def _check_sizes(manifests: Iterable[Manifest]) -> None:
    sizes: dict[str, int] = {}
    for manifest in manifests:
        for chunk in manifest.chunks():
            if sizes.setdefault(chunk.digest, chunk.size) != chunk.size:
                _refuse(f"the chunk {chunk.digest[:SHORT]} has two sizes in it")


def chunks_of(manifests: Iterable[Manifest]) -> dict[str, Chunk]:
    """All that they need, by digest, in the order of their files."""
    return {chunk.digest: chunk for manifest in manifests for chunk in manifest.chunks()}


def is_digest(text: str) -> bool:
    return len(text) == DIGEST_LETTERS and _HEX.issuperset(text)


def _refuse(why: str) -> NoReturn:
    raise InvalidArgument(f"it cannot be taken: {why}", hint="it was damaged on its way, or made to do harm: have it sent or exported again; nothing was kept")
