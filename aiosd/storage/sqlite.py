"""An SQLite file: made private, looked over before it is written, opened with full durability, copied before a migration."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

from aiosd.storage.failures import corrupt, unwritable

_MAGIC = b"SQLite format 3\0"
_SMALL_BYTES = 16 << 20  # a file up to this size is checked whole at each start, in some tens of milliseconds
_HOT_TABLES = ("job", "submission", "setting", "user", "token")
_BUSY_S = 10.0

# WAL: readers never wait for the writer. FULL: a commit is on the disk when it returns. No mmap: with it, a bad sector
# or a file that somebody truncates would end the daemon by SIGBUS instead of being an error.
_PRAGMAS = ("synchronous=FULL", "foreign_keys=ON", "temp_store=MEMORY", "mmap_size=0", "cache_size=-8192")
_WRITER_PRAGMAS = ("wal_autocheckpoint=1000", "journal_size_limit=67108864")


def prepare_file(path: Path) -> bool:
    """Make the file, and its directory, for its owner alone. True when there was no database yet."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except (PermissionError, NotADirectoryError, IsADirectoryError) as error:
        raise unwritable(str(path), error.strerror or str(error)) from error
    return path.stat().st_size == 0


def look_over(path: Path) -> None:
    """Raise StorageCorrupt for damage that is cheap to see; reads only, so that a damaged file stays what it is.

    Of a large file, only what the daemon reads at start is checked: a start must not cost what the history weighs.
    Damage in the history is found when that is read, or by `aiosctl admin check`.
    """
    with path.open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise corrupt(str(path), "it does not begin as an SQLite database does")
    with closing(connect_read_only(path)) as db:
        if path.stat().st_size <= _SMALL_BYTES:
            checks = ["PRAGMA quick_check(1)"]
        else:
            there = {name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
            checks = [f"PRAGMA quick_check({name})" for name in _HOT_TABLES if name in there]
        for check in checks:
            (found,) = db.execute(check).fetchone()
            if found != "ok":
                raise corrupt(str(path), found.replace("\n", " "))


def connect_read_only(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=_BUSY_S)


def writer_engine(url: URL) -> Engine:
    engine = _engine(url, 1, _WRITER_PRAGMAS)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")  # a read-only file or a second writer shows at once, not in the middle

    return engine


def reader_engine(url: URL, connections: int) -> Engine:
    engine = _engine(url, connections, ("query_only=ON",))

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    return engine


def _engine(url: URL, connections: int, pragmas: tuple[str, ...]) -> Engine:
    engine = create_engine(url, pool_size=connections, max_overflow=0, connect_args={"timeout": _BUSY_S})

    @event.listens_for(engine, "connect")
    def configure(dbapi: DBAPIConnection, entry: ConnectionPoolEntry) -> None:
        dbapi.isolation_level = None  # transactions begin where the "begin" event says, not where the driver guesses
        cursor = dbapi.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        (mode,) = cursor.fetchone() or ("",)
        if mode != "wal":
            raise unwritable(str(url.database), f"its file system has no shared memory for a write-ahead log (journal mode {mode!r})")
        for pragma in (*_PRAGMAS, *pragmas):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    return engine


def back_up(path: Path, revision: str) -> Path:
    """A consistent copy beside the file, `aiosd.db.before-0002`, complete when it has that name."""
    copy = path.with_name(f"{path.name}.before-{revision}")
    unfinished = path.with_name(f"{copy.name}.part")
    unfinished.unlink(missing_ok=True)
    copy_file(path, unfinished)
    unfinished.replace(copy)
    return copy


def copy_file(path: Path, to: Path) -> None:
    """The database as it is at one moment, into a new file for its owner alone; who writes to it goes on."""
    os.close(os.open(to, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    with closing(connect_read_only(path)) as source, closing(sqlite3.connect(to)) as target:
        source.backup(target)
