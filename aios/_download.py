"""A version of a daemon elsewhere on this machine's disk: chunk by chunk, each verified, gone on with where it was, and put in place when it is whole."""

import fcntl
import os
import shutil
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from blake3 import blake3

from aios import downloads
from aios._chunks import Chunk, Files, Held, not_as_named
from aios._transfer import patiently
from aios.errors import AiosError, AlreadyExists, StorageUnwritable, Unavailable
from aios.versions import OnProgress, Progress

_BLOCK = 4 << 20
_READ_ONLY, _RUNNABLE = 0o444, 0o555


@dataclass(slots=True)
class _Wanted:
    """A chunk, and how far its file has it."""

    path: Path
    begin: int
    chunk: Chunk
    have: int = 0
    resumed: bool = False  # some of it is from an earlier call
    hasher: blake3 = field(default_factory=blake3)


def download(held: Held, to: str, job_id: str, on_progress: OnProgress | None, deadline: float | None) -> str:
    """The path of a copy of one's own at `to`, or of a read-only one in the user's cache, where it may be already.

    job_id  that reads it; "": none
    raises  AlreadyExists (there is something at `to`), StorageUnwritable, StorageCorrupt (a chunk is not what its name says)
    """
    name = held.version.manifest
    target = Path(to) if to else downloads.directory() / name
    with _explained(target):
        if to and os.path.lexists(target):
            raise AlreadyExists(f"there is something at {target} already", hint="name a path where there is nothing")
        if job_id:  # also of what is in the cache
            patiently(held.channel, deadline, lambda: 0, lambda: held.read_by(job_id, deadline))
        while to or not (path := downloads.hand_out(name)):  # what was made may go before it is handed out, where there is little room
            files = patiently(held.channel, deadline, lambda: 0, lambda: held.files(deadline))
            _make(held, files, target, to, on_progress, deadline)
            if to:
                return to
        return path


def _make(held: Held, files: Files, target: Path, to: str, on_progress: OnProgress | None, deadline: float | None) -> None:
    """Beside its place, under a name that another call finds again; who comes second waits for the first."""
    target.parent.mkdir(parents=True, exist_ok=True)
    making = target.with_name(f".{target.name[:100]}.{held.version.manifest[:12]}{downloads.PART}")
    with _alone(making):
        if not to and downloads.lying(target):  # somebody else was faster
            shutil.rmtree(making)
            return
        wanted = deque(_left(files, making))
        total = sum(files.chunks().values())
        left = sum(one.chunk.size - one.have for one in wanted)
        done = max(0, total - left)
        if not to:
            downloads.make_room(left)

        def moved() -> int:
            return done

        def work() -> None:
            nonlocal done
            asked = [(one.chunk.digest, one.have) for one in wanted]
            for piece in held.pieces(asked, deadline):
                one = wanted[0]
                if (piece.name, piece.offset) != (one.chunk.digest, one.have) or one.have + len(piece.data) > one.chunk.size:
                    raise not_as_named(one.chunk.digest)
                _write(one, piece.data)
                done += len(piece.data)
                if one.have == one.chunk.size:
                    _check(one, held)
                    wanted.popleft()
                if on_progress is not None:
                    on_progress(Progress(done, total, 0, "downloading"))
            if wanted:
                raise Unavailable(f"the daemon at {held.channel.target} ended the stream", hint="it may be restarting; ask again")

        if wanted:
            patiently(held.channel, deadline, moved, work)
        _finish(files, making, target, to)


def _left(files: Files, making: Path) -> Iterator[_Wanted]:
    """What is not there yet, as it must be; what is there and is wrong is cut off."""
    for directory in files.empty_directories:
        (making / directory).mkdir(parents=True, exist_ok=True)
    for entry in files.entries:
        path, begin = making / entry.path, 0
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+b") as file:
            gone_on = os.fstat(file.fileno()).st_size > 0
            for chunk in entry.chunks:
                one = _Wanted(path, begin, chunk)
                if gone_on:
                    _read(one, file.fileno())
                if one.have == chunk.size and one.hasher.hexdigest() != chunk.digest:
                    one = _Wanted(path, begin, chunk)
                if one.have < chunk.size:
                    if gone_on:
                        file.truncate(begin + one.have)
                    gone_on = False
                    yield one
                begin += chunk.size


def _read(one: _Wanted, fd: int) -> None:
    while one.have < one.chunk.size and (data := os.pread(fd, min(_BLOCK, one.chunk.size - one.have), one.begin + one.have)):
        one.hasher.update(data)
        one.have += len(data)
        one.resumed = True


def _write(one: _Wanted, data: bytes) -> None:
    with one.path.open("r+b", buffering=0) as file:
        file.seek(one.begin + one.have)
        file.write(data)
    one.hasher.update(data)
    one.have += len(data)


def _check(one: _Wanted, held: Held) -> None:
    if one.hasher.hexdigest() == one.chunk.digest:
        return
    os.truncate(one.path, one.begin)
    if not one.resumed:
        raise not_as_named(one.chunk.digest)
    one.have, one.resumed, one.hasher = 0, False, blake3()
    raise Unavailable(f"what was there of {one.path} was damaged", hint=f"it is fetched again from {held.channel.target}")


def _finish(files: Files, making: Path, target: Path, to: str) -> None:
    for entry in files.entries:
        if not to:
            (making / entry.path).chmod(_RUNNABLE if entry.executable else _READ_ONLY)
        elif entry.executable:
            (making / entry.path).chmod((making / entry.path).stat().st_mode | 0o111)
    if to and files.single:
        os.link(making / files.entries[0].path, target)
        shutil.rmtree(making)
    else:
        os.rename(making, target if to or not files.single else target.with_name(f"{target.name}{downloads.SINGLE}"))


@contextmanager
def _alone(making: Path) -> Iterator[None]:
    """`making` is there, and nobody else's meanwhile; whoever had it before may have put it in its place."""
    while True:
        with suppress(FileExistsError):
            making.mkdir()
        try:
            fd = os.open(making, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:  # put in its place since
            continue
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            if downloads.is_at(making, fd):
                yield
                return
        finally:
            os.close(fd)


@contextmanager
def _explained(target: Path) -> Iterator[None]:
    try:
        yield
    except AiosError:
        raise  # some of them are OSErrors, too
    except FileExistsError:
        raise AlreadyExists(f"there is something at {target} already", hint="name a path where there is nothing") from None
    except OSError as error:
        raise StorageUnwritable(f"{target} cannot be written: {error.strerror}", hint="is there room, and may you write there?") from None
