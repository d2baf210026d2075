"""A backup as a file: a compressed tar of named parts with a manifest of digests at its end, written whole, checked before it is used."""

import gzip
import hashlib
import io
import os
import re
import stat
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, cast

import msgspec

from aiosd.errors import AlreadyExists, DiskFull, InvalidArgument, NotFound, StorageCorrupt, StorageUnwritable, Unavailable
from aiosd.host.records import read_run

MANIFEST, DATABASE = "manifest.json", "aiosd.db"
FORMAT = 1
_BLOCK_BYTES = 1 << 20
_HOLLOW, _ALLOCATED_BYTES = 1000, 512  # no file system packs so well; the unit of st_blocks
_LEVEL = 3  # of gzip: outputs are text, and time is what a backup costs
_ALLOWED = re.compile(r"aiosd\.db|runs/\d+\.-?\d+\.\d+|logs(/[^/\0]+)*")
_FULL = (28, 122)  # ENOSPC, EDQUOT


class Part(msgspec.Struct, frozen=True):
    bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True):
    """What the archive holds; `made_at_s` is after the last dispatch that its database knows."""

    format: int
    version: str  # of the aiosd that made it
    made_at_s: float
    hostname: str
    jobs: int
    parts: dict[str, Part]
    models: bool = False  # the bytes of models lie beside it


@dataclass(slots=True)
class _Hashed(io.RawIOBase):
    """Counts and hashes what passes on its way to `file`, or from it."""

    file: BinaryIO
    digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)
    count: int = 0

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self.digest.update(data)
        self.count += len(data)
        return self.file.write(data)


class Writer:
    """Adds parts to a new archive; see `writing`."""

    def __init__(self, tar: tarfile.TarFile, given_up: Callable[[], bool]) -> None:
        self._tar, self._given_up = tar, given_up
        self.parts: dict[str, Part] = {}

    def go_on(self) -> None:
        """raises    Unavailable when nobody waits for it any more"""
        if self._given_up():
            raise Unavailable("the backup was given up: whoever asked for it has gone, or the daemon stops", hint="ask again; nothing was kept of it")

    def add(self, name: str, fd: int) -> None:
        """The open file as long as it is now: what is appended meanwhile is left out, what is cut off is filled with zeros."""
        self.go_on()
        found = os.fstat(fd)
        if stat.S_ISDIR(found.st_mode):
            self._tar.addfile(_header(name, found, tarfile.DIRTYPE))
        elif stat.S_ISREG(found.st_mode):
            content = _Content(fd, found.st_size)
            self._tar.addfile(_header(name, found, tarfile.REGTYPE, found.st_size), cast(BinaryIO, content))
            self.parts[name] = Part(found.st_size, content.digest.hexdigest())

    def add_tree(self, name: str, path: Path) -> None:
        """A directory with the files below it, in one device; links, fifos and devices are left out: whoever made them, made them for this machine."""
        for directory, _, files, at in os.fwalk(path, follow_symlinks=False):
            inside = Path(name, os.path.relpath(directory, path))
            self.add(str(inside), at)
            for file in sorted(files):
                with suppress(OSError):  # gone, or a link: O_NOFOLLOW
                    fd = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=at)
                    try:
                        found = os.fstat(fd)
                        if found.st_nlink == 1 and not _is_hollow(found):  # a second name may be somebody else's file
                            self.add(str(inside / file), fd)
                    finally:
                        os.close(fd)

    def finish(self, manifest: Manifest) -> None:
        data = msgspec.json.encode(manifest)
        header = tarfile.TarInfo(MANIFEST)
        header.size = len(data)
        self._tar.addfile(header, io.BytesIO(data))


class _Content:
    """Exactly `size` bytes of a file that others may write to."""

    def __init__(self, fd: int, size: int) -> None:
        self._fd, self._left = fd, size
        self.digest = hashlib.sha256()

    def read(self, wanted: int) -> bytes:
        size = min(wanted, self._left)
        data = os.read(self._fd, size).ljust(size, b"\0") if self._left else b""
        self._left -= len(data)
        self.digest.update(data)
        return data


@dataclass(slots=True)
class Done:
    """What a finished archive is; filled in when `writing` has ended."""

    bytes: int = 0
    sha256: str = ""


@contextmanager
def writing(path: Path, given_up: Callable[[], bool] = lambda: False) -> Iterator[tuple[Writer, Done]]:
    """A new archive, for its owner alone. It has its name only when it is complete and on the disk; else nothing is left of it.

    given_up  asked before each part; True ends it
    raises    AlreadyExists, StorageUnwritable, DiskFull, Unavailable
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    done = Done()
    try:
        if path.exists() or path.is_symlink():
            raise FileExistsError(17, "it exists", str(path))
        fd = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(fd, "wb") as file:
                hashed = _Hashed(file)
                with (
                    gzip.GzipFile("", "wb", _LEVEL, cast(BinaryIO, hashed)) as packed,
                    tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT, bufsize=_BLOCK_BYTES) as tar,
                ):
                    yield Writer(tar, given_up), done
                file.flush()
                os.fsync(fd)
            os.link(partial, path)  # fails where somebody was faster
            done.bytes, done.sha256 = hashed.count, hashed.digest.hexdigest()
        finally:
            partial.unlink(missing_ok=True)
        _sync_directory(path.parent)
    except FileExistsError:
        raise AlreadyExists(f"{path} exists, or a backup to it is under way", hint="name a file that does not exist", path=path) from None
    except OSError as error:
        if error.errno in _FULL:
            raise DiskFull(f"there is no room for the backup {path}; nothing was kept of it", hint="name a place with more room", path=path) from error
        raise StorageUnwritable(f"the backup {path} cannot be written: {error.strerror}", hint="does its directory exist, for this user?", path=path) from error


def check(path: Path) -> Manifest:
    """Read the whole archive and compare every digest. Raises StorageCorrupt when anything is missing, too much or different."""
    parts: dict[str, Part] = {}
    manifest: Manifest | None = None
    with _reading(path) as tar:
        for member in tar:
            if manifest is not None:
                raise _damaged(path, "something follows its manifest")
            content = tar.extractfile(member) if member.isreg() else None
            if member.name == MANIFEST and content is not None:
                manifest = _manifest(path, content.read(_BLOCK_BYTES << 8))
            elif _is_strange(member):
                raise _damaged(path, f"it holds {member.name!r}, which no backup has")
            elif content is not None:
                parts[member.name] = _part(content)
    if manifest is None:
        raise _damaged(path, "it ends before its manifest")
    different = sorted(name for name in parts.keys() | manifest.parts.keys() if parts.get(name) != manifest.parts.get(name))
    if different:
        raise _damaged(path, f"{different[0]} is not what was backed up ({len(different)} of {len(manifest.parts)} parts differ)")
    return manifest


def extract(path: Path, to: Path) -> None:
    """All parts of an archive that was checked, below `to`, with their modes; for root, with their owners too.

    Whoever may write to the file may have changed it since: names are looked at again, and no mode makes a program its owner.
    """
    with _reading(path) as tar:
        for member in tar:
            if _is_strange(member):
                raise _damaged(path, f"it holds {member.name!r}, which it did not when it was checked")
            target = to / member.name
            if member.isdir():
                target.mkdir(parents=True, exist_ok=True)
            elif member.name != MANIFEST:
                target.parent.mkdir(parents=True, exist_ok=True)
                content = tar.extractfile(member)
                fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
                with os.fdopen(fd, "wb") as file:
                    while content is not None and (data := content.read(_BLOCK_BYTES)):
                        file.write(data)
            else:
                continue
            if os.geteuid() == 0:
                os.chown(target, member.uid, member.gid)
            target.chmod(member.mode & 0o777)


def _is_hollow(found: os.stat_result) -> bool:
    """Whether a file is as good as nothing but a hole, which anybody can make of any size: a backup would not end."""
    return found.st_size > max(_HOLLOW * found.st_blocks * _ALLOCATED_BYTES, _BLOCK_BYTES)


def _is_strange(member: tarfile.TarInfo) -> bool:
    """Whether no backup has it: of another name, leading elsewhere, or neither file nor directory."""
    known = (member.name == MANIFEST and member.isreg()) or _ALLOWED.fullmatch(member.name) is not None
    return not known or ".." in member.name.split("/") or not (member.isreg() or member.isdir())


def settled_runs(runs: Path) -> Iterator[tuple[str, int]]:
    """The files of runs that have ended and that the journal may not know of yet, as open descriptors, each until the next is asked for."""
    for name in sorted(os.listdir(runs)) if runs.is_dir() else ():
        path = runs / name
        if re.fullmatch(r"\d+\.-?\d+\.\d+", name):
            record = read_run(path)
            if record is not None and record.end is not None:
                with suppress(FileNotFoundError), path.open("rb") as file:
                    yield name, file.fileno()


@contextmanager
def _reading(path: Path) -> Iterator[tarfile.TarFile]:
    try:
        with tarfile.open(path, mode="r|gz", bufsize=_BLOCK_BYTES) as tar:
            yield tar
    except FileNotFoundError as error:
        if error.filename != str(path):
            raise
        raise NotFound(f"there is no backup {path}", hint="is the path right?", path=path) from None
    except (tarfile.TarError, EOFError) as error:
        raise _damaged(path, str(error)) from error
    except OSError as error:
        if error.errno is not None:
            raise
        raise _damaged(path, str(error)) from error  # gzip's own
    except Exception as error:
        if type(error).__module__ == "zlib":
            raise _damaged(path, str(error)) from error
        raise


def _manifest(path: Path, data: bytes) -> Manifest:
    try:
        found = msgspec.json.decode(data, type=Manifest)
    except msgspec.MsgspecError as error:
        raise _damaged(path, f"its manifest cannot be read: {error}") from error
    if found.format != FORMAT:
        raise InvalidArgument(f"the backup {path} has format {found.format}; this aiosd knows {FORMAT}", hint=f"restore it with aiosd {found.version}")
    return found


def _part(content: "io.BufferedIOBase | object") -> Part:
    digest, size = hashlib.sha256(), 0
    while data := cast(BinaryIO, content).read(_BLOCK_BYTES):
        digest.update(data)
        size += len(data)
    return Part(size, digest.hexdigest())


def _header(name: str, found: os.stat_result, kind: bytes, size: int = 0) -> tarfile.TarInfo:
    header = tarfile.TarInfo(name)
    header.type, header.size, header.mode = kind, size, stat.S_IMODE(found.st_mode)
    header.uid, header.gid, header.mtime = found.st_uid, found.st_gid, int(found.st_mtime)
    return header


def _damaged(path: Path, what: str) -> StorageCorrupt:
    return StorageCorrupt(f"the backup {path} is damaged: {what}", hint="nothing was changed; use another backup", path=path)


def _sync_directory(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
