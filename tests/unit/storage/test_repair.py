"""`admin check --repair` of the database: each kind of damage is mended, said, and the database as it was is kept."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from aiosd.ids import JobId
from aiosd.jobs.job import Phase
from aiosd.jobs.ports import Submission
from aiosd.storage.check import check_database
from aiosd.storage.journal import SqlJournal
from aiosd.storage.repair import repair_database
from tests.unit.storage.conftest import Store
from tests.unit.storage.samples import ARRAY, RICH, ended, live

DAMAGE = [
    ("INSERT INTO job SELECT * FROM finished_job WHERE number = 4", "job 4", "it has ended"),
    ("UPDATE job SET phase = 'succeeded' WHERE number = 1", "job 1", "it is succeeded, in the history"),
    ("UPDATE finished_job SET phase = 'running' WHERE number = 5", "job 5", "it is lost, in the history"),
    ("UPDATE finished_job SET phase = 'nonsense' WHERE number = 5", "job 5", "was moved to"),
    ("UPDATE job SET state = '{' WHERE number = 1", "job 1", "was moved to"),
    ("DELETE FROM finished_job WHERE number = 4", "submission of user 0", "it was forgotten"),
    ("DELETE FROM spec WHERE id = (SELECT spec FROM job WHERE number = 1)", "table job", "it went with the rows"),
    ("DELETE FROM environment", "table spec", "it went with the rows"),
    (
        "UPDATE sqlite_schema SET sql = replace(sql, '(revision)', '(uid)') WHERE name = 'finished_job_by_revision'",
        "file",
        "the indexes were made anew",
    ),
]


@pytest.fixture
def filled(store: Store) -> Store:
    store.commit(
        saved=[live(1), live(2, spec=ARRAY), live(2, 3, spec=ARRAY), RICH],
        ended=[ended(4), ended(2, 1, spec=ARRAY), ended(5, phase=Phase.LOST)],
        submissions=[Submission(0, "k", "d", 4, 2, 1e12)],
    )
    return store


def damage(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("PRAGMA foreign_keys = OFF")
        db.execute("PRAGMA writable_schema = ON")
        assert db.execute(statement).rowcount > 0


def test_a_sound_database_is_left_alone(filled: Store) -> None:
    assert repair_database(filled.url) == []
    assert not list(filled.path.parent.glob("*before-repair*"))


@pytest.mark.parametrize(("statement", "subject", "action"), DAMAGE)
def test_damage_is_mended_and_what_was_is_kept(filled: Store, statement: str, subject: str, action: str) -> None:
    damage(filled.path, statement)
    before = check_database(filled.url)
    told = repair_database(filled.url)
    assert check_database(filled.url) == []
    assert all(finding.repaired for finding in told), told
    assert any(f.subject == subject and action in f.action for f in told), told
    (copy,) = filled.path.parent.glob("*.before-repair-*[0-9]")
    assert check_database(f"sqlite:///{copy}") == before
    assert copy.stat().st_mode & 0o077 == 0

    async def load(journal: SqlJournal) -> int:
        return len((await journal.load()).jobs)

    assert filled.use(load) >= 0  # the daemon can start again


def test_a_row_that_cannot_be_read_is_kept_as_it_was(filled: Store) -> None:
    damage(filled.path, "UPDATE job SET state = '{' WHERE number = 1")
    repair_database(filled.url)
    (aside,) = filled.path.parent.glob("*.set-aside-*.jsonl")
    (row,) = map(json.loads, aside.read_text(encoding="utf-8").splitlines())
    assert (row["table"], row["number"], row["state"]) == ("job", 1, "{")


def test_a_job_of_the_history_that_had_not_ended_is_lost_with_a_reason(filled: Store) -> None:
    damage(filled.path, "UPDATE finished_job SET phase = 'running' WHERE number = 5")
    repair_database(filled.url)

    async def look(journal: SqlJournal) -> tuple[Phase, str]:
        job = await journal.get(JobId(5))
        assert job is not None
        assert job.outcome is not None
        return job.phase, job.reason

    assert filled.use(look) == (Phase.LOST, "the database said of it what cannot be, and was repaired")


def test_a_damaged_file_is_not_made_worse(filled: Store) -> None:
    data = bytearray(filled.path.read_bytes())
    data[4096:8192] = b"\xff" * 4096
    filled.path.write_bytes(data)
    told = repair_database(filled.url)
    assert told
    assert not any(finding.repaired for finding in told)
    assert "restore a backup" in told[0].action
    assert filled.path.read_bytes() == bytes(data)
    (copy,) = filled.path.parent.glob("*.before-repair-*[0-9]")
    assert copy.read_bytes() == bytes(data)


def test_a_database_of_another_version_is_not_touched(filled: Store) -> None:
    damage(filled.path, "UPDATE alembic_version SET version_num = '9999'")
    data = filled.path.read_bytes()
    (finding,) = repair_database(filled.url)
    assert (finding.subject, finding.repaired, "another version" in finding.action) == ("version", False, True)
    assert filled.path.read_bytes() == data
    assert not list(filled.path.parent.glob("*before-repair*"))
