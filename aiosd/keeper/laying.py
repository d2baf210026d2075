"""What a child writes for other houses: a version as a hub's directory, or as an OCI image layout, in a directory or a tar."""

import hashlib
import os
import tarfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Protocol

from aiosd.host.acting import acting_as
from aiosd.host.identities import Identity
from aiosd.host.targets import filling, writing
from aiosd.keeper import words
from aiosd.keeper.line import Line, identity_of
from aiosd.models import modelpack
from aiosd.models.layouts import README, Form, written_card
from aiosd.models.manifest import FileEntry, Manifest
from aiosd.storage.blobs.disk import write_all
from aiosd.storage.blobs.layout import Layout
from aiosd.storage.blobs.reading import Reader
from aiosd.storage.blobs.settings import coder_of

_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_BLOBS = "blobs/sha256"
_NO_DIGEST = "0" * 64
_MOST_CARD = 1 << 20  # bytes of a README that is read
_BUFFER_BYTES = 1 << 20

Pieces = Iterable[bytes | memoryview]


def lay(request: words.Lay, line: Line) -> str:
    """The path that it was to have. Every chunk is verified before it is written."""
    reader = Reader(Layout(Path(request.settings.directory)), coder_of(request.settings), line.lookup)
    identity, total, done = identity_of(request.to), request.manifest.size, 0

    def read(entry: FileEntry) -> Iterator[bytes]:
        nonlocal done
        for data in reader.file(entry):
            yield data
            done += len(data)
            line.progress(done, total, 0)

    with closing(reader):
        if request.form is Form.HF:
            _lay_hub(request, identity, read)
        else:
            with _blobs(request, identity) as blobs:
                _lay_oci(request, blobs, read)
    return request.to.path


def _lay_hub(request: words.Lay, identity: Identity | None, read: Callable[[FileEntry], Iterator[bytes]]) -> None:
    with filling(request.to.path, identity) as making:
        place = _Directory(making, identity)
        for path in request.manifest.empty_directories:
            place.make(path)
        for entry in request.manifest.files:
            if entry.path != README:
                place.write(entry.path, read(entry), executable=entry.executable)
        place.write(README, [written_card(request.commit, request.name, _readme(request.manifest, read)).encode()])


def _readme(manifest: Manifest, read: Callable[[FileEntry], Iterator[bytes]]) -> str:
    """The one among the files, where it is one of a sensible size."""
    entry = next((entry for entry in manifest.files if entry.path == README and entry.size <= _MOST_CARD), None)
    return b"".join(read(entry)).decode(errors="replace") if entry is not None else ""


def _lay_oci(request: words.Lay, blobs: "Blobs", read: Callable[[FileEntry], Iterator[bytes]]) -> None:
    """A layer for each file, not compressed, so that each is a blob that others have, too; the index last."""
    commit, layers, known = request.commit, list[modelpack.Descriptor](), dict[str, str]()
    created = datetime.fromtimestamp(commit.created_at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    blobs.write(modelpack.LAYOUT, [modelpack.LAYOUT_VERSION])
    for entry in request.manifest.files:
        if entry.digest not in known:
            known[entry.digest] = blobs.blob(read(entry), entry.size)
        layers.append(modelpack.layer(entry.path, known[entry.digest], entry.size, executable=entry.executable))
    config = modelpack.config(commit, request.name, layers, created)
    manifest = modelpack.manifest(commit, blobs.blob([config], len(config)), len(config), layers, created)
    blobs.write(modelpack.INDEX, [modelpack.index(blobs.blob([manifest], len(manifest)), len(manifest), request.tag)])


class Blobs(Protocol):
    """Where an image layout is written."""

    def write(self, path: str, pieces: Pieces) -> None: ...

    def blob(self, pieces: Pieces, size: int) -> str:
        """Its SHA-256, in hexadecimal, by which it is named."""


@contextmanager
def _blobs(request: words.Lay, identity: Identity | None) -> Iterator[Blobs]:
    path = request.to.path
    if path.endswith(".tar"):
        with writing(path, identity, replace=request.replace) as fd, open(fd, "r+b", closefd=False, buffering=_BUFFER_BYTES) as file:
            tar = _Tar(file)
            yield tar
            tar.end()
    else:
        with filling(path, identity) as making:
            place = _Directory(making, identity)
            place.make(_BLOBS)
            yield place


@dataclass(frozen=True, slots=True)
class _Directory:
    """One that is being filled, as the user whose it is."""

    root: Path
    identity: Identity | None

    def make(self, path: str) -> None:
        with acting_as(self.identity):
            (self.root / path).mkdir(parents=True, exist_ok=True)

    def write(self, path: str, pieces: Pieces, *, executable: bool = False) -> None:
        self.make(os.path.dirname(path))
        with acting_as(self.identity):
            fd = os.open(self.root / path, _FILE, 0o777 if executable else 0o666)
        try:
            for data in pieces:
                write_all(fd, data)
            os.fsync(fd)
        finally:
            os.close(fd)

    def blob(self, pieces: Pieces, size: int) -> str:
        hasher = hashlib.sha256()
        self.write(f"{_BLOBS}/{_NO_DIGEST}", _hashed(pieces, hasher))
        with acting_as(self.identity):
            os.rename(self.root / _BLOBS / _NO_DIGEST, self.root / _BLOBS / hasher.hexdigest())
        return hasher.hexdigest()


class _Tar:
    """A tar whose members are named when they are written: the name is as long as it will be."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        for directory in ("blobs", _BLOBS):
            self._begin(directory, 0, tarfile.DIRTYPE)

    def write(self, path: str, pieces: Pieces) -> None:
        data = b"".join(pieces)
        self._begin(path, len(data))
        self._file.write(data)
        self._pad(len(data))

    def blob(self, pieces: Pieces, size: int) -> str:
        hasher, at = hashlib.sha256(), self._file.tell()
        self._begin(f"{_BLOBS}/{_NO_DIGEST}", size)
        for data in _hashed(pieces, hasher):
            self._file.write(data)
        self._pad(size)
        end = self._file.tell()
        self._file.seek(at)
        self._begin(f"{_BLOBS}/{hasher.hexdigest()}", size)
        self._file.seek(end)
        return hasher.hexdigest()

    def end(self) -> None:
        self._file.write(bytes(2 * tarfile.BLOCKSIZE))
        self._file.flush()

    def _begin(self, name: str, size: int, kind: bytes = tarfile.REGTYPE) -> None:
        header = tarfile.TarInfo(name)
        header.size, header.type, header.mode = size, kind, 0o755 if kind == tarfile.DIRTYPE else 0o644
        self._file.write(header.tobuf(tarfile.GNU_FORMAT))

    def _pad(self, size: int) -> None:
        self._file.write(bytes(-size % tarfile.BLOCKSIZE))


def _hashed(pieces: Pieces, hasher: "hashlib._Hash") -> Iterator[bytes | memoryview]:
    for data in pieces:
        hasher.update(data)
        yield data
