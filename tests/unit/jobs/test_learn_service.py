"""A new daemon learns from what ended before it, a bounded part of it, and from nothing twice."""

import asyncio
from dataclasses import replace

import pytest

from aiosd.errors import StorageUnwritable
from aiosd.ids import JobId
from aiosd.jobs import learn_service
from aiosd.jobs.history import History
from aiosd.jobs.job import Job
from aiosd.jobs.learn_service import Learner
from aiosd.jobs.ports import Changes, JobFilter
from tests.fakes.journal import FakeJournal
from tests.unit.jobs.world import World, draft


def ended_jobs(count: int) -> list[Job]:
    world = World()
    (job,) = world.submit(draft("python3", "train.py"))
    world.begin()
    world.wait(100.0)
    world.finish(job.id, run_s=100.0)
    return [replace(world.ended[job.id], id=JobId(number), revision=number) for number in range(1, count + 1)]


async def remembered(jobs: list[Job]) -> FakeJournal:
    journal = FakeJournal()
    await journal.commit(Changes(ended=jobs))
    return journal


def learned(jobs: list[Job], known: set[JobId] | None = None) -> History:
    history = History(learned_live=known if known is not None else set())

    async def teach() -> None:
        await Learner(await remembered(jobs), lambda: history, 0.0).run()

    asyncio.run(teach())
    return history


def test_what_ended_before_is_learned_and_not_counted_as_checked() -> None:
    history = learned(ended_jobs(450))
    assert history.predictor.learned == 450
    assert history.predictor.checked == 0
    assert history.learned_live is None
    assert history.predictor.calibrations[0].margin < 0.3, "the margins were rehearsed"


def test_only_the_latest_are_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learn_service, "MOST_RUNS", 100)
    monkeypatch.setattr(learn_service, "BATCH", 50)
    assert learned(ended_jobs(1000)).predictor.learned == 100


def test_a_run_that_was_learned_as_it_ended_is_not_learned_again() -> None:
    assert learned(ended_jobs(10), {JobId(9), JobId(10)}).predictor.learned == 8


def test_a_history_that_cannot_be_read_is_done_without() -> None:
    class Broken(FakeJournal):
        async def history(self, job_filter: JobFilter, before: JobId | None, limit: int) -> list[Job]:
            raise StorageUnwritable("the disk is gone")

    history = History()
    asyncio.run(Learner(Broken(), lambda: history).run())
    assert (history.predictor.learned, history.learned_live) == (0, None)
