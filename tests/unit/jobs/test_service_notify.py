"""The launcher is told to notify once for each job that has ended for good, when that is committed."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from aiosd.jobs.actions import Steer
from aiosd.jobs.draft import RetryDraft
from tests.unit.jobs.serving import Bench, draft, serving


def run(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(scenario, 20))


def told(bench: Bench) -> list[tuple[str, str]]:
    return [(str(job.id), str(job.phase)) for job in bench.launcher.notified]


def test_a_job_that_has_ended_is_notified_of_after_the_commit_and_only_where_it_asks_for_it() -> None:
    async def scenario() -> None:
        async with serving() as bench:
            await bench.submit(draft("a", notify_command="mail"))
            await bench.submit(draft("a"))
            await bench.settled()
            bench.journal.gate.clear()
            for launched in bench.launcher.launches:
                bench.launcher.ended(launched, 3)
            await bench.journal.waiting.wait()
            assert told(bench) == []
            bench.journal.gate.set()
            await bench.settled()
            assert told(bench) == [("1", "failed")]

    run(scenario())


def test_a_retry_is_no_end() -> None:
    async def scenario() -> None:
        async with serving() as bench:
            job = await bench.submit(draft("a", notify_command="mail", retry=RetryDraft(retries=1, backoff_s=5.0)))
            await bench.settled()
            bench.launcher.ended(bench.launcher.launches[0], 1)
            await bench.until(job.id, "waiting")
            assert told(bench) == []
            bench.clock.advance(6.0)
            await bench.submit(draft("b"))  # a turn
            await bench.settled()
            bench.launcher.ended(next(again for again in bench.launcher.launches if again.id == job.id and again.attempt == 2), 0)
            await bench.until(job.id, "succeeded")
            await bench.settled()
            assert told(bench) == [("1", "succeeded")]

    run(scenario())


def test_an_array_is_notified_of_once_and_not_its_elements() -> None:
    async def scenario() -> None:
        async with serving() as bench:
            await bench.submit(draft("a", array="0-2", notify_command="mail"))
            await bench.settled()
            for count, launched in enumerate(list(bench.launcher.launches)):
                assert told(bench) == [], count
                bench.launcher.ended(launched, 0)
                await bench.settled()
            assert told(bench) == [("1", "succeeded")]

    run(scenario())


def test_one_that_never_ran_is_notified_of_too() -> None:
    async def scenario() -> None:
        async with serving() as bench:
            job = await bench.submit(draft("a", notify_command="mail", held=True))
            await bench.service.steer(Steer.CANCEL, [str(job.id)])
            await bench.settled()
            assert told(bench) == [("1", "cancelled")]

    run(scenario())
