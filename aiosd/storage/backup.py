"""A consistent copy of the database while it is used, and whether a copy can be opened by this program."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import groupby
from pathlib import Path

from sqlalchemy import create_engine

from aiosd.errors import FailedPrecondition
from aiosd.models.vault_ports import Stored
from aiosd.storage import chunks, database, sqlite
from aiosd.storage.failures import corrupt, explained

_PLACES = 100  # that are read together
_NO_COPY = "AIOS backs up SQLite only; use `pg_dump` and `pg_restore` for this database, and copy the state directory beside it"


def file_of(url: str) -> Path:
    """The file of the database at `url`. Raises FailedPrecondition for one that is not a file, naming the tool that backs it up."""
    place = database.place_of(url)
    if place.path is None:
        raise FailedPrecondition(f"the database is {place.name}, a PostgreSQL server's", hint=_NO_COPY, place=place.name)
    return place.path


def copy_database(url: str, to: Path) -> int:
    """Copy the database as it is at one moment to the new file `to`, and make sure that the copy is sound; how many jobs it has.

    Writers go on meanwhile. Blocks. raises  StorageCorrupt: the database is damaged, and so would the backup be; DiskFull
    """
    path = file_of(url)
    with explained(str(path), path):
        sqlite.copy_file(path, to)
    with explained(str(to), to), closing(sqlite3.connect(to)) as copy:
        (mode,) = copy.execute("PRAGMA journal_mode=DELETE").fetchone()  # one file, without a log beside it
        (found,) = copy.execute("PRAGMA integrity_check(1)").fetchone()
        if (mode, found) != ("delete", "ok"):
            raise corrupt(str(path), f"a copy of it is not sound: {found}")
        (jobs,) = copy.execute("SELECT (SELECT count(*) FROM job) + (SELECT count(*) FROM finished_job)").fetchone()
    return int(jobs)


def places_in(copy: Path) -> list[tuple[str, int]]:
    """What the store has to have for this database: each place, and how long it is at least. Raises StorageCorrupt."""
    with explained(str(copy), copy), closing(sqlite.connect_read_only(copy)) as connection:
        return [(str(place), int(end)) for place, end in connection.execute("SELECT place, max(offset + stored_size) FROM chunk GROUP BY place ORDER BY place")]


def chunks_in(copy: Path) -> Iterator[tuple[list[Stored], dict[str, Stored]]]:
    """All chunks that this database knows, by place, each time with them and their bases by digest. Raises StorageCorrupt."""
    engine = create_engine("sqlite://", creator=lambda: sqlite.connect_read_only(copy))
    try:
        with explained(str(copy), copy), engine.connect() as tx:
            after = ""
            while places := chunks.places(tx, after, _PLACES):
                after = places[-1]
                for _, group in groupby(chunks.within(tx, places), key=lambda one: one.place):
                    rows = list(group)
                    yield rows, chunks.stored(tx, {one.base for one in rows if one.base}) | {one.digest: one for one in rows}
    finally:
        engine.dispose()


def check_copy(path: Path) -> None:
    """Raise FailedPrecondition for a copy that a newer aiosd has made, StorageCorrupt for a damaged one; an older one is welcome."""
    sqlite.look_over(path)
    with explained(str(path), path), closing(sqlite.connect_read_only(path)) as copy:
        (revision,) = copy.execute("SELECT version_num FROM alembic_version").fetchone()
    database.check_known(str(revision), str(path))
