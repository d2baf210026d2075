"""A PostgreSQL database: connected with full durability, and held by one daemon at a time."""

from sqlalchemy import URL, Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import NoSuchModuleError
from sqlalchemy.pool import ConnectionPoolEntry

from aiosd.errors import AlreadyRunning, ConfigError

_LOCK_KEY = 0x61696F73  # "aios"; advisory locks are of one database
_OPTIONS = "-c synchronous_commit=on -c timezone=UTC -c lock_timeout=10s"


def writer_engine(url: URL, place: str) -> Engine:
    """Its connection keeps other daemons from the database for as long as it lives; so does the one that replaces it."""
    engine = _engine(url, 1, _OPTIONS)

    @event.listens_for(engine, "connect")
    def hold(dbapi: DBAPIConnection, entry: ConnectionPoolEntry) -> None:
        cursor = dbapi.cursor()
        cursor.execute(f"SELECT pg_try_advisory_lock({_LOCK_KEY})")
        (held,) = cursor.fetchone() or (False,)
        cursor.close()
        dbapi.commit()
        if not held:
            dbapi.close()
            hint = "give each daemon a database of its own in storage.url"
            raise AlreadyRunning(f"another aiosd uses the database {place}", hint=hint, place=place)

    return engine


def reader_engine(url: URL, connections: int) -> Engine:
    return _engine(url, connections, f"{_OPTIONS} -c default_transaction_read_only=on")


def _engine(url: URL, connections: int, options: str) -> Engine:
    try:
        return create_engine(
            url,
            pool_size=connections,
            max_overflow=0,
            pool_pre_ping=True,
            connect_args={"options": options, "application_name": "aiosd", "connect_timeout": 10},
        )
    except (ModuleNotFoundError, NoSuchModuleError) as error:
        hint = "pip install 'aiosd[postgres]', or leave storage.url out for SQLite"
        raise ConfigError(f"storage.url needs the driver psycopg: {error}", hint=hint) from error
