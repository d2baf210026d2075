"""What an error of the database means to the caller: full, unwritable, damaged, or not there."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from aiosd.errors import AiosError, AlreadyExists, DiskFull, StorageCorrupt, StorageUnwritable, Unavailable

_ROOM_BYTES = 256 << 10  # less than this free, and an input/output error is taken for a full disk

_UNWRITABLE = frozenset({sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH})
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})


@contextmanager
def explained(place: str, path: Path | None) -> Iterator[None]:
    """Errors of the database inside the block leave it as AiosErrors that name `place`; errors of this program unchanged.

    place   how people know the database: a path, or a URL without its password
    path    the file of an SQLite database
    """
    try:
        yield
    except DBAPIError as error:
        raise _meaning(error.orig, place, path, error.connection_invalidated) or error from error
    except (sqlite3.Error, OSError) as error:
        raise _meaning(error, place, path, False) or error from error


def _meaning(error: BaseException | None, place: str, path: Path | None, lost: bool) -> AiosError | None:
    if isinstance(error, sqlite3.Error):
        return _of_sqlite(error, place, path)
    if isinstance(error, OSError):
        return _full(place) if _is_full(path) else unwritable(place, str(error))
    return _of_postgres(error, place, lost)


def _of_sqlite(error: sqlite3.Error, place: str, path: Path | None) -> AiosError | None:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the upper bits say more than we need
    if code == sqlite3.SQLITE_FULL or (code in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN) and _is_full(path)):
        return _full(place)
    if code == sqlite3.SQLITE_IOERR or code in _UNWRITABLE:
        return unwritable(place, str(error))
    if code in _DAMAGED or "Could not decode to UTF-8" in str(error):  # the latter has no code
        return corrupt(place, str(error))
    if code in _BUSY:
        return Unavailable(f"the database {place} is locked by another program", hint="find it with `fuser` and end it", place=place)
    if code == sqlite3.SQLITE_CONSTRAINT:
        return AlreadyExists(f"the database {place} refused a change: {error}", place=place)
    return None


def _of_postgres(error: BaseException | None, place: str, lost: bool) -> AiosError | None:
    """By SQLSTATE, see PostgreSQL's manual, appendix A."""
    state = str(getattr(error, "sqlstate", None) or "")
    if state == "53100":
        return _full(place)
    if state in ("25006", "42501"):
        return unwritable(place, str(error).strip())
    if state in ("XX001", "XX002"):
        return corrupt(place, str(error).strip())
    if state.startswith("23"):
        return AlreadyExists(f"the database {place} refused a change: {str(error).strip()}", place=place)
    if lost or state.startswith(("08", "57P", "28", "3D", "53")) or (not state and type(error).__name__ == "OperationalError"):
        return Unavailable(f"the database {place} does not answer: {str(error).strip()}", hint="is the server running, and storage.url right?", place=place)
    return None


def corrupt(place: str, what: str) -> StorageCorrupt:
    return StorageCorrupt(
        f"the database {place} is damaged: {what}",
        hint="the file is kept as it is; run `aiosctl admin check` to see what is damaged, then restore a backup",
        path=place,
    )


def unwritable(place: str, what: str) -> StorageUnwritable:
    return StorageUnwritable(
        f"the database {place} cannot be written: {what}",
        hint="is the file system read-only, or does the file or its directory belong to somebody else?",
        path=place,
    )


def _full(place: str) -> DiskFull:
    return DiskFull(f"the disk of the database {place} is full; nothing was changed", hint="free some space; it works again by itself then", path=place)


def _is_full(path: Path | None) -> bool:
    """Whether the file system of `path` has no room; False where that cannot be told."""
    if path is None:
        return False
    try:
        room = os.statvfs(path.parent)
    except OSError:
        return False
    return room.f_bavail * room.f_frsize < _ROOM_BYTES or (room.f_files > 0 and room.f_favail == 0)
