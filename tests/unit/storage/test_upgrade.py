"""A database that the first released version wrote becomes one of this version: everything is kept, and a copy is left."""

import sqlite3
from contextlib import closing
from dataclasses import fields, replace
from pathlib import Path

import pytest
from sqlalchemy import insert
from sqlalchemy.exc import DatabaseError

from aiosd.access.audit import AuditRecord, Head, chain
from aiosd.access.ports import AccessChanges
from aiosd.errors import AiosError
from aiosd.jobs.job import JobSpec, RetryPolicy
from aiosd.jobs.ports import JobFilter
from aiosd.models.model import Model
from aiosd.models.ports import ModelQuery
from aiosd.models.version import Commit, Kind, Version
from aiosd.storage import access, model_questions, model_rows, model_text, schema
from aiosd.storage.check import check_database
from aiosd.storage.database import Migrations, open_database
from aiosd.storage.journal import SqlJournal
from tests.unit.storage.conftest import Store
from tests.unit.storage.samples import RICH_SPEC, ended, live

FIRST = Path(__file__).with_name("first.sql")  # a dump of what version 0001 wrote
YOUNGER = (
    "qos",
    "io_read_bytes_per_s",
    "io_write_bytes_per_s",
    "io_weight",
    "secrets",
    "secrets_at",
    "private_tmp",
    "login_environment",
    "umask",
    "process_limits",
    "model_outputs",
    "open_cpus",
    "open_memory",
)
OLD_RETRY = replace(RICH_SPEC.retry, oom_memory_factor=RetryPolicy().oom_memory_factor, oom_memory_max_bytes=0)
OLD_SPEC = replace(RICH_SPEC, retry=OLD_RETRY, **{field.name: field.default for field in fields(JobSpec) if field.name in YOUNGER})  # type: ignore[arg-type]
RECORD = AuditRecord(at_s=1.0, user="alice", uid=1000, method="Jobs.Cancel", allowed=True)


def write_first(store: Store) -> None:
    store.path.parent.mkdir()
    with closing(sqlite3.connect(store.path)) as db:
        db.executescript(FIRST.read_text(encoding="utf-8"))


def test_a_first_database_with_jobs_keeps_them_all_and_a_copy_is_left(store: Store) -> None:
    write_first(store)

    async def everything(journal: SqlJournal) -> tuple[object, ...]:
        loaded = await journal.load()
        assert journal.migration_backup == str(store.path.with_name("aiosd.db.before-0005"))
        history = await journal.history(JobFilter(include_ended=True), None, 10)
        return list(loaded.jobs), list(history), loaded.settings["policy"], loaded.next_number

    assert store.use(everything) == ([live(1), live(2, spec=OLD_SPEC)], [ended(4, spec=OLD_SPEC), ended(3)], '"priority"', 5)
    assert check_database(store.url) == []
    with closing(sqlite3.connect(store.path.with_name("aiosd.db.before-0005"))) as copy:
        assert copy.execute("SELECT version_num FROM alembic_version").fetchall() == [("0001",)]
        assert copy.execute("SELECT count(*) FROM job").fetchall() == [(2,)]


@pytest.mark.parametrize("statement", ["UPDATE audit SET user_name = 'bob'", "DELETE FROM audit", "INSERT OR REPLACE INTO audit SELECT * FROM audit"])
def test_the_trail_of_an_upgraded_database_can_only_be_added_to(store: Store, statement: str) -> None:
    write_first(store)
    opened = open_database(store.url)
    chained, head = chain([RECORD, RECORD], Head())
    with opened.transaction() as tx:
        access.save(tx, AccessChanges(audit=chained, head=head))
    with pytest.raises((AiosError, DatabaseError)), opened.transaction() as tx:
        tx.exec_driver_sql(statement)
    with opened.reading() as tx:
        assert access.verify_trail(tx).intact
        assert access.read_head(tx) == head
    opened.close()


def test_check_names_the_first_record_that_was_changed(store: Store) -> None:
    """By somebody who may write the file, and takes the trigger away first."""
    opened = open_database(store.url)
    chained, head = chain([RECORD] * 3, Head())
    with opened.transaction() as tx:
        access.save(tx, AccessChanges(audit=chained, head=head))
    opened.close()
    assert check_database(store.url) == []
    with closing(sqlite3.connect(store.path)) as db:
        db.execute("DROP TRIGGER audit_no_update")
        db.execute("UPDATE audit SET user_name = 'bob' WHERE number = 2")
        db.commit()
    (finding,) = check_database(store.url)
    assert (finding.subject, "record 2 is not what was written" in finding.problem) == ("audit trail", True)


def test_check_says_when_the_end_of_the_trail_is_missing(store: Store) -> None:
    opened = open_database(store.url)
    chained, head = chain([RECORD] * 3, Head())
    with opened.transaction() as tx:
        access.save(tx, AccessChanges(audit=chained, head=head))
    opened.close()
    with closing(sqlite3.connect(store.path)) as db:
        db.execute("DROP TRIGGER audit_no_delete")
        db.execute("DELETE FROM audit WHERE number = 3")
        db.commit()
    (finding,) = check_database(store.url)
    assert "ends with record 2, and 3 were written" in finding.problem


def test_models_of_before_are_found_by_their_words(store: Store) -> None:
    commit = Commit(kind=Kind.MODEL, manifest="m", message="more layers")
    version = Version(model="digits", number=7, id=commit.id, commit=commit, size=1, files=1, stored_bytes=1)
    old = open_database(store.url, Migrations(head="0003"))
    with old.transaction() as tx:
        tx.execute(insert(schema.model), model_rows.model_row(Model(kind=Kind.MODEL, name="digits", owner="ada", owner_uid=1, created_at_s=1.0)))
        tx.execute(insert(schema.model_version), model_rows.version_row(version, commit.encode()))
        tx.execute(insert(schema.manifest), model_rows.manifest_rows({"m": b""}))
    old.close()
    new = open_database(store.url)
    with new.transaction() as tx:
        found = [model.name for text in ("dig", "LAYERS", "none") for model in model_questions.models(tx, ModelQuery(text=text))]
        assert (found, model_questions.last_number(tx, Kind.MODEL, "digits")) == (["digits", "digits"], 7)
        assert list(model_text.problems(tx)) == []
    new.close()
