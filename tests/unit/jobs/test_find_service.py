"""One job by id or by name: live ones first, then those that have ended, and nothing is unknown while it is written."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from aiosd.errors import DiskFull, FailedPrecondition, InvalidArgument, NotFound
from aiosd.ids import JobId
from aiosd.jobs.actions import QueueChange, Steer
from aiosd.jobs.job import Owner
from aiosd.jobs.ports import JobFilter
from tests.unit.jobs.serving import ALICE, Bench, draft, serving


def run(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(scenario, 20))


async def ended(bench: Bench, name: str) -> JobId:
    job = await bench.submit(draft("x", name=name))
    launched = next(j for j in bench.launcher.launches if j.id == job.id)
    bench.launcher.started(launched)
    bench.launcher.ended(launched)
    await bench.until(job.id, "succeeded")
    return job.id


def test_a_name_means_the_live_job_and_then_the_one_that_ended() -> None:
    async def scenario() -> None:
        async with serving() as bench:
            first = await ended(bench, "night")
            assert (await bench.service.get("night")).id == first
            assert (await bench.reader.wait("night", 0.0)).phase == "succeeded"
            with pytest.raises(FailedPrecondition, match=f"job {first} .* has ended"):
                await bench.service.why("night")
            second = await bench.submit(draft("x", name="night"))
            assert (await bench.service.get("night")).id == second.id

    run(scenario())


def test_a_name_of_several_that_ended_lists_them_newest_first() -> None:
    async def scenario() -> None:
        async with serving() as bench:
            for _ in range(12):
                await ended(bench, "night")
            with pytest.raises(InvalidArgument, match=r"'night' is not unique: it was that of jobs 12, 11, 10, 9, 8, 7, 6, 5, 4, 3 …") as refused:
                await bench.service.get("night")
            assert refused.value.hint == "use the id"
            with pytest.raises(NotFound, match="there is no job named 'day'"):
                await bench.service.get("day")

    run(scenario())


def test_a_name_is_looked_for_among_ones_own_jobs_where_it_is_asked_so() -> None:
    bob = Owner(ALICE.uid + 1, 1, "bob")

    async def scenario() -> None:
        async with serving() as bench:
            (hers,) = await bench.service.submit([draft("x", name="night")], owner=ALICE)
            (his,) = await bench.service.submit([draft("x", name="night")], owner=bob)
            with pytest.raises(InvalidArgument, match="not unique"):
                await bench.service.get("night")
            assert (await bench.service.get("night", among=ALICE)).id == hers.id
            assert (await bench.service.get("night", among=bob)).id == his.id
            assert (await bench.service.get(str(his.id), among=ALICE)).id == his.id  # an id is no secret
            gone = await ended(bench, "day")
            assert (await bench.service.get("day", among=ALICE)).id == gone
            with pytest.raises(NotFound, match="there is no job named 'day'"):
                await bench.service.get("day", among=bob)

    run(scenario())


def test_a_name_is_known_while_its_end_is_being_written() -> None:
    async def scenario() -> None:
        async with serving() as bench:
            job = await bench.submit(draft("x", name="night"))
            bench.launcher.started(bench.launcher.launches[0])
            await bench.until(job.id, "running")
            bench.journal.gate.clear()
            bench.launcher.ended(bench.launcher.launches[0])
            await bench.journal.waiting.wait()
            found = asyncio.ensure_future(bench.service.get("night"))
            await bench.settled()
            assert not found.done()
            bench.journal.gate.set()
            assert (await found).phase == "succeeded"

    run(scenario())


def test_what_may_not_have_been_written_is_not_said_to_be_unknown() -> None:
    async def scenario() -> None:
        async with serving() as bench:
            bench.journal.fail_next = DiskFull("no room")
            with pytest.raises(DiskFull):
                await bench.submit(draft("x", name="night"))
            with pytest.raises(DiskFull):
                await bench.service.get("night")

    run(scenario())


def test_what_reads_show_of_a_queued_job_says_why() -> None:
    async def scenario() -> None:
        async with serving(cpus=1) as bench:
            await bench.service.submit([draft("a"), draft("b")], owner=ALICE)
            page = await bench.reader.list(JobFilter(), 10, "")
            assert [job.reason for job in page.jobs] == ["waits for cpu", ""]
            assert (await bench.reader.get("2")).reason == "waits for cpu"
            assert (await bench.reader.wait("2", 0.01)).reason == "waits for cpu"
            events = bench.reader.watch(JobFilter(), 0)
            seen = [await anext(events) for _ in range(3)]
            assert {str(e.job.id): e.job.reason for e in seen if e.job} == {"1": "", "2": "waits for cpu"}
            await bench.service.set_queue("default", QueueChange(started=False))
            await bench.service.steer(Steer.HOLD, ["2"])
            await bench.service.steer(Steer.RELEASE, ["2"])
            changes = [await anext(events) for _ in range(2)]
            assert [e.job.reason for e in changes if e.job] == ["held by its user", "queue stopped"]
            assert bench.journal.live[JobId(2)].reason == "", "it is not stored"
            await events.aclose()  # type: ignore[attr-defined]

    run(scenario())
