"""The contract of the port Journal: on the fake, on SQLite, and on a private PostgreSQL."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import pytest

from aiosd.clock import Instant
from aiosd.errors import AlreadyExists
from aiosd.ids import JobId
from aiosd.jobs.job import Job, Phase
from aiosd.jobs.ports import Changes, JobFilter, Submission
from aiosd.storage.journal import SqlJournal
from tests.fakes.journal import FakeJournal
from tests.unit.storage.samples import ARRAY, BOB, PLAIN, RICH, ended, environment, live

T = TypeVar("T")
NOW_S = 1_700_000_000.0
EVERYTHING = JobFilter(include_elements=True)


@dataclass
class Clock:
    now_s: float = NOW_S

    def now(self) -> Instant:
        return Instant(self.now_s, self.now_s)


class Bench:
    """A journal under test, in a loop of its own, that can be closed and opened again."""

    def __init__(self, opening: Callable[["Bench"], Awaitable[Any]]) -> None:
        self.clock = Clock()
        self.steps: list[str] = []
        self.fail_at = ""
        self._opening = opening
        self._runner = asyncio.Runner()
        self.journal = self.do(opening(self))

    def reached(self, step: str) -> None:
        self.steps.append(step)
        if step == self.fail_at:
            raise RuntimeError(step)

    def do(self, awaitable: Awaitable[T]) -> T:
        async def one() -> T:
            return await awaitable

        return self._runner.run(one())

    def commit(self, **changes: Any) -> None:
        self.do(self.journal.commit(Changes(**changes)))

    def load(self) -> Any:
        return self.do(self.journal.load())

    def history(self, job_filter: JobFilter = EVERYTHING, before: JobId | None = None, limit: int = 100) -> list[str]:
        return [str(job.id) for job in self.do(self.journal.history(job_filter, before, limit))]

    def reopen(self) -> None:
        self.do(self.journal.close())
        self.journal = self.do(self._opening(self))

    def close(self) -> None:
        self.do(self.journal.close())
        self._runner.close()


@pytest.fixture(params=["fake", "sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    if request.param == "fake":
        bench = Bench(_keep_one_fake())
    else:
        url = f"sqlite:///{tmp_path}/aiosd.db" if request.param == "sqlite" else request.getfixturevalue("migrated_cluster").new_database()
        bench = Bench(lambda b: SqlJournal.open(url, reached=b.reached, clock=b.clock))
    yield bench
    bench.close()


def _keep_one_fake() -> Callable[[Bench], Awaitable[FakeJournal]]:
    kept: list[FakeJournal] = []

    async def opening(bench: Bench) -> FakeJournal:
        if not kept:
            kept.append(FakeJournal(reached=bench.reached, clock=bench.clock))
        return kept[0]

    return opening


def test_a_new_journal_is_empty(bench: Bench) -> None:
    loaded = bench.load()
    assert (list(loaded.jobs), list(loaded.submissions), dict(loaded.settings), loaded.next_number, loaded.revision) == ([], [], {}, 1, 0)
    assert bench.history() == []
    assert bench.do(bench.journal.get(JobId(1))) is None


def test_what_was_committed_is_there_after_a_restart(bench: Bench) -> None:
    bench.commit(saved=[live(2), live(1), RICH], ended=[ended(3)], settings={"policy": '"fair"'})
    bench.reopen()
    loaded = bench.load()
    assert list(loaded.jobs) == [live(1), live(2), RICH]
    assert loaded.jobs[2].spec.environment.variables == RICH.spec.environment.variables
    assert loaded.settings == {"policy": '"fair"'}
    assert bench.do(bench.journal.get(JobId(3))) == ended(3)
    assert (loaded.next_number, loaded.revision) == (RICH.id.number + 1, RICH.revision)


def test_every_field_of_an_ended_job_comes_back(bench: Bench) -> None:
    job = replace(RICH, phase=Phase.FAILED)
    bench.commit(ended=[job])
    back = bench.do(bench.journal.get(job.id))
    assert back == job
    assert back.spec.environment.variables == job.spec.environment.variables


def test_the_last_save_of_a_job_counts(bench: Bench) -> None:
    bench.commit(saved=[live(1)])
    changed = replace(live(1), phase=Phase.HELD, spec=replace(PLAIN, priority=9, labels={"a": "b"}), revision=7)
    bench.commit(saved=[changed])
    assert list(bench.load().jobs) == [changed]
    bench.reopen()
    assert list(bench.load().jobs) == [changed]


def test_a_job_that_ended_is_no_longer_live(bench: Bench) -> None:
    bench.commit(saved=[live(1), live(2)])
    bench.commit(ended=[ended(1, revision=9)])
    bench.reopen()
    assert [job.id for job in bench.load().jobs] == [JobId(2)]
    assert bench.do(bench.journal.get(JobId(1))) == ended(1, revision=9)
    assert bench.do(bench.journal.get(JobId(2))) is None
    assert bench.load().revision == 9


def test_an_element_that_is_pending_again_has_no_record(bench: Bench) -> None:
    array, element = live(1, spec=ARRAY), live(1, 3, spec=ARRAY, phase=Phase.STARTING, revision=2)
    bench.commit(saved=[array, element])
    bench.commit(withdrawn=[element.id, JobId(1, 4)])
    bench.reopen()
    assert [job.id for job in bench.load().jobs] == [array.id] and bench.history() == []
    bench.commit(saved=[element])
    assert [job.id for job in bench.load().jobs] == [array.id, element.id]


def test_a_job_saved_and_ended_in_one_turn_has_ended(bench: Bench) -> None:
    bench.commit(saved=[live(1)], ended=[ended(1)])
    assert list(bench.load().jobs) == []
    assert bench.history() == ["1"]


@pytest.mark.parametrize("step", ["commit.1-before", "commit.2-written"])
def test_a_commit_that_fails_leaves_nothing_and_the_next_one_works(bench: Bench, step: str) -> None:
    bench.commit(saved=[live(1)], settings={"a": "1"})
    bench.fail_at = step
    fresh = replace(PLAIN, name="new", environment=environment(NEW="1"))
    with pytest.raises(RuntimeError, match=step):
        bench.commit(
            saved=[live(2, spec=fresh)],
            ended=[ended(1), ended(3)],
            settings={"a": "2"},
            submissions=[Submission(0, "k", "d", 2, 1, NOW_S)],
        )
    bench.fail_at = ""
    loaded = bench.load()
    assert (list(loaded.jobs), list(loaded.submissions), loaded.settings, loaded.next_number) == ([live(1)], [], {"a": "1"}, 2)
    assert bench.history() == []
    bench.commit(saved=[live(2, spec=fresh)], ended=[ended(1)])
    bench.reopen()
    assert list(bench.load().jobs) == [live(2, spec=fresh)]
    assert bench.load().jobs[0].spec.environment.variables == {"NEW": "1"}


def test_the_steps_of_a_commit_are_reached_in_order(bench: Bench) -> None:
    bench.commit(saved=[live(1)])
    assert bench.steps == ["commit.1-before", "commit.2-written", "commit.3-committed"]


def test_a_job_cannot_end_twice(bench: Bench) -> None:
    bench.commit(ended=[ended(1)])
    with pytest.raises(AlreadyExists):
        bench.commit(saved=[live(2)], ended=[ended(1, phase=Phase.FAILED)])
    assert bench.do(bench.journal.get(JobId(1))) == ended(1)
    assert list(bench.load().jobs) == []


def test_numbers_and_revisions_never_go_back(bench: Bench) -> None:
    bench.commit(saved=[live(7, revision=30)])
    bench.commit(ended=[ended(7, revision=31)])
    bench.commit(submissions=[Submission(0, "k", "d", 8, 5, NOW_S)])
    bench.reopen()
    loaded = bench.load()
    assert (loaded.next_number, loaded.revision) == (13, 31)


def test_elements_read_back_with_the_spec_of_their_array(bench: Bench) -> None:
    array = live(1, spec=ARRAY)
    bench.commit(saved=[array, live(1, 0, spec=ARRAY), live(1, 1, spec=ARRAY)])
    bench.commit(ended=[ended(1, 0, spec=ARRAY)])
    bench.reopen()
    assert list(bench.load().jobs) == [array, live(1, 1, spec=ARRAY)]
    bench.commit(ended=[ended(1, 1, spec=ARRAY), ended(1, spec=ARRAY)])
    assert [job.spec for job in bench.do(bench.journal.history(EVERYTHING, None, 9))] == [ARRAY] * 3


def test_an_update_of_an_array_does_not_rewrite_the_elements_that_ended_before(bench: Bench) -> None:
    newer = replace(ARRAY, priority=5)
    bench.commit(saved=[live(1, spec=ARRAY)], ended=[ended(1, 0, spec=ARRAY)])
    bench.commit(saved=[live(1, spec=newer), live(1, 1, spec=newer)])
    bench.commit(ended=[ended(1, 1, spec=newer)])
    assert bench.do(bench.journal.get(JobId(1, 0))).spec.priority == 0
    assert bench.do(bench.journal.get(JobId(1, 1))).spec.priority == 5


def test_an_element_may_have_a_spec_of_its_own(bench: Bench) -> None:
    own = replace(ARRAY, time_limit_s=60.0)
    bench.commit(saved=[live(1, spec=ARRAY), live(1, 3, spec=own)])
    bench.reopen()
    assert [job.spec for job in bench.load().jobs] == [ARRAY, own]
    bench.commit(ended=[ended(1, 3, spec=own)])
    assert bench.do(bench.journal.get(JobId(1, 3))).spec == own


def test_settings_are_replaced_one_by_one(bench: Bench) -> None:
    bench.commit(settings={"policy": '"fifo"', "drained": "false"})
    bench.commit(settings={"policy": '"fair"'})
    bench.reopen()
    assert bench.load().settings == {"policy": '"fair"', "drained": "false"}


def test_submissions_are_kept_by_user_and_key_for_a_day(bench: Bench) -> None:
    kept = [Submission(0, "k", "d1", 1, 2, NOW_S), Submission(1, "k", "d2", 3, 1, NOW_S + 1)]
    bench.commit(saved=[live(n) for n in (1, 2, 3)], submissions=kept)
    bench.reopen()
    bench.clock.now_s = NOW_S + 86_400.5
    assert list(bench.load().submissions) == kept[1:]
    again = Submission(0, "k", "d3", 4, 1, bench.clock.now_s)  # the key may be used anew
    bench.commit(saved=[live(4)], submissions=[again])
    bench.reopen()
    assert list(bench.load().submissions) == [kept[1], again]


def _some_history(bench: Bench) -> None:
    bench.commit(
        ended=[
            ended(1, revision=20),
            ended(2, owner=BOB, phase=Phase.FAILED, revision=19),
            ended(3, spec=replace(PLAIN, name="eval", queue="night", labels={"team": "vision", "run": "1"}), revision=18),
            ended(4, spec=ARRAY, revision=17),
            ended(4, 0, spec=ARRAY, revision=14),
            ended(4, 1, spec=ARRAY, phase=Phase.FAILED, revision=15),
            ended(10, owner=BOB, spec=replace(PLAIN, labels={"team": "Vision"}), phase=Phase.CANCELLED, revision=16),
        ],
        saved=[live(5), live(6, owner=BOB)],
    )


@pytest.mark.parametrize(
    ("job_filter", "expected"),
    [
        (JobFilter(), "10 4 3 2 1"),
        (JobFilter(include_ended=True), "10 4 3 2 1"),
        (JobFilter(include_elements=True), "10 4.1 4.0 4 3 2 1"),
        (JobFilter(phases=frozenset({Phase.FAILED})), "2"),
        (JobFilter(phases=frozenset({Phase.FAILED, Phase.CANCELLED}), include_elements=True), "10 4.1 2"),
        (JobFilter(users=frozenset({"bob"})), "10 2"),
        (JobFilter(users=frozenset({"bob", "alice"}), phases=frozenset({Phase.FAILED})), "2"),
        (JobFilter(users=frozenset({"carol"})), ""),
        (JobFilter(queues=frozenset({"night"})), "3"),
        (JobFilter(queues=frozenset({"night", "default"})), "10 4 3 2 1"),
        (JobFilter(labels={"team": "vision"}), "3"),
        (JobFilter(labels={"team": "vision", "run": "1"}), "3"),
        (JobFilter(labels={"team": "vision", "run": "2"}), ""),
        (JobFilter(labels={"team": "vis"}), ""),
        (JobFilter(name="sweep"), "4"),
        (JobFilter(name="sweep", include_elements=True), "4.1 4.0 4"),
        (JobFilter(name="SWEEP"), ""),
        (JobFilter(name="%"), ""),
        (JobFilter(ids=[JobId(1), JobId(10), JobId(5), JobId(99)]), "10 1"),
        (JobFilter(ids=[JobId(4)]), "4"),
        (JobFilter(ids=[JobId(4)], include_elements=True), "4.1 4.0 4"),
        (JobFilter(ids=[JobId(4, 1)]), "4.1"),
        (JobFilter(ids=[JobId(4, 1), JobId(4, 1), JobId(2)], phases=frozenset({Phase.FAILED})), "4.1 2"),
    ],
)
def test_history_filters(bench: Bench, job_filter: JobFilter, expected: str) -> None:
    _some_history(bench)
    assert bench.history(job_filter) == expected.split()


@pytest.mark.parametrize(
    "job_filter",
    [JobFilter(), EVERYTHING, JobFilter(users=frozenset({"alice"})), JobFilter(ids=[JobId(n) for n in range(1, 700)])],
)
def test_pages_together_are_the_whole_in_order(bench: Bench, job_filter: JobFilter) -> None:
    _some_history(bench)
    pages: list[Job] = []
    while page := bench.do(bench.journal.history(job_filter, pages[-1].id if pages else None, 2)):
        assert len(page) <= 2
        pages += page
    assert [str(job.id) for job in pages] == bench.history(job_filter)
    assert len(pages) >= 3


def test_before_need_not_exist_and_may_be_an_element(bench: Bench) -> None:
    _some_history(bench)
    assert bench.history(JobFilter(), JobId(9)) == ["4", "3", "2", "1"]
    assert bench.history(EVERYTHING, JobId(4, 1)) == ["4.0", "4", "3", "2", "1"]
    assert bench.history(JobFilter(), JobId(4, 1)) == ["4", "3", "2", "1"]


def test_changed_since_is_by_revision_and_filtered(bench: Bench) -> None:
    _some_history(bench)

    def changed(revision: int, job_filter: JobFilter, limit: int = 99) -> list[str]:
        return [str(job.id) for job in bench.do(bench.journal.changed_since(revision, job_filter, limit))]

    assert changed(0, EVERYTHING) == ["4.0", "4.1", "10", "4", "3", "2", "1"]
    assert changed(0, JobFilter()) == ["10", "4", "3", "2", "1"]
    assert changed(17, JobFilter()) == ["3", "2", "1"]
    assert changed(15, EVERYTHING, 2) == ["10", "4"]
    assert changed(0, JobFilter(users=frozenset({"bob"}))) == ["10", "2"]
    assert changed(0, JobFilter(ids=[JobId(4)], include_elements=True)) == ["4.0", "4.1", "4"]
    assert changed(20, EVERYTHING) == []


def test_ended_phases_of_those_that_have_ended(bench: Bench) -> None:
    _some_history(bench)
    asked = [JobId(1), JobId(2), JobId(4, 1), JobId(5), *(JobId(n) for n in range(100, 2500))]
    expected = {JobId(1): Phase.SUCCEEDED, JobId(2): Phase.FAILED, JobId(4, 1): Phase.FAILED}
    assert bench.do(bench.journal.ended_phases(asked)) == expected
    assert bench.do(bench.journal.ended_phases([])) == {}


def test_an_empty_turn_is_no_turn(bench: Bench) -> None:
    bench.commit()
    assert bench.load().next_number == 1


def test_reading_the_history_while_turns_are_committed(bench: Bench) -> None:
    async def both() -> None:
        async with asyncio.TaskGroup() as tasks:
            for n in range(1, 21):
                tasks.create_task(bench.journal.commit(Changes(ended=[ended(n)])))
                tasks.create_task(bench.journal.history(EVERYTHING, None, 50))

    bench.do(both())
    assert bench.history() == [str(n) for n in range(20, 0, -1)]


def test_a_job_that_has_ended_is_amended_and_seen_by_those_who_follow(bench: Bench) -> None:
    bench.commit(ended=[ended(1), ended(2, revision=3)])
    said = "not registered: there is no such file"
    bench.commit(amended=[replace(ended(1), reason=said, revision=4)])
    assert bench.do(bench.journal.get(JobId(1))).reason == said
    assert [job.reason for job in bench.do(bench.journal.changed_since(3, EVERYTHING, 10))] == [said]
    bench.reopen()
    assert bench.load().revision == 4
    assert bench.do(bench.journal.get(JobId(1))) == replace(ended(1), reason=said, revision=4)
