"""What a child makes of the layouts of other houses: a tree of files to be registered, and what is said of them."""

import hashlib
import io
import os
import re
import tarfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from aiosd.errors import AiosError, InvalidArgument, NotFound
from aiosd.host.identities import Identity
from aiosd.host.sources import HubTree, Tree
from aiosd.models import modelpack
from aiosd.models.layouts import README, Form, read_card
from aiosd.models.manifest import MOST_NAME, MOST_PATH
from aiosd.models.vault_ports import Said, Source
from aiosd.storage.blobs import disk
from aiosd.storage.blobs.budget import Budget

_BLOB = re.compile(r"(?:\./)?(oci-layout|index\.json|blobs/sha256/[0-9a-f]{64})")
_MOST_TIMES, _MOST_FREE = 100, 64 << 20  # what an archive may become: so many times its size, and so much more
_MOST_MEMBERS = 200_000
_MOST_CARD = 1 << 20  # bytes
_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_BLOCK_BYTES = 1 << 20


@contextmanager
def unpacked(source: Source, identity: Identity | None, scratch: Path) -> Iterator[tuple[Tree, Said | None]]:
    """The files of what lies at the source's path, as a tree that is open, and what the layout says of them."""
    if source.form == Form.HF:
        tree: Tree = HubTree(source.path, identity)
    else:
        tree = Tree(source.path, None if source.ours else identity, source.descriptor)
    with closing(tree):
        tree.open()
        if source.form == Form.HF:
            yield tree, _card(tree)
        elif source.form == Form.OCI:
            said = _unpack(tree, Budget(scratch, source.room))
            ours = Tree(str(scratch / "files"), None)
            with closing(ours):
                ours.open()
                yield ours, said
        else:
            yield tree, None


def _card(tree: Tree) -> Said:
    if tree.single:
        raise InvalidArgument(f"{tree.path} is a file", hint="name the directory of a repository, or a snapshot in the hub's cache", path=tree.path)
    try:
        fd = tree.open_file(README)
    except (NotFound, InvalidArgument):
        return Said()
    with open(fd, "rb") as file:
        return read_card(file.read(_MOST_CARD).decode(errors="replace"))


# OCI


def _unpack(tree: Tree, budget: Budget) -> Said:
    """Every blob is compared with its digest; the files of the model lie in scratch/files then."""
    files = _Files(budget)
    files.root.mkdir(mode=0o755)
    blobs = _Untarred.of(tree, budget) if tree.single else Blobs(tree)
    if b"imageLayoutVersion" not in blobs.read(modelpack.LAYOUT, 4096):
        _refuse(f"its {modelpack.LAYOUT} says nothing of a version")
    chosen = modelpack.chosen(blobs.read(modelpack.INDEX, modelpack.MOST_JSON))
    manifest, layers = modelpack.pack(_json(blobs, chosen))
    said = modelpack.said(manifest, _json(blobs, manifest.config))
    if not layers:
        _refuse("it has no layers")
    for layer in layers:
        with _opened(blobs, layer.digest, layer.size) as file:
            budget.has(layer.digest, file.allocated)
            if layer.packing == "raw":
                files.add(layer.path, file, layer.size, executable=layer.executable)
            else:
                files.extract(file, layer)
    return said


@dataclass(slots=True)
class Blobs:
    """An image layout that lies in a directory."""

    tree: Tree

    def open(self, path: str) -> BinaryIO:
        """Raises NotFound, Denied, InvalidArgument (a link that leads out, a device)."""
        return open(self.tree.open_file(path), "rb")

    def read(self, path: str, most: int) -> bytes:
        with self.open(path) as file:
            data = file.read(most + 1)
        if len(data) > most:
            _refuse(f"its {path} is larger than {most} bytes")
        return data


class _Untarred(Blobs):
    """One that lies in a tar, which is taken apart first."""

    @classmethod
    def of(cls, tree: Tree, budget: Budget) -> "_Untarred":
        directory = budget.scratch / "layout"
        (directory / "blobs/sha256").mkdir(mode=0o700, parents=True)
        seen = set[str]()
        with open(tree.fd, "rb", closefd=False) as file, _reading(file) as tar:
            for member in tar:
                match = _BLOB.fullmatch(member.name)
                if match is None or not member.isreg():
                    continue
                name = match.group(1)
                if name in seen or member.issparse() or member.size > os.fstat(tree.fd).st_size:
                    _refuse(f"its tar has {member.name[:100]!r} twice, or larger than it is itself")
                seen.add(name)
                content = tar.extractfile(member)
                assert content is not None
                budget.check_disk(member.size)
                _write(directory / name, content, member.size)
        ours = Tree(str(directory), None)
        ours.open()
        return cls(ours)


def _json(blobs: Blobs, described: modelpack.Descriptor) -> bytes:
    digest = modelpack.digest_in(described)
    if described.size > modelpack.MOST_JSON:
        _refuse(f"a manifest or config of it claims {described.size} bytes, and {modelpack.MOST_JSON} are allowed")
    with _opened(blobs, digest, described.size) as file:
        return file.read()


@contextmanager
def _opened(blobs: Blobs, digest: str, size: int) -> Iterator["_Hashed"]:
    """A blob, which is compared with its digest when all of it has been read: at the end of the block."""
    with blobs.open(f"blobs/sha256/{digest}") as file:
        if os.fstat(file.fileno()).st_size != size:
            _refuse(f"its blob {digest[:12]} has {os.fstat(file.fileno()).st_size} bytes, and {size} were said")
        hashed = _Hashed(file)
        yield hashed
        while hashed.read(_BLOCK_BYTES):
            continue
        if hashed.digest.hexdigest() != digest:
            _refuse(f"its blob {digest[:12]} is not what its digest says")


class _Hashed(io.RawIOBase):
    """What is read of a file, and the digest of it."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__()
        self._file, self.digest = file, hashlib.sha256()
        self.allocated = os.fstat(file.fileno()).st_blocks * 512  # bytes of its disk: holes count nothing

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        data = self._file.read(size)
        self.digest.update(data)
        return data


@dataclass(slots=True)
class _Files:
    """The model as it is put together; what layers say twice is refused."""

    budget: Budget
    count: int = 0
    _names: set[str] = field(default_factory=set)

    @property
    def root(self) -> Path:
        return self.budget.scratch / "files"

    def add(self, path: str, content: Any, size: int, *, executable: bool) -> None:
        path = self._checked(path)
        target = self.root / path
        self.budget.take(size)
        try:
            target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            _write(target, content, size, 0o755 if executable else 0o644)
        except (FileExistsError, NotADirectoryError):
            _refuse(f"it has {path[:200]!r} twice: as a file and as something else")

    def extract(self, blob: Any, layer: modelpack.Layer) -> None:
        """Regular files and directories; links and devices are no part of a model."""
        most = _MOST_TIMES * layer.size + _MOST_FREE
        with _inflated(blob, layer.packing) as content, _reading(_Bounded(content, most)) as tar:
            for member in tar:
                self.count += 1
                if self.count > _MOST_MEMBERS:
                    _refuse(f"its archives have more than {_MOST_MEMBERS} members")
                if member.isdir():
                    if member.name.strip("./"):
                        (self.root / self._checked(member.name.rstrip("/"), again=True)).mkdir(mode=0o755, parents=True, exist_ok=True)
                    continue
                inside = tar.extractfile(member) if member.isreg() and not member.issparse() else None
                if inside is None:
                    _refuse(f"its archive has {member.name[:200]!r}, which is no regular file")
                self.add(member.name, inside, member.size, executable=bool(member.mode & 0o111))

    def _checked(self, path: str, *, again: bool = False) -> str:
        path = path.removeprefix("./")
        if "\0" in path or any(part in ("", ".", "..") for part in path.split("/")):
            _refuse(f"it names the file {path[:200]!r}, which leads out of its directory")
        if len(path.encode(errors="surrogatepass")) > MOST_PATH or any(len(part.encode(errors="surrogatepass")) > MOST_NAME for part in path.split("/")):
            _refuse(f"it names the file {path[:200]!r}, which is longer than a file system takes")
        if path in self._names and not again:
            _refuse(f"it has {path[:200]!r} twice")
        self._names.add(path)
        return path


class _Bounded(io.RawIOBase):
    """A stream that is too long for what it came from is a bomb."""

    def __init__(self, file: Any, most: int) -> None:
        super().__init__()
        self._file, self._left = file, most

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        data: bytes = self._file.read(size)
        self._left -= len(data)
        if self._left < 0:
            _refuse("one of its archives becomes far larger than it is: it is made to do harm")
        return data


@contextmanager
def _inflated(blob: Any, packing: str) -> Iterator[Any]:
    if packing == "tar":
        yield blob
    elif packing == "tar+gzip":
        import gzip

        with gzip.GzipFile(fileobj=blob) as file:
            yield file
    else:
        import zstandard

        with zstandard.ZstdDecompressor(max_window_size=1 << 27).stream_reader(blob, closefd=False) as file:
            yield file


@contextmanager
def _reading(file: Any) -> Iterator[tarfile.TarFile]:
    """What the library says of a damaged archive is no failure of ours."""
    try:
        with tarfile.open(fileobj=file, mode="r|", bufsize=_BLOCK_BYTES) as tar:
            yield tar
    except AiosError:
        raise
    except OSError as error:
        if error.errno is not None:  # of a disk, not of gzip
            raise
        _refuse(f"an archive in it cannot be read: {error}")
    except Exception as error:  # noqa: BLE001  # zlib.error, ZstdError, EOFError, ValueError, UnicodeError, and what else these libraries raise
        _refuse(f"an archive in it cannot be read: {error}")


def _write(path: Path, content: Any, size: int, mode: int = 0o600) -> None:
    """Exactly `size` bytes."""
    fd, left = os.open(path, _FILE, mode), size
    try:
        os.fchmod(fd, mode)
        while left:
            data = content.read(min(left, _BLOCK_BYTES))
            if not data:
                _refuse(f"'{path.name}' was cut off")
            disk.write_sparse(fd, data)
            left -= len(data)
        os.ftruncate(fd, size)
    finally:
        os.close(fd)


def _refuse(why: str, hint: str = "is it whole? Nothing was kept of it") -> NoReturn:
    raise InvalidArgument(f"the OCI layout cannot be taken: {why}", hint=hint)
