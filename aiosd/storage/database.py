"""Opening the database: where it is, whether it is whole, of which version, and the connections to it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import URL, Connection, Engine, inspect, make_url, text
from sqlalchemy.exc import ArgumentError

from aiosd.errors import ConfigError, FailedPrecondition
from aiosd.storage import postgres, schema, sqlite
from aiosd.storage.failures import explained

if TYPE_CHECKING:
    from alembic.config import Config

READERS = 2  # connections, and threads, for the history


@dataclass(frozen=True, slots=True)
class Migrations:
    """Where the files are that lead from each version to the next, and which is the last."""

    location: str = "aiosd.storage:migrations"
    head: str = schema.REVISION


@dataclass(frozen=True, slots=True)
class Place:
    """Where a database is. `name` is for people: a path, or a URL without its password."""

    url: URL
    name: str
    path: Path | None  # of an SQLite file


@dataclass(frozen=True, slots=True)
class Database:
    """An open database of this program's version: one connection that writes, a few that read."""

    place: Place
    writer: Connection
    readers: Engine
    backup: Path | None = None  # made before a migration

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """All that is written inside the block, or nothing; errors leave it explained."""
        with explained(self.place.name, self.place.path), self.writer.begin():
            yield self.writer

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        with explained(self.place.name, self.place.path), self.readers.connect() as connection:
            yield connection

    def close(self) -> None:
        """The writer last, so that SQLite folds its log into the file."""
        self.readers.dispose()
        self.writer.close()
        self.writer.engine.dispose()


def place_of(url: str) -> Place:
    """Raises ConfigError when `url` is none that AIOS can store in."""
    hint = 'write it "sqlite:////var/lib/aios/aiosd.db" or "postgresql+psycopg://user@host/database"'
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise ConfigError("storage.url cannot be read as a URL", hint=hint) from error
    shown = parsed.render_as_string(hide_password=True)
    if parsed.drivername == "postgresql+psycopg":
        return Place(parsed, shown, None)
    if parsed.drivername in ("sqlite", "sqlite+pysqlite") and parsed.database not in (None, "", ":memory:"):
        path = Path(str(parsed.database)).absolute()
        return Place(parsed.set(database=str(path)), str(path), path)
    raise ConfigError(f"storage.url is {shown}, which is neither an SQLite file nor PostgreSQL by psycopg", hint=hint)


def describe_url(url: str) -> str:
    """The URL as people may see it: without its password."""
    return make_url(url).render_as_string(hide_password=True)


def open_database(url: str, migrations: Migrations = Migrations()) -> Database:
    """Make, check, migrate and open the database.

    raises   StorageCorrupt, StorageUnwritable, DiskFull, FailedPrecondition (it is of a newer program, or not ours),
             AlreadyRunning (PostgreSQL: another daemon has it), Unavailable; nothing was changed then
    """
    place = place_of(url)
    with explained(place.name, place.path):
        writers, readers = _engines(place)
        writer = writers.connect()
        try:
            return Database(place, writer, readers, _bring_up(writer, place, migrations))
        except BaseException:
            writer.close()
            writers.dispose()
            raise


def _engines(place: Place) -> tuple[Engine, Engine]:
    """One for the writer and one for the readers; an SQLite file is looked over before it is opened for writing."""
    if place.path is None:
        return postgres.writer_engine(place.url, place.name), postgres.reader_engine(place.url, READERS)
    if not sqlite.prepare_file(place.path):
        sqlite.look_over(place.path)
    return sqlite.writer_engine(place.url), sqlite.reader_engine(place.url, READERS)


def _bring_up(writer: Connection, place: Place, migrations: Migrations) -> Path | None:
    """Migrate an empty or older database in one transaction; the backup that was made before that, if any."""
    with writer.begin():  # for SQLite also the proof that the file can be written
        found = stored_revision(writer, place)
    if found == migrations.head:
        return None
    if found is not None:
        check_known(found, place.name, migrations)
    backup = sqlite.back_up(place.path, migrations.head) if place.path and found else None
    _migrate(writer, migrations)
    return backup


def check_known(found: str, name: str, migrations: Migrations = Migrations()) -> None:
    """Raise FailedPrecondition when version `found` is not one that this program has, or comes from: never backwards."""
    if found not in _known_revisions(migrations):
        raise FailedPrecondition(
            f"the database {name} has version {found}, which this aiosd (version {migrations.head}) does not know; nothing was changed",
            hint="install the newer aiosd again, or restore a backup that this one wrote",
            place=name,
            found=found,
            known=migrations.head,
        )


def stored_revision(connection: Connection, place: Place) -> str | None:
    """The version of the database; None when it is empty. Raises FailedPrecondition when it is not AIOS's."""
    tables = set(inspect(connection).get_table_names())
    if "alembic_version" in tables:
        revision = connection.scalar(text("SELECT version_num FROM alembic_version"))
        return str(revision) if revision else None
    if tables:
        raise FailedPrecondition(
            f"the database {place.name} is not one of AIOS: it has the tables {', '.join(sorted(tables)[:5])}; nothing was changed",
            hint="give storage.url a file or database of its own",
            place=place.name,
        )
    return None


def _known_revisions(migrations: Migrations) -> set[str]:
    from alembic.script import ScriptDirectory  # here: a start without a migration need not pay for importing it

    return {script.revision for script in ScriptDirectory.from_config(_alembic(migrations)).walk_revisions()}


def _migrate(writer: Connection, migrations: Migrations) -> None:
    from alembic import command

    config = _alembic(migrations)
    config.attributes["connection"] = writer
    with writer.begin():
        command.upgrade(config, migrations.head)


def _alembic(migrations: Migrations) -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", migrations.location)
    config.set_main_option("path_separator", "os")
    return config
