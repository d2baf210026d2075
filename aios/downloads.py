"""What this user's processes have downloaded from daemons elsewhere: a cache on this machine's disk that has a bound, to be looked at and cleared.

Each version lies there once, under the digest of its list of files, read-only. Beside them lie `.lock`, for whoever changes what is there, and
one file for each process that was handed something: it is locked for as long as that process lives, and has the names of what is in use.
"""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from aios.units import parse_bytes

LIMIT = "AIOS_CACHE_BYTES"
USUALLY = "50GiB"
JUST_S = 600.0  # what was handed out so lately stays: a script passes the path on to a program that begins only now
SINGLE, PART = ".file", ".part"
_LOCK, _USING = ".lock", ".using."
_mine: dict[Path, tuple[int, str]] = {}  # by cache: the file that says what this process was handed, open until it ends


@dataclass(frozen=True, slots=True)
class Download:
    """A version, or the beginning of one. `size`: bytes; `in_use`: a process that was handed it runs, or is downloading it."""

    path: Path
    size: int
    used_at_s: float
    in_use: bool


def directory() -> Path:
    """$XDG_CACHE_HOME/aios/versions, or ~/.cache/aios/versions. Whatever is there may be removed."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".cache") / "aios" / "versions"


def limit() -> int:
    """The bytes that all of it may take: $AIOS_CACHE_BYTES, 50 GiB where that says nothing; 0: without limit. Raises InvalidArgument."""
    return parse_bytes(os.environ.get(LIMIT) or USUALLY, what=LIMIT, zero=True)


def cached() -> list[Download]:
    """What is there, the last used first."""
    if not directory().is_dir():
        return []
    with _locked(directory()) as cache:
        return sorted(_all(cache), key=lambda one: -one.used_at_s)


def clear() -> int:
    """Remove all that no running process was handed; the bytes that went."""
    if not directory().is_dir():
        return 0
    with _locked(directory()) as cache:
        return sum(_remove(one) for one in list(_all(cache)) if not one.in_use)


# For whoever downloads


def hand_out(name: str) -> str:
    """The path of the version whose list of files has this digest, for as long as this process runs; "": it is not there.

    A directory, or the one file, as a daemon of this machine would hand it out.
    """
    with _locked(directory()) as cache:
        path = lying(cache / name)
        if path:
            _note(cache, name)
            os.utime(_entry(cache, name))
        return path


def lying(cached: Path) -> str:
    """Where what the cache has under this name is handed out; "": it has nothing."""
    for file in cached.with_name(f"{cached.name}{SINGLE}").glob("*"):
        return str(file)
    return str(cached) if cached.exists() else ""


def make_room(size: int) -> None:
    """For so many bytes more: what was used longest ago goes first, nothing that is in use, or was a moment ago."""
    bound = limit()
    if not bound:
        return
    with _locked(directory()) as cache:
        there = sorted(_all(cache), key=lambda one: one.used_at_s)
        over = sum(one.size for one in there) + size - bound
        for one in there:
            if over > 0 and not one.in_use and time.time() - one.used_at_s >= JUST_S:
                over -= _remove(one)


def _entry(cache: Path, name: str) -> Path:
    single = cache / f"{name}{SINGLE}"
    return single if single.exists() else cache / name


def _all(cache: Path) -> Iterator[Download]:
    used = _in_use(cache)
    for path in cache.iterdir():
        if path.is_symlink() or not path.is_dir() or (path.name.startswith(".") and not path.name.endswith(PART)):
            continue  # nothing that was downloaded
        with suppress(FileNotFoundError):  # a part that was put in its place meanwhile
            size = sum(each.lstat().st_size for each in path.rglob("*"))
            in_use = _is_held(path) if path.name.endswith(PART) else path.name.removesuffix(SINGLE) in used
            yield Download(path, size, path.stat().st_mtime, in_use)


def _in_use(cache: Path) -> set[str]:
    """The names of what living processes were handed. Of one that has ended the kernel has removed the lock."""
    names = set[str]()
    for file in cache.glob(f"{_USING}*"):
        with _taken(file) as ours:
            if ours:
                file.unlink()
            else:
                names.update(file.read_text(encoding="ascii").split())
    return names


def _is_held(path: Path) -> bool:
    with _taken(path) as ours:
        return not ours


def _note(cache: Path, name: str) -> None:
    fd, path = _mine.get(cache, (-1, ""))
    if not is_at(Path(path), fd):  # somebody has removed it, or closed it, as programs do that become daemons: the number may be another file's now
        _in_use(cache)  # those of processes that have ended go, also where nothing is downloaded any more
        fd, path = _mine[cache] = tempfile.mkstemp(prefix=_USING, dir=cache)
        fcntl.flock(fd, fcntl.LOCK_EX)
    if name not in Path(path).read_text(encoding="ascii").split():
        os.write(fd, f"{name}\n".encode())


def is_at(path: Path, fd: int) -> bool:
    """Whether this is what is open under this number."""
    try:
        return os.path.samestat(os.fstat(fd), path.stat())
    except OSError:
        return False


def _remove(one: Download) -> int:
    """The bytes that went. Who is killed meanwhile leaves a part, which goes the next time."""
    with suppress(FileNotFoundError), _taken(one.path) as ours:  # a part that was put in its place meanwhile
        if ours:  # else somebody has just begun to go on with it
            gone = one.path.with_name(f".gone-{time.time_ns()}{PART}")
            one.path.rename(gone)
            shutil.rmtree(gone)
            return one.size
    return 0


@contextmanager
def _taken(path: Path) -> Iterator[bool]:
    """Whether nobody else has locked it; then nobody can, meanwhile."""
    with _open(path, os.O_RDONLY) as fd:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


@contextmanager
def _locked(cache: Path) -> Iterator[Path]:
    """Nobody else hands out or removes anything meanwhile."""
    cache.mkdir(parents=True, exist_ok=True)
    with _open(cache / _LOCK, os.O_RDWR | os.O_CREAT) as fd:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield cache


@contextmanager
def _open(path: Path, how: int) -> Iterator[int]:
    """Unlocked at the end, also where a fork has another copy of it."""
    fd = os.open(path, how | os.O_CLOEXEC, 0o600)
    try:
        yield fd
    finally:
        fcntl.flock(fd, fcntl.LOCK_UN)
        os.close(fd)
