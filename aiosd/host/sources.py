"""A file or directory that a user named, opened as that user and as nobody else, and watched for changes while it is read.

Links within a directory are followed where they stay within it. Whatever is no regular file is refused, and so is what changes,
and a large file that is nothing but a hole.
"""

import ctypes
import errno
import fcntl
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from aiosd.errors import Denied, FailedPrecondition, InvalidArgument, NotFound
from aiosd.host.acting import acting_as
from aiosd.host.identities import Identity

_OPENAT2 = 437
_BENEATH, _NO_MAGIC = 0x08, 0x02
_FILE = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
_DEEPEST = 100
_HOLLOW, _HOLLOW_FROM_BYTES = 1000, 1 << 30  # anybody can make such a file of any size, and reading it would not end
_BLOCK_BYTES = 512  # the unit of st_blocks
_TIMELY, _STATFS_BYTES = (0xEF53, 0x58465342, 0x9123683E), 256  # ext4, XFS and btrfs: the first write to a mapped page changes the times
_TICK_S = 0.02  # the kernel stamps changes no finer than this

_libc = ctypes.CDLL(None, use_errno=True)

Mark = tuple[int, int, int, int, int]


class _How(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


@dataclass(frozen=True, slots=True)
class Found:
    """An open regular file; `path` is relative to what was named. Whoever took it from the iterator has it until the next."""

    path: str
    fd: int
    size: int
    executable: bool


@dataclass(slots=True)
class Tree:
    """What lies at `path`, as `identity` (None: the daemon's own user) may read it. `files` is gone through once; then `check`.

    descriptor  of another process of that user (its pid, and its number there), which is read instead; `path` is what it is called
    steady      whether who looks there again before `check`, and follows no links, sees what was read: not where one was followed, where somebody has a
                file mapped, or where a file system does not tell of changes
    """

    path: str
    identity: Identity | None
    descriptor: tuple[int, int] | None = None
    single: bool = False
    steady: bool = True
    empty_directories: list[str] = field(default_factory=list)
    _root: int = -1
    _seen: list[tuple[str, Mark]] = field(default_factory=list)

    def open(self) -> int:
        """Its size where it is one file, else 0. Raises NotFound, Denied, InvalidArgument."""
        if self.descriptor is None and (not os.path.isabs(self.path) or "\0" in self.path):
            raise InvalidArgument(f"the path must be absolute, not {self.path!r}", path=self.path)
        with self._explained(self.path), acting_as(self.identity):
            self._root = _open_at(None, self.path, _FILE) if self.descriptor is None else self._open_descriptor(*self.descriptor)
        found = os.fstat(self._root)
        if found.st_dev == os.stat("/proc").st_dev or not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):
            raise InvalidArgument(f"{self.path} is neither a file nor a directory of a file system", hint="what is kept is regular files", path=self.path)
        self.single = stat.S_ISREG(found.st_mode)
        return found.st_size if self.single else 0

    def _open_descriptor(self, pid: int, number: int) -> int:
        """As the user may: the kernel looks at the file's own rights. A process that was another user's at any moment is not looked into."""
        uid = self.identity.uid if self.identity is not None else os.geteuid()
        process = os.open(f"/proc/{pid}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)  # of this process for ever, whoever gets its number
        try:
            opened = os.open(f"fd/{number}", _FILE, dir_fd=process) if os.fstat(process).st_uid == uid else -1
            if opened >= 0 and os.fstat(process).st_uid != uid:
                os.close(opened)
                opened = -1
        finally:
            os.close(process)
        if opened < 0:
            raise PermissionError(errno.EACCES, "that process is another user's, or hides what it has open")
        return opened

    def open_file(self, path: str) -> int:
        """A regular file in this directory, to be closed by the caller. Raises NotFound, Denied, InvalidArgument (it leads out, or is no file)."""
        who = self.identity.name if self.identity else "the user of the daemon"
        try:
            with acting_as(self.identity):
                opened = self._open_beneath(path)
        except FileNotFoundError:
            raise NotFound(f"there is no '{path}' in {self.path}", hint="is it whole?", path=self.path, file=path) from None
        except PermissionError:
            raise Denied(f"{who} may not read '{path}' in {self.path}", path=self.path, file=path) from None
        except OSError as error:
            raise InvalidArgument(f"'{path}' in {self.path} cannot be read: {error.strerror}", path=self.path, file=path) from None
        if not stat.S_ISREG(os.fstat(opened).st_mode):
            os.close(opened)
            raise self._refused(path, "is no regular file")
        return opened

    @property
    def fd(self) -> int:
        """Of the file or directory itself; it stays ours."""
        return self._root

    @property
    def name(self) -> str:
        return os.path.basename(self.path.rstrip("/"))

    def files(self) -> Iterator[Found]:
        """By path. Raises Denied, InvalidArgument (a link that leads out, a device), FailedPrecondition (one changed while it was read)."""
        if self.single:
            yield from self._read(self.name, self._root)
        else:
            yield from self._walk("", self._root, 0)

    def check(self) -> None:
        """Raises FailedPrecondition when anything is not as it was when it was read."""
        for path, mark in self._seen:
            with self._explained(path), acting_as(self.identity):
                found = os.fstat(self._root) if self.single else os.stat(path or ".", dir_fd=self._root)
            if _mark(found) != mark:
                raise self._changed(path)

    def close(self) -> None:
        if self._root >= 0:
            os.close(self._root)
            self._root = -1

    def _walk(self, path: str, fd: int, depth: int) -> Iterator[Found]:
        if depth > _DEEPEST:
            raise InvalidArgument(f"{self.path} has directories in each other, {depth} deep", hint="pack it into an archive", path=self.path)
        self._seen.append((path, _settled(fd)))
        with self._explained(path), acting_as(self.identity):
            names = sorted(os.listdir(fd))
        if not names and path:
            self.empty_directories.append(path)
        for name in names:
            below = f"{path}/{name}" if path else name
            self._check_name(below)
            opened = self._open_below(fd, name, below)
            try:
                if stat.S_ISDIR(os.fstat(opened).st_mode):
                    yield from self._walk(below, opened, depth + 1)
                else:
                    yield from self._read(below, opened)
            finally:
                os.close(opened)

    def _open_below(self, fd: int, name: str, path: str) -> int:
        with self._explained(path), acting_as(self.identity):
            kind = os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode
            if stat.S_ISLNK(kind):
                self.steady = False
                opened = self._open_link(path)
            elif stat.S_ISREG(kind) or stat.S_ISDIR(kind):
                opened = os.open(name, _FILE | os.O_NOFOLLOW, dir_fd=fd)
            else:
                raise self._refused(path, "is no regular file")
        kind = os.fstat(opened).st_mode
        if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
            os.close(opened)
            raise self._refused(path, "is no regular file")
        return opened

    def _open_link(self, path: str) -> int:
        """What it leads to within the directory; nothing else."""
        try:
            opened = self._open_beneath(path)
        except OSError as error:
            if error.errno in (errno.EXDEV, errno.ELOOP, errno.ENOENT, errno.ENXIO, errno.ENOSYS):
                raise self._refused(path, "is a link that leads out of it, or nowhere") from None
            raise
        if stat.S_ISREG(os.fstat(opened).st_mode):
            return opened
        os.close(opened)
        raise self._refused(path, "is a link to a directory or device")

    def _open_beneath(self, path: str) -> int:
        return _open_at(self._root, path, _FILE, _BENEATH | _NO_MAGIC)

    def _read(self, path: str, fd: int) -> Iterator[Found]:
        mark = _settled(fd)
        found = os.fstat(fd)
        if found.st_size > _HOLLOW_FROM_BYTES and found.st_size > _HOLLOW * found.st_blocks * _BLOCK_BYTES:
            raise self._refused(
                path,
                f"claims {found.st_size} bytes, of which the disk has {found.st_blocks * _BLOCK_BYTES}: it is nothing but a hole",
                "write what is to be in it first; if it is to be all zeros: cp --sparse=never FROM TO",
            )
        self.steady = self.steady and self._tells(fd)
        yield Found(path, fd, found.st_size, bool(found.st_mode & 0o111 and found.st_nlink))  # what has no name is no program: a memfd has mode 0777
        if _mark(os.fstat(fd)) != mark:
            raise self._changed(path)
        self._seen.append((path, mark))

    def _tells(self, fd: int) -> bool:
        """Whether a change from now on shows in its times. What is mapped already can be written to without that; the kernel leases no such file."""
        about = ctypes.create_string_buffer(_STATFS_BYTES)
        if _libc.fstatfs(fd, about) or ctypes.c_long.from_buffer(about).value not in _TIMELY:
            return False
        try:
            with acting_as(self.identity):
                fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
                fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        except OSError:
            return False
        return True

    def _check_name(self, path: str) -> None:
        try:
            path.encode()
        except UnicodeEncodeError:
            raise InvalidArgument(f"{self.path} has a file whose name is not UTF-8: {os.fsencode(path)!r}", hint="rename it", path=self.path) from None

    def _refused(self, path: str, what: str, hint: str = "copy what is meant to be kept into a directory of its own: cp -rL FROM TO") -> InvalidArgument:
        return InvalidArgument(f"{self.path} cannot be kept: '{path}' {what}", hint=hint, path=self.path, file=path)

    def _changed(self, path: str) -> FailedPrecondition:
        return FailedPrecondition(
            f"'{path or self.path}' changed while it was read; nothing was registered", hint="try again when nobody writes to it", path=self.path, file=path
        )

    @contextmanager
    def _explained(self, path: str) -> Iterator[None]:
        who = self.identity.name if self.identity else "the user of the daemon"
        try:
            yield
        except PermissionError:
            raise Denied(f"{who} may not read '{path}'", path=self.path, file=path) from None
        except FileNotFoundError:
            if path == self.path:
                raise NotFound(f"there is no '{path}'", path=path) from None
            raise self._changed(path) from None
        except OSError as error:
            raise InvalidArgument(f"'{path}' cannot be read: {error.strerror}", path=self.path, file=path) from None


@dataclass(slots=True)
class HubTree(Tree):
    """A repository of Hugging Face's hub: a directory of files, or a snapshot in the hub's cache, whose links lead to ../../blobs.

    Links of a snapshot are followed as far as they stay within the cache of that one repository.
    """

    _cache: int = -1
    _snapshot: str = ""

    def open(self) -> int:
        Tree.open(self)
        parts = os.path.normpath(self.path).rsplit("/", 2)
        if not self.single and len(parts) == 3 and parts[1] == "snapshots":
            with self._explained(self.path), acting_as(self.identity):
                self._cache, self._snapshot = _open_at(None, parts[0] or "/", _FILE | os.O_DIRECTORY), f"snapshots/{parts[2]}"
        return 0

    def close(self) -> None:
        Tree.close(self)
        if self._cache >= 0:
            os.close(self._cache)
            self._cache = -1

    def _walk(self, path: str, fd: int, depth: int) -> Iterator[Found]:
        """Without what is no part of a repository's content."""
        if path not in (".git", ".cache"):
            yield from Tree._walk(self, path, fd, depth)

    def _open_beneath(self, path: str) -> int:
        if self._cache < 0:
            return Tree._open_beneath(self, path)
        return _open_at(self._cache, f"{self._snapshot}/{path}", _FILE, _BENEATH | _NO_MAGIC)


def _mark(found: os.stat_result) -> Mark:
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _settled(fd: int) -> Mark:
    """A change in the very tick of another would not show: so none is as young as that."""
    found = os.fstat(fd)
    if abs(time.time() - found.st_ctime_ns / 1e9) < _TICK_S:
        time.sleep(_TICK_S)
        found = os.fstat(fd)
    return _mark(found)


def _open_at(within: int | None, path: str, flags: int, resolve: int = _NO_MAGIC) -> int:
    """As openat2(2), which alone can keep links within a directory; without it only what needs no such care is opened."""
    how = _How(flags, 0, resolve)
    opened = int(_libc.syscall(_OPENAT2, -100 if within is None else within, os.fsencode(path), ctypes.byref(how), ctypes.sizeof(how)))
    if opened >= 0:
        return opened
    number = ctypes.get_errno()
    if number in (errno.ENOSYS, errno.EPERM) and not resolve & _BENEATH:
        return os.open(path, flags | os.O_NOFOLLOW, dir_fd=within)
    raise OSError(number, os.strerror(number), path)
