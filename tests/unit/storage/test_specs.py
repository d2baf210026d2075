"""What many jobs share is written once."""

from dataclasses import replace

from aiosd.ids import JobId
from aiosd.jobs.ports import Changes
from aiosd.storage.journal import SqlJournal
from aiosd.storage.specs import SpecBook, Written
from tests.unit.storage.conftest import Store
from tests.unit.storage.samples import ARRAY, PLAIN, ended, environment, live


async def counts(journal: SqlJournal) -> tuple[int, int]:
    with journal._database.reading() as tx:
        spec, environments = (tx.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one() for table in ("spec", "environment"))
        return spec, environments


def test_jobs_that_ask_for_the_same_share_a_row(store: Store) -> None:
    same = [live(n, spec=replace(PLAIN, environment=environment(PATH="/bin"))) for n in range(1, 100)]
    store.commit(saved=same)
    assert store.use(counts) == (1, 1)


def test_elements_and_their_array_share_a_row(store: Store) -> None:
    store.commit(saved=[live(1, spec=ARRAY), *(live(1, n, spec=ARRAY) for n in range(9))], ended=[ended(1, 9, spec=ARRAY)])
    assert store.use(counts) == (1, 1)


def test_different_jobs_share_an_environment(store: Store) -> None:
    store.commit(saved=[live(n, spec=replace(PLAIN, name=str(n))) for n in range(1, 10)])
    assert store.use(counts) == (9, 1)


def test_what_was_stored_before_a_restart_is_recognised_after_it(store: Store) -> None:
    store.commit(saved=[live(1), live(2, spec=replace(PLAIN, name="other"))])

    async def again(journal: SqlJournal) -> tuple[int, int]:
        loaded = await journal.load()
        await journal.commit(Changes(saved=[replace(loaded.jobs[0], revision=9), live(3)], ended=[ended(2, spec=loaded.jobs[1].spec)]))
        return await counts(journal)

    assert store.use(again) == (2, 1)


def test_an_environment_that_is_stored_already_but_forgotten_is_no_error(store: Store) -> None:
    store.commit(ended=[ended(1)])
    store.commit(ended=[ended(2)])  # without `load`: the book knows nothing
    assert store.use(counts) == (2, 1)


def test_a_transaction_that_failed_leaves_no_trace_in_the_book() -> None:
    book = SpecBook(1)
    lost = Written()
    assert book.place(live(1), lost) == 1
    kept = Written()
    assert book.place(live(2, spec=replace(PLAIN, name="other")), kept) == 1  # the number is free again
    assert kept.environments.keys() == lost.environments.keys()  # and the environment is still to be written


def test_jobs_that_ended_are_forgotten() -> None:
    book, written = SpecBook(1), Written()
    for n in range(5):
        book.place(live(n), written)
    book.settle(written, [])
    book.settle(Written(), [JobId(n) for n in range(5)])
    assert book._of_job == {}
    assert book.next_id == 2
