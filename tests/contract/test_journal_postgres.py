"""What only PostgreSQL can do to a journal: a second daemon, a server that is gone, the schema of another dialect."""

import asyncio

import pytest
from sqlalchemy import make_url, text

from aiosd.errors import AlreadyRunning, StorageUnwritable, Unavailable
from aiosd.jobs.ports import Changes
from aiosd.storage import schema
from aiosd.storage.check import check_database
from aiosd.storage.database import open_database
from aiosd.storage.journal import SqlJournal
from tests import postgres
from tests.unit.storage.samples import live

pytestmark = pytest.mark.postgres


def test_a_second_daemon_is_refused(migrated_cluster: postgres.Cluster) -> None:
    url = migrated_cluster.new_database()

    async def twice() -> None:
        first = await SqlJournal.open(url)
        with pytest.raises(AlreadyRunning, match="another aiosd"):
            await SqlJournal.open(url)
        await first.commit(Changes(saved=[live(1)]))
        await first.close()
        second = await SqlJournal.open(url)
        assert list((await second.load()).jobs) == [live(1)]
        assert await second.check() == []
        await second.close()

    asyncio.run(twice())


def test_every_commit_waits_for_the_disk_and_readers_only_read(migrated_cluster: postgres.Cluster) -> None:
    opened = open_database(migrated_cluster.new_database())
    with opened.transaction() as tx:
        assert tx.scalar(text("SHOW synchronous_commit")) == "on"
    with pytest.raises(StorageUnwritable), opened.reading() as tx:
        tx.execute(text("DELETE FROM job"))
    opened.close()


def test_the_migrations_make_the_schema_on_the_page(migrated_cluster: postgres.Cluster) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    url = migrated_cluster.new_database()
    opened = open_database(url)
    with opened.transaction() as tx:
        context = MigrationContext.configure(tx, opts={"include_name": lambda name, of, parents: name != "model_text_index"})
        assert compare_metadata(context, schema.metadata) == []  # of an expression, which the page does not have
    opened.close()
    assert check_database(url) == []


def test_a_connection_that_is_cut_is_said_and_mended(migrated_cluster: postgres.Cluster) -> None:
    url = migrated_cluster.new_database()

    async def cut() -> None:
        journal = await SqlJournal.open(url)
        other = open_database(migrated_cluster.new_database())
        with other.transaction() as tx:
            tx.execute(text("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = :name"), {"name": make_url(url).database})
        other.close()
        with pytest.raises(Unavailable, match="does not answer"):
            await journal.commit(Changes(saved=[live(1)]))
        await journal.commit(Changes(saved=[live(2)]))
        with pytest.raises(AlreadyRunning):  # the new connection holds the database too
            await SqlJournal.open(url)
        assert list((await journal.load()).jobs) == [live(2)]
        await journal.close()

    asyncio.run(cut())


def test_a_server_that_is_not_there_is_named_without_the_password() -> None:
    if reason := postgres.missing():
        pytest.skip(reason)
    with pytest.raises(Unavailable) as caught:
        open_database("postgresql+psycopg://al:secret@/db?host=/nonexistent")
    assert "/nonexistent" in str(caught.value)
    assert "secret" not in str(caught.value)
