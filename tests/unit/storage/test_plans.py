"""How the database would answer: the hot path and the first page of a list never walk through the history."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Connection, event

from aiosd.ids import JobId
from aiosd.jobs.job import Phase
from aiosd.jobs.ports import Changes, JobFilter
from aiosd.storage import jobs
from aiosd.storage.journal import SqlJournal
from tests.unit.storage.conftest import Store
from tests.unit.storage.samples import ended, live


def plans(store: Store, ask: Callable[[Connection], object]) -> list[str]:
    """The query plan of every statement that `ask` executes."""
    found: list[str] = []

    async def explain(journal: SqlJournal) -> None:
        await journal.commit(Changes(saved=[live(1)], ended=[ended(2), ended(3, 0)]))
        with journal._database.reading() as tx:
            seen: list[tuple[str, Any]] = []
            event.listen(tx, "before_cursor_execute", lambda conn, cursor, sql, parameters, context, many: seen.append((sql, parameters)))
            ask(tx)
            for sql, parameters in list(seen):
                found.extend(row[3] for row in tx.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", parameters))

    store.use(explain)
    return found


def walks(found: list[str]) -> list[str]:
    """The steps that read a table of unbounded size from end to end, or sort."""
    unbounded = ("finished_job", "spec", "environment")
    return [step for step in found if ("SCAN" in step and any(name in step for name in unbounded)) or "TEMP B-TREE" in step]


@pytest.mark.parametrize(
    "ask",
    [
        jobs.load_live,
        jobs.highest,
        jobs.load_settings,
        lambda tx: jobs.read_ended(tx, JobId(2)),
        lambda tx: jobs.read_phases(tx, [JobId(1), JobId(3, 0), JobId(3, 4), JobId(4, 4)]),
    ],
)
def test_starting_and_looking_up_never_scan_the_history(store: Store, ask: Callable[[Connection], object]) -> None:
    found = plans(store, ask)
    assert found
    assert walks(found) == []


@pytest.mark.parametrize(
    ("job_filter", "index"),
    [
        (JobFilter(), "finished_job_newest"),
        (JobFilter(users=frozenset({"alice"})), "finished_job_by_user"),
        (JobFilter(name="train"), "finished_job_by_name"),
        (JobFilter(ids=[JobId(2)]), "PRIMARY KEY"),
        (JobFilter(include_elements=True), "PRIMARY KEY"),
    ],
)
def test_a_page_of_a_list_is_read_in_order_from_an_index(store: Store, job_filter: JobFilter, index: str) -> None:
    found = plans(store, lambda tx: jobs.read_history(tx, job_filter, JobId(99), 10))
    assert index in found[0]
    assert "SEARCH" in found[0]
    if not job_filter.ids:
        assert walks(found) == []


def test_changes_since_a_revision_start_at_that_revision(store: Store) -> None:
    found = plans(store, lambda tx: jobs.read_changed(tx, JobFilter(phases=frozenset({Phase.FAILED})), 7, 10))
    assert "finished_job_by_revision" in found[0]
    assert "revision>?" in found[0]
    assert walks(found) == []


def test_loading_steps_through_no_more_of_the_database_when_the_history_is_long(store: Store) -> None:
    """Counts the steps of SQLite's virtual machine, which is what time is made of."""

    def steps(journal: SqlJournal) -> int:
        count = 0

        def step() -> int:
            nonlocal count
            count += 1
            return 0

        with journal._database.reading() as tx:
            dbapi: Any = tx.connection.dbapi_connection
            dbapi.set_progress_handler(step, 10)
            jobs.load_live(tx)
            jobs.highest(tx)
            dbapi.set_progress_handler(None, 0)
        return count

    async def measure(journal: SqlJournal) -> tuple[int, int]:
        await journal.commit(Changes(saved=[live(n) for n in range(1, 50)], ended=[ended(60)]))
        short = steps(journal)
        await journal.commit(Changes(ended=[ended(n) for n in range(100, 10_100)]))
        return short, steps(journal)

    short, long = store.use(measure)
    assert short > 10
    assert long <= short + 5


def test_an_array_of_elements_adds_nothing_to_the_indexes_of_whole_jobs(store: Store) -> None:
    async def partial(journal: SqlJournal) -> list[str]:
        with journal._database.reading() as tx:
            return [row[0] for row in tx.exec_driver_sql("SELECT sql FROM sqlite_schema WHERE type = 'index' AND sql LIKE '%idx = -1%'")]

    assert len(store.use(partial)) == 3
