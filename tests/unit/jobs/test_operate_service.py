"""What an operator asks of the jobs service is committed when it is answered; and what `why` says of who ended out of memory."""

import asyncio
import json

import pytest

from aiosd.errors import FailedPrecondition, NotFound
from aiosd.jobs.actions import Reserve
from aiosd.jobs.draft import RequestDraft
from aiosd.jobs.explain import WhyKind
from aiosd.jobs.job import Exit
from tests.unit.jobs.serving import draft, serving


def test_a_reservation_is_remembered_when_it_is_answered_and_gone_when_it_is_taken_back() -> None:
    async def scenario() -> None:
        async with serving() as bench:
            now_s = bench.service.clock.now().wall_s
            made = await bench.service.reserve(Reserve(now_s + 60, now_s + 120, ("ann",), frozenset({"ann"}), RequestDraft(1000)))
            assert [one["id"] for one in json.loads(bench.journal.settings["reservations"])["all"]] == [made.id]
            assert await bench.service.unreserve(made.id) == made
            assert json.loads(bench.journal.settings["reservations"]) == {"next": 2, "all": []}
            with pytest.raises(NotFound):
                await bench.service.unreserve(made.id)
            with pytest.raises(NotFound, match="there is no device 'gpu-0'"):
                await bench.service.set_device("gpu-0", quarantined=True)

    asyncio.run(asyncio.wait_for(scenario(), 30))


def test_why_answers_for_a_job_that_ended_out_of_memory_and_for_no_other_that_has_ended() -> None:
    async def scenario() -> None:
        async with serving() as bench:
            hungry, good = await bench.submit(draft("a")), await bench.submit(draft("b"))
            bench.launcher.ended(bench.launcher.launches[0], Exit(1.0, signal=9, oom_killed=True))
            bench.launcher.ended(bench.launcher.launches[1])
            await bench.until(hungry.id, "out_of_memory")
            await bench.until(good.id, "succeeded")
            why = await bench.service.why(str(hungry.id))
            assert why.kind is WhyKind.OUT_OF_MEMORY and "it used all of its" in why.summary and why.suggestions
            with pytest.raises(FailedPrecondition, match="does not wait"):
                await bench.service.why(str(good.id))

    asyncio.run(asyncio.wait_for(scenario(), 30))
