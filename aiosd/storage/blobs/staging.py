"""What is on its way here, until it is registered or received: each user's own, bounded, and removed when nobody goes on with it.

staged/<uid>/files/<upload>/saved/weights.bin     a file of an upload, as far as it has come
staged/<uid>/chunks/<digest>                      a chunk that came whole, and was compared with its name; <digest>.part: not yet

Nobody but the daemon can enter; what lies below is readable, so that it can be examined as its user.
"""

import os
import shutil
import stat
import threading
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from blake3 import blake3

from aiosd.errors import DataLoss, Exhausted, InvalidArgument
from aiosd.models.transfer_ports import Piece
from aiosd.storage.blobs.disk import write_all

FILES, CHUNKS = "files", "chunks"
FILE_COST = 4096  # what a file or directory counts beside its bytes, so that many small ones are bounded, too
_PART = ".part"
_FILE, _PROGRAM, _DIRECTORY = 0o644, 0o755, 0o755
_BLOCK = 4 << 20


@dataclass(slots=True)
class Staging:
    """Below `root`. All of it blocks, and raises OSError (a full disk). What is older than `keep_s` goes; seconds since the last byte came."""

    root: Path
    keep_s: float
    _rooms: "defaultdict[int, Room]" = field(default_factory=lambda: defaultdict(Room))

    def of(self, uid: int, limit: int) -> "Arrivals":
        """For one call of this user, who may have `limit` bytes here, in all calls together: what is too old is removed first."""
        room = self._rooms[uid]
        room.left = limit - self.tidy(uid)
        return Arrivals(self.root / str(uid), room)

    def upload(self, uid: int, upload: str) -> Path:
        return self.root / str(uid) / FILES / upload

    def uploaded(self, uid: int, upload: str) -> list[tuple[str, int]]:
        """What is there of an upload, files with their sizes, and directories with a "/" at their end."""
        path, found = self.upload(uid, upload), list[tuple[str, int]]()
        for directory, names, files in os.walk(path):
            inside = os.path.relpath(directory, path)
            inside = "" if inside == "." else f"{inside}/"
            found += [(f"{inside}{name}", os.lstat(f"{directory}/{name}").st_size) for name in files]
            found += [(f"{inside}{name}/", 0) for name in names]
        return found

    def lengths(self, uid: int, digests: Iterable[str]) -> dict[str, int]:
        """How much of these chunks is there; -1: all of it.

        Of one that has no name yet the last byte does not count: it may be that of the chunk, which came right before the daemon was killed,
        and whoever goes on with it must send something, for the chunk to be compared and named.
        """
        found: dict[str, int] = {}
        for digest in digests:
            path = self.chunk(uid, digest)
            if path.exists():
                found[digest] = -1
            else:
                with suppress(FileNotFoundError):
                    found[digest] = max(0, path.with_name(digest + _PART).lstat().st_size - 1)
        return found

    def chunk(self, uid: int, digest: str) -> Path:
        return self.root / str(uid) / CHUNKS / digest

    def drop_upload(self, uid: int, upload: str) -> None:
        shutil.rmtree(self.upload(uid, upload), ignore_errors=True)

    def drop_chunks(self, uid: int, digests: Collection[str]) -> None:
        for digest in digests:
            self.chunk(uid, digest).unlink(missing_ok=True)

    def tidy(self, uid: int) -> int:
        """Remove what is too old; the bytes that are left."""
        before_s, used = time.time() - self.keep_s, 0
        for upload in _entries(self.root / str(uid) / FILES):
            if upload.stat(follow_symlinks=False).st_mtime < before_s:
                shutil.rmtree(upload.path, ignore_errors=True)
            else:
                used += FILE_COST + sum(size + FILE_COST for _, size in self.uploaded(uid, upload.name))
        for chunk in _entries(self.root / str(uid) / CHUNKS):
            with suppress(FileNotFoundError):
                found = chunk.stat(follow_symlinks=False)
                if found.st_mtime < before_s:
                    os.unlink(chunk.path)
                else:
                    used += found.st_size + FILE_COST
        return used

    def tidy_all(self) -> None:
        for user in _entries(self.root):
            self.tidy(int(user.name))


@dataclass(slots=True)
class Room:
    """Bytes that a user may still have here, whichever of the calls under way they come by."""

    left: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, grown: int) -> None:
        """Raises Exhausted."""
        with self._lock:
            if grown > self.left:
                raise Exhausted(
                    "there is no room for more of what you send: all that is on its way here from you may take models.upload_bytes, and what your models may",
                    hint="what nobody goes on with is removed after models.upload_keep_s; remove versions, or ask an admin for more", room=self.left,
                )  # fmt: skip
            self.left -= grown


@dataclass(slots=True)
class Arrivals:
    """What comes in one call."""

    place: Path
    room: Room
    _hashers: dict[str, blake3] = field(default_factory=dict)  # of the chunks that have begun, as far as they have come

    def files(self, upload: str, pieces: Sequence[Piece]) -> None:
        """Raises InvalidArgument for a piece that does not go on from what is there, Exhausted."""
        root = self.place / FILES / upload
        _make(root.parent)
        _make(root, self.room)
        for piece in pieces:
            path = root / piece.name
            try:
                _make(path if piece.name.endswith("/") else path.parent, self.room)
                if not piece.name.endswith("/"):
                    self._write(path, piece, _PROGRAM if piece.executable else _FILE)
            except (NotADirectoryError, IsADirectoryError, FileExistsError):
                raise InvalidArgument(f"'{piece.name}' was a file in this upload, and a directory", hint="begin another upload", file=piece.name) from None
        os.utime(root)

    def chunks(self, pieces: Sequence[Piece]) -> None:
        """Raises DataLoss for one that is not what its name says, and forgets it."""
        _make(self.place / CHUNKS)
        for piece in pieces:
            path = self.place / CHUNKS / piece.name
            if path.exists():
                continue
            part = path.with_name(path.name + _PART)
            end = self._write(part, piece, _FILE)
            hasher = self._hashers.pop(piece.name, None) or _hashed(part, piece.offset)
            hasher.update(piece.data)
            if end < piece.size:
                self._hashers[piece.name] = hasher
            elif hasher.hexdigest() == piece.name:
                part.rename(path)
            else:
                part.unlink()
                raise DataLoss(
                    f"the chunk {piece.name} is not what its name says", hint="it was changed on its way: send it again; what came before it is kept",
                    digest=piece.name,
                )  # fmt: skip

    def _write(self, path: Path, piece: Piece, mode: int) -> int:
        """At its place; where it ends. What came twice is written twice, and nothing is left out between."""
        end, there = piece.offset + len(piece.data), _length(path)
        if piece.offset > there or end > piece.size:
            raise InvalidArgument(
                f"bytes {piece.offset} to {end} of '{piece.name}' do not follow what is there: {there} bytes of {piece.size}",
                hint="ask how much is there, and go on from that", file=piece.name, have=there,
            )  # fmt: skip
        self.room.take(max(0, end - there) + (0 if there else FILE_COST))
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
        try:
            if stat.S_IMODE(os.fstat(fd).st_mode) != mode:
                os.fchmod(fd, mode)  # whatever the umask is
            os.lseek(fd, piece.offset, os.SEEK_SET)
            write_all(fd, piece.data)
            return end
        finally:
            os.close(fd)


def _hashed(path: Path, length: int) -> blake3:
    hasher = blake3()
    with path.open("rb") as file:
        while length > 0 and (data := file.read(min(_BLOCK, length))):
            hasher.update(data)
            length -= len(data)
    return hasher


def _make(path: Path, room: Room | None = None) -> None:
    """With its parents, for all to read, whatever the umask is. Raises FileExistsError, NotADirectoryError, Exhausted."""
    if path.is_dir():
        return
    if not path.parent.exists():
        _make(path.parent, room)
    if room is not None:
        room.take(FILE_COST)
    path.mkdir(exist_ok=True)
    path.chmod(_DIRECTORY)


def _length(path: Path) -> int:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return 0
    return found.st_size if stat.S_ISREG(found.st_mode) else 0


def _entries(directory: Path) -> Iterator["os.DirEntry[str]"]:
    with suppress(FileNotFoundError), os.scandir(directory) as entries:
        yield from list(entries)
