"""What the daemon and a child at work say to each other: frames of MessagePack, one request, then questions and answers, then the end."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import msgspec

from aiosd import errors
from aiosd.errors import AiosError
from aiosd.models.diff import TensorDiff
from aiosd.models.findings import ScanFinding
from aiosd.models.layouts import Form
from aiosd.models.manifest import FileEntry, Manifest
from aiosd.models.vault_ports import Part, Progress, Received, Source, Stored, Taken
from aiosd.models.version import Commit
from aiosd.storage.blobs.settings import BlobSettings


class Word(msgspec.Struct, frozen=True, tag=True):
    """Anything that is said."""


class Take(Word, frozen=True, tag=True):
    settings: BlobSettings
    source: Source
    name: str  # of the scratch directory and of the pack
    base: Manifest | None


class Give(Word, frozen=True, tag=True):
    settings: BlobSettings
    manifest: Manifest
    to: Source
    pinned: list[str]


class Verify(Word, frozen=True, tag=True):
    """`rows`: what to read back, with the bases of differences among them or in `bases`; at most `bytes_per_s`, 0: as fast as it goes."""

    settings: BlobSettings
    rows: list[Stored]
    bases: list[Stored]
    bytes_per_s: int = 0


class Rewrite(Word, frozen=True, tag=True):
    settings: BlobSettings
    name: str
    rows: list[Stored]


class Compare(Word, frozen=True, tag=True):
    """Two checkouts, tensor by tensor."""

    settings: BlobSettings
    before: str
    after: str


class Examine(Word, frozen=True, tag=True):
    """A checkout of this manifest."""

    settings: BlobSettings
    path: str
    manifest: Manifest


class Receive(Word, frozen=True, tag=True):
    """The chunks of a bundle at the source's path; without a path the daemon has them."""

    settings: BlobSettings
    name: str
    source: Source
    manifests: list[Manifest]
    examined: list[str]
    had: set[str]
    parts: list[Part]
    head: str


class Bundle(Word, frozen=True, tag=True):
    settings: BlobSettings
    to: Source
    head: bytes
    manifests: list[Manifest]
    had: set[str]
    replace: bool


class Lay(Word, frozen=True, tag=True):
    """A version in the form of another house; `name` and `tag` are what it is called there."""

    settings: BlobSettings
    to: Source
    form: Form
    manifest: Manifest
    commit: Commit
    name: str
    tag: str
    replace: bool


class Peek(Word, frozen=True, tag=True):
    settings: BlobSettings
    source: Source


class More(Word, frozen=True, tag=True):
    """Give me the next piece of a chunk."""


class Piece(Word, frozen=True, tag=True):
    """`digest` "": there are no more."""

    digest: str
    data: bytes


class Ask(Word, frozen=True, tag=True):
    digests: list[str]


class Answer(Word, frozen=True, tag=True):
    stored: list[Stored]


class Advance(Word, frozen=True, tag=True):
    done: int
    total: int
    stored: int


class Batch(Word, frozen=True, tag=True):
    """Of what was taken or received: the daemon has other things to do between two of them."""

    files: list[FileEntry]
    chunks: list[Stored]


class Took(Word, frozen=True, tag=True):
    """`taken` without what the batches have said."""

    taken: Taken


class Head(Word, frozen=True, tag=True):
    data: bytes


class Got(Word, frozen=True, tag=True):
    """`received` without what the batches have said."""

    received: Received


class Gave(Word, frozen=True, tag=True):
    path: str


class Verified(Word, frozen=True, tag=True):
    damaged: list[tuple[str, str]]  # (digest, why)


class Rewrote(Word, frozen=True, tag=True):
    moved: list[Stored]


class Compared(Word, frozen=True, tag=True):
    found: TensorDiff


class Findings(Word, frozen=True, tag=True):
    found: list[ScanFinding]


class Failed(Word, frozen=True, tag=True):
    """An error for the caller."""

    name: str
    message: str
    hint: str
    facts: dict[str, str]


_AT_ONCE = 1000  # files or chunks in one batch

Request = Take | Give | Verify | Rewrite | Receive | Bundle | Lay | Peek | Compare | Examine
Said = Ask | More | Advance | Batch | Took | Head | Got | Gave | Verified | Rewrote | Compared | Findings | Failed
_encoder = msgspec.msgpack.Encoder()
_requests, _said = msgspec.msgpack.Decoder(Request), msgspec.msgpack.Decoder(Said)
_answers, _pieces = msgspec.msgpack.Decoder(Answer), msgspec.msgpack.Decoder(Piece)


def encode(word: Word) -> bytes:
    return _encoder.encode(word)


def decode_request(frame: bytes) -> Request:
    return _requests.decode(frame)


def decode_said(frame: bytes) -> Said:
    return _said.decode(frame)


def decode_answer(frame: bytes) -> Answer:
    return _answers.decode(frame)


def decode_piece(frame: bytes) -> Piece:
    return _pieces.decode(frame)


def in_batches(made: Taken | Received) -> Iterator[Batch | Took | Got]:
    files, chunks = made.manifest.files if isinstance(made, Taken) else (), made.chunks
    for at in range(0, max(len(files), len(chunks)), _AT_ONCE):
        yield Batch(list(files[at : at + _AT_ONCE]), list(chunks[at : at + _AT_ONCE]))
    yield Took(replace(made, manifest=replace(made.manifest, files=()), chunks=())) if isinstance(made, Taken) else Got(replace(made, chunks=()))


def together(batches: Sequence[Batch], last: Took | Got) -> Taken | Received:
    chunks = [chunk for batch in batches for chunk in batch.chunks]
    if isinstance(last, Got):
        return replace(last.received, chunks=chunks)
    manifest = replace(last.taken.manifest, files=tuple(file for batch in batches for file in batch.files))
    return replace(last.taken, manifest=manifest, chunks=chunks)


def progress_of(word: Said) -> Progress:
    assert isinstance(word, Advance)
    return Progress(word.done, word.total, word.stored)


def failed(error: AiosError) -> Failed:
    return Failed(type(error).__name__, str(error), error.hint, error.facts)


def error_of(word: Failed) -> Exception:
    kind = getattr(errors, word.name, None)
    if not (isinstance(kind, type) and issubclass(kind, AiosError)):
        return RuntimeError(word.message)
    raised = kind(word.message, hint=word.hint)
    raised.facts = word.facts
    return raised
