"""`admin check`: a sound database has no findings, and every kind of damage that the tables can hold has one."""

import sqlite3
from contextlib import closing

import pytest

from aiosd.jobs.job import Phase
from aiosd.jobs.ports import Submission
from aiosd.storage.check import check_database
from aiosd.storage.journal import SqlJournal
from tests.unit.storage.conftest import Store
from tests.unit.storage.samples import ARRAY, RICH, ended, live


@pytest.fixture
def filled(store: Store) -> Store:
    store.commit(
        saved=[live(1), live(2, spec=ARRAY), live(2, 3, spec=ARRAY), RICH],
        ended=[ended(4), ended(2, 1, spec=ARRAY), ended(5, phase=Phase.LOST)],
        submissions=[Submission(0, "k", "d", 4, 2, 1e12)],
        settings={"policy": '"fair"'},
    )
    return store


def test_a_sound_database_has_no_findings_open_or_closed(filled: Store) -> None:
    async def while_open(journal: SqlJournal) -> list[object]:
        return [*await journal.check()]

    assert check_database(filled.url) == []
    assert filled.use(while_open) == []


@pytest.mark.parametrize(
    ("statement", "subject", "problem"),
    [
        ("INSERT INTO job SELECT * FROM finished_job WHERE number = 4", "job 4", "both live and ended"),
        ("UPDATE job SET phase = 'succeeded' WHERE number = 1", "job 1", "succeeded"),
        ("UPDATE finished_job SET phase = 'running' WHERE idx = 1", "job 2.1", "running"),
        ("UPDATE finished_job SET phase = 'nonsense' WHERE number = 5", "job 5", "nonsense"),
        ("UPDATE finished_job SET state = '{' WHERE number = 5", "job 5", "cannot be read"),
        ('UPDATE job SET state = replace(state, \'"gid":1000\', \'"gid":"x"\') WHERE number = 1', "job 1", "cannot be read"),
        ("DELETE FROM finished_job WHERE number = 4", "submission of user 0", "job 4"),
        ("DELETE FROM spec WHERE id = (SELECT spec FROM job WHERE number = 1)", "table job", "spec"),
        ("DELETE FROM environment", "table spec", "environment"),
        ("UPDATE spec SET body = 'x' WHERE id = (SELECT spec FROM job WHERE number = 1)", "job 1", "cannot be read"),
    ],
)
def test_what_cannot_be_is_found(filled: Store, statement: str, subject: str, problem: str) -> None:
    with closing(sqlite3.connect(filled.path)) as db, db:
        db.execute("PRAGMA foreign_keys = OFF")
        assert db.execute(statement).rowcount > 0
    findings = check_database(filled.url)
    assert any(f.subject == subject and problem in f.problem for f in findings), findings


def test_an_index_that_disagrees_with_its_table_is_found(filled: Store) -> None:
    with closing(sqlite3.connect(filled.path)) as db:
        db.execute("PRAGMA writable_schema = ON")
        db.execute("UPDATE sqlite_schema SET sql = replace(sql, '(revision)', '(uid)') WHERE name = 'finished_job_by_revision'")
        db.commit()
    assert [f for f in check_database(filled.url) if "finished_job_by_revision" in f.problem]
