"""What jobs leave is due from the commit of their end on, until it is settled."""

from dataclasses import replace

from aiosd.ids import JobId
from aiosd.jobs.job import ArrayProgress, ModelOutput, Phase
from aiosd.jobs.ports import Changes, DueOutput
from aiosd.jobs.ranges import IndexRanges
from aiosd.storage.check import check_database
from aiosd.storage.journal import SqlJournal
from aiosd.storage.outputs import SqlOutputs
from tests.unit.storage.conftest import Store
from tests.unit.storage.samples import ARRAY, PLAIN, ended, live

OUTPUTS = (ModelOutput("digits", "main", "a"), ModelOutput("letters", "main", "b"))
LEAVES = replace(PLAIN, model_outputs=OUTPUTS)


async def due(journal: SqlJournal, number: int | None = None) -> list[DueOutput]:
    return list(await SqlOutputs(journal).due(None if number is None else JobId(number)))


def test_only_what_has_succeeded_leaves_anything_and_an_array_itself_does_not(store: Store) -> None:
    array = replace(ARRAY, model_outputs=OUTPUTS[:1])
    whole = replace(ended(4, spec=array), array=ArrayProgress(IndexRanges(())))
    store.commit(ended=[ended(1, spec=LEAVES), ended(2, spec=LEAVES, phase=Phase.FAILED), ended(3), whole, ended(4, 7, spec=array)])
    assert store.use(due) == [DueOutput(JobId(1), 0), DueOutput(JobId(1), 1), DueOutput(JobId(4, 7), 0)]
    assert check_database(store.url) == []


def test_what_was_noted_of_a_run_goes_with_what_is_due(store: Store) -> None:
    async def scenario(journal: SqlJournal) -> list[str]:
        book = SqlOutputs(journal)
        kept: list[str] = []

        async def see(number: int, attempt: int = 1) -> None:
            kept.append(await book.source(JobId(number), attempt))

        await journal.commit(Changes(saved=[live(1, spec=LEAVES), live(2, spec=LEAVES)]))
        for number in (1, 2, 3):
            await book.note(JobId(number), 1, "first")
        await book.note(JobId(1), 2, "second")
        await see(1), await see(1, 2), await see(2), await see(3)
        await journal.commit(Changes(ended=[ended(1, spec=LEAVES), ended(2, spec=LEAVES, phase=Phase.FAILED)]))
        await book.note(JobId(2), 1, "too late")
        await see(1, 2), await see(2)
        await book.settle(DueOutput(JobId(1), 0))
        await book.settle(DueOutput(JobId(1), 1, "why"))
        await see(1, 2)
        await book.settle(DueOutput(JobId(1), 1))
        await see(1, 2)
        return kept

    assert store.use(scenario) == ["", "second", "first", "", "second", "", "second", ""]


def test_what_is_settled_goes_and_what_failed_stays_with_its_reason(store: Store) -> None:
    store.commit(ended=[ended(1, spec=LEAVES), ended(2, spec=LEAVES)])

    async def settle(journal: SqlJournal) -> None:
        book = SqlOutputs(journal)
        await book.settle(DueOutput(JobId(1), 0))
        await book.settle(DueOutput(JobId(1), 1, "there is no 'b'"))
        await book.settle(DueOutput(JobId(9), 0))  # that was never there

    store.use(settle)
    assert store.use(lambda journal: due(journal, 1)) == [DueOutput(JobId(1), 1, "there is no 'b'")]
    assert len(store.use(due)) == 3
