"""Reads beside the turns: nothing is missing, nothing comes twice, and a job is never unknown while its end is written."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import aclosing
from typing import Any

import pytest

from aiosd.errors import FailedPrecondition, InvalidArgument, NotFound
from aiosd.ids import JobId
from aiosd.jobs.actions import Steer
from aiosd.jobs.draft import RetryDraft
from aiosd.jobs.job import Phase
from aiosd.jobs.ports import JobFilter
from aiosd.jobs.views import JobEvent, LogPiece, LogWish
from aiosd.watch import Feed
from tests.unit.jobs.serving import ALICE, Bench, draft, serving

ALL = JobFilter(include_ended=True, include_elements=True)


def run(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(scenario, 20))


async def pages(bench: Bench, job_filter: JobFilter, size: int) -> list[str]:
    found, token = [], ""
    while True:
        page = await bench.reader.list(job_filter, size, token)
        found += [str(job.id) for job in page.jobs]
        token = page.next_page_token
        if not token:
            return found


async def take(events: AsyncIterator[JobEvent], count: int) -> list[tuple[str, str, str]]:
    taken = []
    for _ in range(count):
        event = await anext(events)
        taken.append((str(event.kind), str(event.job.id) if event.job else "", str(event.job.phase) if event.job else ""))
    return taken


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_pages_are_complete_over_live_and_ended_and_elements(size: int) -> None:
    async def scenario() -> None:
        async with serving(cpus=3) as bench:
            await bench.service.submit([draft("a"), draft("b", array="0-3"), draft("c")], owner=ALICE)
            for job in bench.launcher.launches[:2]:
                bench.launcher.ended(job)
            await bench.settled()
            everything = ["3", "2.1", "2.0", "2", "1"]
            found = await pages(bench, ALL, size)
            assert [i for i in found if i in everything] == everything and len(found) == len(set(found))
            assert await pages(bench, JobFilter(include_ended=True), size) == ["3", "2", "1"]
            assert "1" not in await pages(bench, JobFilter(), size)

    run(scenario())


def test_a_list_misses_nothing_and_shows_nothing_twice_while_jobs_end() -> None:
    async def scenario() -> None:
        async with serving(cpus=8) as bench:
            await bench.service.submit([draft("a") for _ in range(8)], owner=ALICE)
            first = await bench.reader.list(ALL, 3, "")
            bench.journal.gate.clear()
            for job in bench.launcher.launches[:6]:
                bench.launcher.ended(job)
            await bench.journal.waiting.wait()  # they are neither live nor history now
            second = await bench.reader.list(ALL, 3, first.next_page_token)
            bench.journal.gate.set()
            await bench.settled()
            third = await bench.reader.list(ALL, 3, second.next_page_token)
            assert [j.id.number for page in (first, second, third) for j in page.jobs] == [8, 7, 6, 5, 4, 3, 2, 1]

    run(scenario())


def test_lists_by_id_find_elements_with_and_without_records() -> None:
    async def scenario() -> None:
        async with serving(cpus=1) as bench:
            await bench.submit(draft("a", array="0-3"))
            assert await pages(bench, JobFilter(ids=[JobId(1)]), 10) == ["1"]
            assert await pages(bench, JobFilter(ids=[JobId(1)], include_elements=True), 10) == ["1.0", "1"]
            assert await pages(bench, JobFilter(ids=[JobId(1, 3), JobId(1, 9)]), 10) == ["1.3"]
            with pytest.raises(InvalidArgument, match="page_token"):
                await bench.reader.list(ALL, 1, "x")
            with pytest.raises(InvalidArgument, match="negative"):
                await bench.reader.list(ALL, -1, "")

    run(scenario())


def test_a_job_is_never_unknown_while_its_end_is_written() -> None:
    async def scenario() -> None:
        async with serving() as bench:
            await bench.submit(draft("a"))
            bench.journal.gate.clear()
            bench.launcher.ended(bench.launcher.launches[0])
            await bench.journal.waiting.wait()
            got = asyncio.ensure_future(bench.service.get("1"))
            waited = asyncio.ensure_future(bench.reader.wait("1", 0.0))
            await bench.settled()
            assert not got.done(), "what is not committed is not told"
            bench.journal.gate.set()
            assert (await got).phase is Phase.SUCCEEDED and (await waited).phase is Phase.SUCCEEDED

    run(scenario())


def test_wait_follows_an_element_from_before_it_has_a_record() -> None:
    async def scenario() -> None:
        async with serving(cpus=1) as bench:
            await bench.submit(draft("a", array="0-2"))
            waiting = [asyncio.ensure_future(bench.reader.wait(f"1.{i}", 0.0)) for i in (1, 2)]
            await bench.settled()
            bench.launcher.ended(bench.launcher.launches[0])
            await bench.settled()
            bench.launcher.ended(bench.launcher.launches[1], 4)
            assert (await waiting[0]).phase is Phase.FAILED
            await bench.settled()
            await bench.service.steer(Steer.CANCEL, ["1"], force=True)
            bench.launcher.ended(bench.launcher.launches[2])
            assert (await waiting[1]).phase is Phase.CANCELLED

    run(scenario())


def test_waiting_for_a_dropped_element_ends_with_the_cancel() -> None:
    async def scenario() -> None:
        async with serving(cpus=1) as bench:
            await bench.submit(draft("a", array="0-2"))
            waiting = asyncio.ensure_future(bench.reader.wait("1.2", 0.0))
            await bench.settled()
            await bench.service.steer(Steer.CANCEL, ["1"])
            assert (await waiting).phase is Phase.CANCELLED and bench.service.state.jobs[JobId(1)].phase is Phase.RUNNING

    run(scenario())


def test_a_wait_that_times_out_or_is_cancelled_leaves_nothing_behind() -> None:
    async def scenario() -> None:
        async with serving() as bench:
            await bench.submit(draft("a"))
            assert (await bench.reader.wait("1", 0.001)).phase is Phase.STARTING
            waiting = asyncio.ensure_future(bench.reader.wait("1", 0.0))
            await bench.settled()
            assert bench.service._changed
            waiting.cancel()
            await bench.settled()
            assert waiting.cancelled() and not bench.service._changed

    run(scenario())


def test_watch_shows_what_there_is_then_what_comes() -> None:
    async def scenario() -> None:
        async with serving() as bench:
            await bench.submit(draft("a"))
            async with aclosing(bench.reader.watch(JobFilter(), 0)) as events:  # type: ignore[type-var]
                assert await take(events, 2) == [("changed", "1", "starting"), ("synced", "", "")]
                bench.launcher.ended(bench.launcher.launches[0])
                shown = await take(events, 1)
                while shown[-1][2] != "succeeded":
                    shown += await take(events, 1)
                assert {i for _, i, _ in shown} == {"1"}

    run(scenario())


def test_watch_resumes_after_the_revision_it_saw() -> None:
    async def scenario() -> None:
        async with serving() as bench:
            await bench.submit(draft("a"))
            seen = bench.service.feed.revision
            await bench.submit(draft("b"))
            async with aclosing(bench.reader.watch(JobFilter(), seen)) as events:  # type: ignore[type-var]
                first = await anext(events)
                assert (first.kind, first.revision) == ("synced", seen)
                assert {i for _, i, _ in await take(events, 2)} == {"2"}

    run(scenario())


def test_a_watcher_that_lags_is_told_to_look_anew() -> None:
    async def scenario() -> None:
        async with serving() as bench:
            bench.service.feed = Feed(bench.service.state.revision, capacity=4)
            async with aclosing(bench.reader.watch(JobFilter(), 0)) as events:  # type: ignore[type-var]
                assert await take(events, 1) == [("synced", "", "")]
                for name in "abc":
                    await bench.submit(draft(name))
                shown = await take(events, 5)
                assert [kind for kind, _, _ in shown] == ["resync", "changed", "changed", "changed", "synced"]
                assert {i for _, i, _ in shown} == {"", "1", "2", "3"}
            async with aclosing(bench.reader.watch(JobFilter(), 7)) as events:  # type: ignore[type-var]
                assert (await take(events, 1))[0][0] == "resync"

    run(scenario())


async def read_all(bench: Bench, wish: LogWish, ref: str = "1") -> list[LogPiece]:
    return [piece async for piece in bench.reader.logs(ref, wish)]


def test_logs_go_from_attempt_to_attempt_and_tell_the_end() -> None:
    async def scenario() -> None:
        async with serving() as bench:
            await bench.submit(draft("a", retry=RetryDraft(retries=1, backoff_s=5.0)))
            following = asyncio.ensure_future(read_all(bench, LogWish(follow=True)))
            await bench.settled()
            bench.files.write("/logs/1.1.out", b"one\n")
            await bench.settled()
            bench.launcher.ended(bench.launcher.launches[0], 1)
            await bench.until(JobId(1), "waiting")
            bench.files.write("/logs/1.1.err", b"late\n")
            bench.clock.advance(6)
            bench.service._awake.set()
            await bench.until(JobId(1), "starting")
            bench.files.write("/logs/1.2.out", b"two\n")
            bench.launcher.ended(bench.launcher.launches[1])
            pieces = await following
            assert [(p.attempt, p.output, p.data) for p in pieces[:-1]] == [(1, "stdout", b"one\n"), (1, "stderr", b"late\n"), (2, "stdout", b"two\n")]
            assert pieces[-1].ended is not None and pieces[-1].ended.phase is Phase.SUCCEEDED
            assert bench.files.followers == 0 and not bench.service._changed
            assert [p.data for p in await read_all(bench, LogWish(attempt=1, output="stdout", stdout_offset=2))] == [b"e\n"]
            assert [(p.offset, p.data) for p in await read_all(bench, LogWish(attempt=1, tail_lines=1, output="stderr"))] == [(0, b"late\n")]
            with pytest.raises(NotFound, match="has had 2 attempts"):
                await read_all(bench, LogWish(attempt=3))
            with pytest.raises(InvalidArgument, match="negative"):
                await read_all(bench, LogWish(attempt=-1))

    run(scenario())


def test_an_end_at_any_step_of_a_follower_is_seen() -> None:
    """The end falls between every two steps of the follower once: it must hear of it each time."""

    async def scenario(steps: int) -> None:
        async with serving() as bench:
            await bench.submit(draft("a"))
            following = asyncio.ensure_future(read_all(bench, LogWish(follow=True)))
            for _ in range(steps):
                await asyncio.sleep(0)
            bench.files.files["/logs/1.1.out"] = b"last words"
            bench.launcher.ended(bench.launcher.launches[0])
            pieces = await following
            assert [p.data for p in pieces] == [b"last words", b""] and pieces[-1].ended is not None

    for steps in range(12):
        run(scenario(steps))


def test_a_follower_that_goes_leaves_nothing_behind() -> None:
    async def scenario() -> None:
        async with serving() as bench:
            await bench.submit(draft("a"))
            following = asyncio.ensure_future(read_all(bench, LogWish(follow=True)))
            await bench.settled()
            assert bench.files.followers == 1 and bench.service._changed
            following.cancel()
            await bench.settled()
            assert following.cancelled() and bench.files.followers == 0 and not bench.service._changed

    run(scenario())


def test_following_an_element_that_never_runs_ends_with_its_array() -> None:
    async def scenario() -> None:
        async with serving(cpus=1) as bench:
            await bench.submit(draft("a", array="0-2"))
            following = asyncio.ensure_future(read_all(bench, LogWish(follow=True), "1.2"))
            await bench.settled()
            await bench.service.steer(Steer.CANCEL, ["1"])
            (piece,) = await following
            assert piece.ended is not None and piece.ended.phase is Phase.CANCELLED
            with pytest.raises(FailedPrecondition, match="is an array"):
                await read_all(bench, LogWish())

    run(scenario())


def test_queues_and_the_node_are_shown_as_they_are() -> None:
    async def scenario() -> None:
        async with serving(cpus=1) as bench:
            await bench.service.submit([draft("a"), draft("b", array="0-4"), draft("c", held=True)], owner=ALICE)
            bench.clock.advance(30)
            (queue,) = bench.reader.queues()
            assert (queue.queued, queue.running, queue.oldest_wait_s) == (5, 1, 30.0)
            assert bench.reader.node().jobs_by_phase == {"starting": 1, "queued": 5, "held": 1}
            await bench.service.steer(Steer.HOLD, ["2"])
            assert bench.reader.node().jobs_by_phase == {"starting": 1, "held": 6}
            with pytest.raises(NotFound, match="no queue 'x'"):
                bench.reader.queue("x")

    run(scenario())
