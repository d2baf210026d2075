"""Files handed out: a path of links for each user, made in no time where a file is whole, or a copy that is the user's own.

What is not whole is put together once, into a cache that is bounded; who reads it by a hard link keeps it when the cache lets go.
A link of a file of root's cannot be written through by anybody else. Where the daemon's user is the reader, too, the file is
cloned where the file system can do that; else its mode keeps slips away, and its time of change tells of everything else.
"""

import errno
import os
import shutil
import stat
import time
import uuid
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

from aiosd.errors import AlreadyExists, DataLoss, Denied, Exhausted, InvalidArgument, NotFound
from aiosd.models.manifest import FileEntry, Manifest
from aiosd.storage.blobs import disk
from aiosd.storage.blobs.layout import PRIVATE, READ_ONLY, RUNNABLE, STAMP_NS, Layout, is_whole
from aiosd.storage.blobs.reading import Reader

_OPEN_DIRECTORY, _USERS = 0o555, 0o500
_MAKING = ".making-"
_TOGETHER = 500  # files that are looked up at once


@dataclass(frozen=True, slots=True)
class Asked:
    """Who is to have it. `acting` makes the thread that user within; `mine`: the daemon's own user is the one who reads."""

    uid: int
    gid: int
    mine: bool
    acting: Callable[[], AbstractContextManager[None]] = nullcontext


@dataclass(slots=True)
class Giver:
    """`pinned`: the checkouts, by manifest, that must stay; `cache_bytes`: the most that files put together may take.

    remove    removes a tree that a user may be changing meanwhile
    """

    layout: Layout
    reader: Reader
    cache_bytes: int
    remove: Callable[[str], None]
    pinned: Collection[str] = ()
    report: Callable[[int, int], None] = lambda done, stored: None
    reached: Callable[[str], None] = lambda step: None
    _done: int = 0
    _clones: bool = True  # until one could not be made

    def standing(self, manifest: Manifest, asked: Asked) -> str | None:
        """The checkout that is there already, and has not been touched since."""
        path = self._checkout(manifest, asked)
        if path.parent.exists():
            self._let_in(path.parent, asked)
        try:
            found = os.lstat(path)
        except OSError:
            return None
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) != _OPEN_DIRECTORY:
            return None
        if asked.mine and not _untouched(path, manifest):
            return None
        os.utime(path, follow_symlinks=False)  # where its directory is the user's, anything else may have been put there since
        return self._handed(path, manifest)

    def _to_put_together(self, manifest: Manifest) -> int:
        """Bytes of the files that are not whole."""
        needed = 0
        for at in range(0, len(manifest.files), _TOGETHER):
            some = manifest.files[at : at + _TOGETHER]
            known = self.reader.lookup({entry.digest for entry in some})
            needed += sum(entry.size for entry in some if entry.digest not in known or not is_whole(known[entry.digest]))
        return needed

    def checkout(self, manifest: Manifest, asked: Asked) -> str:
        """A path that this user can read. Raises DataLoss, Exhausted (the cache is too small), OSError (a full disk)."""
        if (path := self.standing(manifest, asked)) is not None:
            return path
        self._make_room(self._to_put_together(manifest))
        final = self._checkout(manifest, asked)
        making = self.layout.checkouts / f"{_MAKING}{os.getpid()}-{manifest.digest[:16]}"
        self.remove(str(making))
        making.mkdir(mode=PRIVATE)
        try:
            self._fill(making, manifest, asked)
            self.reached("give.1-filled")
            self._let_in(final.parent, asked)
            self.remove(str(final))
            os.rename(making, final)
        except BaseException:
            self.remove(str(making))
            raise
        return self._handed(final, manifest)

    def copy(self, manifest: Manifest, asked: Asked, path: str) -> str:
        """A copy that is the user's own, where there is nothing yet; it appears whole or not at all. Raises AlreadyExists, Denied, NotFound, DataLoss."""
        target = Path(path)
        if not target.is_absolute() or "\0" in path:
            raise InvalidArgument(f"the path must be absolute, not {path!r}", path=path)
        making = target.parent / f".{target.name[:50]}.aios-{uuid.uuid4().hex[:12]}"
        try:
            with asked.acting():
                if os.path.lexists(target):
                    raise AlreadyExists(f"there is something at {path} already", hint="name a path where there is nothing", path=path)
                making.mkdir(mode=0o755)
            try:
                for file, entry in self._tree(making, manifest, asked.acting):
                    with asked.acting():
                        fd = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o777 if entry.executable else 0o666)
                    self._write(fd, entry)
                with asked.acting():
                    _put_in_place(making, target, manifest)
            except BaseException:
                with asked.acting(), suppress(OSError):
                    shutil.rmtree(making)
                raise
        except FileNotFoundError:
            raise NotFound(f"there is no directory {target.parent}", path=path) from None
        except PermissionError:
            raise Denied(f"user {asked.uid} may not write to {target.parent}", path=path) from None
        return path

    def trim(self, unused_s: float) -> None:
        """Remove what nobody has asked for in that time, and what was being made when somebody died."""
        for path, used_s, name in self._checkouts():
            if time.time() - used_s > unused_s and name not in self.pinned:
                self.remove(str(path))
        for path in self.layout.checkouts.glob(f"{_MAKING}*"):
            if time.time() - path.lstat().st_mtime > unused_s:
                self.remove(str(path))
        self._drop_unlinked()

    def _fill(self, making: Path, manifest: Manifest, asked: Asked) -> None:
        for path, entry in self._tree(making, manifest, nullcontext):
            self._link(self._source(entry), path, entry, asked)
            self._done += entry.size
            self.report(self._done, 0)
        for directory, _, _ in os.walk(making, topdown=False):
            os.chmod(directory, _OPEN_DIRECTORY)

    def _source(self, entry: FileEntry) -> Path:
        """The file as it lies in the store, or in the cache, where it is put together first."""
        if (whole := self._is_whole(entry)) is not None:
            return whole
        path = self.layout.assembled / entry.digest
        if not path.exists():
            temporary = path.with_name(f"{_MAKING}{os.getpid()}-{entry.digest}")
            self._write(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), entry)
            os.chmod(temporary, READ_ONLY)
            os.utime(temporary, ns=(STAMP_NS, STAMP_NS))
            os.rename(temporary, path)
        return path

    def _is_whole(self, entry: FileEntry) -> Path | None:
        """Raises DataLoss when it was touched since it was stored, and is no longer what it was."""
        if not entry.size:
            return None
        stored = self.reader.known({entry.digest}).get(entry.digest)
        if stored is None or not is_whole(stored):
            return None
        path = self.layout.path(stored.place)
        try:
            found = path.lstat()
        except FileNotFoundError:
            raise DataLoss(f"the file {entry.digest} is gone from the store", digest=entry.digest, place=stored.place) from None
        if found.st_mtime_ns != STAMP_NS or found.st_size != entry.size or stat.S_IMODE(found.st_mode) != READ_ONLY:
            for _ in self.reader.file(entry):
                continue
            path.chmod(READ_ONLY)
            os.utime(path, ns=(STAMP_NS, STAMP_NS))
        return path

    def _link(self, source: Path, path: Path, entry: FileEntry, asked: Asked) -> None:
        """A clone for whoever could write to the store; a link for everybody else. What runs needs a mode, and so a file, of its own."""
        if not entry.executable and not (asked.mine and self._clones):
            _link_or_copy(source, path)
            return
        with source.open("rb") as old, path.open("xb") as new:
            if disk.clone(old.fileno(), new.fileno()):
                mode = RUNNABLE if entry.executable else READ_ONLY
            elif entry.executable:
                shutil.copyfileobj(old, new, 1 << 20)
                mode = RUNNABLE
            else:
                mode, self._clones = 0, False  # this file system cannot
        if not mode:
            path.unlink()
            _link_or_copy(source, path)
            return
        path.chmod(mode)
        os.utime(path, ns=(STAMP_NS, STAMP_NS))

    def _write(self, fd: int, entry: FileEntry) -> None:
        """Closes it. Each chunk is verified before it is written."""
        try:
            for data in self.reader.file(entry):
                disk.write_sparse(fd, data)
                self._done += len(data)
                self.report(self._done, 0)
            os.ftruncate(fd, entry.size)
        finally:
            os.close(fd)

    def _tree(self, root: Path, manifest: Manifest, acting: Callable[[], AbstractContextManager[None]]) -> Iterator[tuple[Path, FileEntry]]:
        """The directories are made, the files are the caller's. What leads out of `root` is no path that was registered here."""
        made = {root}
        for path in (*manifest.empty_directories, *(entry.path for entry in manifest.files)):
            if path.startswith("/") or any(part in ("", ".", "..") for part in path.split("/")) or "\0" in path:
                raise InvalidArgument(f"the manifest names {path!r}, which leads out of it", path=path)
        for wanted in (*(root / path for path in manifest.empty_directories), *((root / entry.path).parent for entry in manifest.files)):
            if wanted not in made:
                with acting():
                    wanted.mkdir(mode=0o755, parents=True, exist_ok=True)
                made.add(wanted)
        for at in range(0, len(manifest.files), _TOGETHER):
            self.reader.look_ahead(manifest.files[at : at + _TOGETHER])
            yield from ((root / entry.path, entry) for entry in manifest.files[at : at + _TOGETHER])

    def _checkout(self, manifest: Manifest, asked: Asked) -> Path:
        return self.layout.checkouts / str(asked.uid) / manifest.digest

    def _let_in(self, path: Path, asked: Asked) -> None:
        """Only this user comes through it, and it stays ours: what is written there is in nobody's quota.

        Where the file system keeps no lists of users it becomes the user's, who may then write to it.
        """
        path.mkdir(mode=PRIVATE, exist_ok=True)
        if asked.mine:
            return
        if not disk.let_in(str(path), asked.uid):
            os.chown(path, asked.uid, asked.gid)
            path.chmod(_USERS)
        elif path.lstat().st_uid != os.geteuid():  # it was the user's before there were these lists: nobody knows what has become of it
            os.chown(path, os.geteuid(), os.getegid())
            for each in path.iterdir():
                if each.name not in self.pinned:
                    self.remove(str(each))

    def _handed(self, path: Path, manifest: Manifest) -> str:
        return str(path / manifest.files[0].path) if manifest.single else str(path)

    def _make_room(self, needed: int) -> None:
        """Let go of what was asked for longest ago. Raises Exhausted when all that is left is in use."""
        if needed > self.cache_bytes:
            raise Exhausted(
                f"it takes {needed} bytes put together, more than the cache of checkouts may hold ({self.cache_bytes})",
                hint="check it out to a path of your own, or raise models.cache_bytes", needed=needed, cache_bytes=self.cache_bytes,
            )  # fmt: skip
        self._drop_unlinked()
        for path, _, name in sorted(self._checkouts(), key=lambda one: one[1]):
            if self._cached() + needed <= self.cache_bytes:
                return
            if name not in self.pinned:
                self.remove(str(path))
                self._drop_unlinked()
        if needed and self._cached() + needed > self.cache_bytes:
            raise Exhausted(
                f"the cache of checkouts is full of what is in use: {self._cached()} of {self.cache_bytes} bytes, and {needed} are needed",
                hint="wait for jobs to end, check it out to a path of your own, or raise models.cache_bytes", needed=needed, cache_bytes=self.cache_bytes,
            )  # fmt: skip

    def _cached(self) -> int:
        with os.scandir(self.layout.assembled) as entries:
            return sum(entry.stat(follow_symlinks=False).st_size for entry in entries)

    def _drop_unlinked(self) -> None:
        """What is put together, and handed out to nobody any more; and what somebody who died has begun: one at a time puts anything together."""
        with os.scandir(self.layout.assembled) as entries:
            for entry in entries:
                if entry.stat(follow_symlinks=False).st_nlink == 1:
                    os.unlink(entry.path)

    def _checkouts(self) -> Iterator[tuple[Path, float, str]]:
        """Each with when it was asked for last, and its manifest."""
        for user in self.layout.checkouts.iterdir():
            if user.name.isdigit():
                for path in user.iterdir():
                    with suppress(FileNotFoundError):  # the user has renamed or removed it meanwhile
                        yield path, path.lstat().st_mtime, path.name


def _untouched(path: Path, manifest: Manifest) -> bool:
    """Where a user could write to it: whether every file still has the time that we gave it."""
    for entry in manifest.files:
        try:
            found = (path / entry.path).lstat()
        except OSError:
            return False
        if not stat.S_ISREG(found.st_mode) or found.st_size != entry.size or found.st_mtime_ns != STAMP_NS:
            return False
    return True


def _link_or_copy(source: Path, path: Path) -> None:
    """A file may have only so many names."""
    try:
        os.link(source, path)
    except OSError as error:
        if error.errno != errno.EMLINK:
            raise
        shutil.copyfile(source, path)
        path.chmod(READ_ONLY)
        os.utime(path, ns=(STAMP_NS, STAMP_NS))


def _put_in_place(making: Path, target: Path, manifest: Manifest) -> None:
    """Raises AlreadyExists for what somebody else made there meanwhile."""
    try:
        if manifest.single:
            os.link(making / manifest.files[0].path, target)
            shutil.rmtree(making)
        else:
            os.rename(making, target)
    except (FileExistsError, NotADirectoryError):
        raise AlreadyExists(f"there is something at {target} already", hint="name a path where there is nothing", path=str(target)) from None
