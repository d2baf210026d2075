"""The service's turns: one commit for all that was asked together, answers after it, and what happens when there is no room."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

import pytest

from aiosd.errors import AlreadyExists, Denied, DiskFull, FailedPrecondition, NotFound, Unavailable
from aiosd.ids import JobId
from aiosd.jobs.actions import QueueChange, SetPolicy, Steer
from aiosd.jobs.draft import JobChange, RetryDraft
from aiosd.jobs.job import Job
from aiosd.jobs.service import JobService
from aiosd.jobs.settings import JobsSettings
from aiosd.scheduling.rules import QosSettings, SchedulingRules
from tests.unit.jobs.serving import ALICE, Bench, draft, serving


def run(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(scenario, 20))


def test_what_is_asked_together_is_one_commit() -> None:
    async def scenario() -> None:
        async with serving(cpus=1) as bench:
            before = len(bench.journal.commits)
            jobs = await asyncio.gather(*(bench.submit(draft("a")) for _ in range(50)))
            assert len(bench.journal.commits) == before + 1
            assert sorted(j.id.number for j in jobs) == list(range(1, 51))
            assert len(bench.journal.live) == 50

    run(scenario())


def test_nobody_is_answered_or_launched_before_the_commit() -> None:
    async def scenario() -> None:
        async with serving() as bench:
            bench.journal.gate.clear()
            asked = asyncio.ensure_future(bench.submit(draft("a")))
            await bench.journal.waiting.wait()
            assert not asked.done() and bench.launcher.launches == []
            bench.journal.gate.set()
            assert (await asked).id == JobId(1)
            await bench.settled()
            assert [j.id for j in bench.launcher.launches] == [JobId(1)]

    run(scenario())


def test_the_news_that_a_run_has_begun_costs_no_commit_of_its_own() -> None:
    async def scenario() -> None:
        async with serving() as bench:
            job = await bench.submit(draft("a"))
            commits = len(bench.journal.commits)
            bench.launcher.started(bench.launcher.launches[0])
            await bench.until(job.id, "running")
            assert len(bench.journal.commits) == commits and bench.journal.live[job.id].phase == "starting"
            bench.launcher.ended(bench.launcher.launches[0])
            await bench.until(job.id, "succeeded")
            assert len(bench.journal.commits) == commits + 1

    run(scenario())


def test_lazy_news_is_committed_when_the_service_stops() -> None:
    async def scenario() -> None:
        async with serving() as bench:
            job = await bench.submit(draft("a"))
            bench.launcher.started(bench.launcher.launches[0])
            await bench.until(job.id, "running")
        assert bench.journal.live[job.id].phase == "running"

    run(scenario())


def test_the_same_key_twice_in_one_turn_makes_one_job() -> None:
    async def scenario() -> None:
        async with serving() as bench:
            twice = [bench.service.submit([draft("a")], owner=ALICE, key="k", digest="d") for _ in range(2)]
            first, second = await asyncio.gather(*twice)
            assert first[0].id == second[0].id == JobId(1) and len(bench.journal.live) == 1
            with pytest.raises(AlreadyExists):
                await bench.service.submit([draft("b")], owner=ALICE, key="k", digest="other")

    run(scenario())


def test_a_full_disk_is_told_to_all_and_leaves_nothing_behind() -> None:
    async def scenario() -> None:
        async with serving() as bench:
            kept = await bench.submit(draft("a"))
            bench.journal.fail_next = DiskFull("no room")
            answers = await asyncio.gather(*(bench.submit(draft("b")) for _ in range(3)), return_exceptions=True)
            assert [type(a) for a in answers] == [DiskFull] * 3
            await bench.settled()
            assert bench.service.state.jobs.keys() == {kept.id}
            with pytest.raises(DiskFull):
                await bench.submit(draft("c"))
            with pytest.raises(DiskFull):
                await bench.service.get("2")
            assert len(bench.launcher.launches) == 1

    run(scenario())


def test_recovery_asks_the_launcher_again_and_hears_its_answers() -> None:
    async def scenario() -> None:
        async with serving() as bench:
            job = await bench.submit(draft("a"))
            launched = bench.launcher.launches[0]
            bench.launcher.started(launched)
            await bench.until(job.id, "running")
            bench.journal.fail_next = DiskFull("no room")
            bench.launcher.ended(launched, 3)  # its end cannot be written
            await bench.in_trouble()
            assert (await bench.service.get("1")).phase in ("starting", "running"), "not 'not found', and not ended either"
            waiting = asyncio.ensure_future(bench.reader.wait("1", 0.0))
            await bench.settled()
            bench.service._awake.set()  # instead of a second of waiting
            ended = await waiting
            assert (ended.phase, ended.outcome and ended.outcome.exit_code) == ("failed", 3)
            assert bench.service.trouble is None and (await bench.submit(draft("b"))).id == JobId(2)

    run(scenario())


def test_revisions_go_on_after_a_recovery() -> None:
    async def scenario() -> None:
        async with serving() as bench:
            await bench.submit(draft("a"))
            bench.launcher.started(bench.launcher.launches[0])
            await bench.until(JobId(1), "running")
            seen = bench.service.feed.revision
            bench.journal.fail_next = DiskFull("no room")
            with suppress(DiskFull):
                await bench.submit(draft("b"))
            await bench.settled()
            assert bench.service.feed.revision > seen and not bench.service.feed.knows(seen)

    run(scenario())


def test_a_caller_that_gives_up_harms_nobody() -> None:
    async def scenario() -> None:
        async with serving() as bench:
            bench.journal.gate.clear()
            first, second = (asyncio.ensure_future(bench.submit(draft(name))) for name in "ab")
            await bench.journal.waiting.wait()
            first.cancel()
            bench.journal.gate.set()
            assert (await second).id == JobId(2)
            assert bench.journal.live.keys() == {JobId(1), JobId(2)}

    run(scenario())


def test_each_of_a_selection_gets_its_own_answer_in_one_commit() -> None:
    async def scenario() -> None:
        async with serving(cpus=1) as bench:
            await bench.service.submit([draft("a"), draft("b", name="two"), draft("c")], owner=ALICE)
            commits = len(bench.journal.commits)
            held = await bench.service.steer(Steer.HOLD, ["1", "two", "99", "nobody"])
            assert len(bench.journal.commits) == commits + 1
            assert [type(each.error) for each in held] == [FailedPrecondition, type(None), NotFound, NotFound]
            assert held[1].job is not None and held[1].job.phase == "held"

    run(scenario())


def test_a_job_that_ends_while_it_is_steered_has_ended_and_is_not_unknown() -> None:
    async def scenario() -> None:
        async with serving() as bench:
            await bench.submit(draft("a"))
            bench.journal.gate.clear()
            bench.launcher.ended(bench.launcher.launches[0])
            asked = asyncio.ensure_future(bench.service.steer(Steer.CANCEL, ["1"]))
            await bench.journal.waiting.wait()
            bench.journal.gate.set()
            (steered,) = await asked
            assert isinstance(steered.error, FailedPrecondition) and "has ended" in str(steered.error)
            with pytest.raises(FailedPrecondition, match="has ended"):
                await bench.service.update("1", JobChange(priority=1))

    run(scenario())


def test_elements_that_were_dropped_with_their_array_can_be_shown() -> None:
    async def scenario() -> None:
        async with serving(cpus=1) as bench:
            await bench.submit(draft("a", array="0-3"))
            await bench.service.steer(Steer.CANCEL, ["1"], reason="enough")
            dropped = await bench.service.get("1.2")
            assert (dropped.phase, dropped.reason, dropped.array) == ("cancelled", "enough", None)
            with pytest.raises(NotFound):
                await bench.service.get("1.7")
            bench.launcher.ended(bench.launcher.launches[0], 0)
            await bench.until(JobId(1), "cancelled")
            assert (await bench.service.get("1.2")).phase == "cancelled"

    run(scenario())


def test_dependencies_on_history_are_looked_up() -> None:
    async def scenario() -> None:
        async with serving() as bench:
            await bench.submit(draft("a"))
            bench.launcher.ended(bench.launcher.launches[0], 1)
            await bench.until(JobId(1), "failed")
            bench.service.state.recent.clear()
            assert (await bench.submit(draft("b", dependencies=(("after-ok", "1"),)))).phase == "skipped"
            assert (await bench.submit(draft("c", dependencies=(("after-failed", "1"),)))).phase == "queued"

    run(scenario())


def test_settings_outlive_the_daemon_and_a_stopping_one_takes_nothing() -> None:
    async def scenario() -> None:
        async with serving() as bench:
            await bench.service.set_policy("fifo")
            await bench.service.set_queue("night", QueueChange(max_running=1))
            await bench.service.set_drained(True, "works")
            service: JobService = bench.service
        with pytest.raises(Unavailable):
            await service.set_policy("fair")
        async with serving(journal=bench.journal, launcher=bench.launcher) as again:
            state = again.service.state
            assert (state.policy, state.queues["night"].max_running, state.drain_reason) == ("fifo", 1, "works")

    run(scenario())


def test_groups_are_asked_for_only_where_something_is_for_a_group() -> None:
    asked: list[tuple[str, int]] = []

    def groups_of(name: str, gid: int) -> frozenset[str]:
        asked.append((name, gid))
        return frozenset({"staff"})

    async def scenario() -> None:
        async with serving() as bench:
            bench.service.groups_of = groups_of
            await bench.submit(draft("a", held=True))
            assert asked == []
            await bench.service.set_queue("staff", QueueChange(allowed_users=("@staff",)))
            await bench.submit(draft("b", queue="staff", held=True))
            await bench.service.update("1", JobChange(priority=1))
            assert asked == [("alice", 1000)]
            moved = await bench.service.update("1", JobChange(queue="staff"))
            assert (moved.spec.queue, len(asked)) == ("staff", 2)
            await bench.service.set_queue("staff", QueueChange(allowed_users=("@others",)))
            with pytest.raises(Denied):
                await bench.submit(draft("c", queue="staff"))

    run(scenario())


def test_shares_qos_and_rules_are_read_as_they_stand() -> None:
    async def scenario() -> None:
        settings = JobsSettings(scheduling=SchedulingRules(qos={"high": QosSettings("high")}))
        async with serving(settings=settings) as bench:
            await bench.submit(draft("a", qos="high"))
            await bench.submit(draft("b", qos="high", held=True))
            await bench.service.set_policy(rules=SetPolicy(predict=True))
            assert [(qos.settings.name, qos.running, qos.queued) for qos in bench.reader.qos()] == [("high", 1, 0)]
            nodes, half_life_s = bench.reader.shares()
            assert ([(node.name, node.running) for node in nodes], half_life_s) == ([("alice", 1)], 7 * 86400.0)
            assert bench.reader.rules().predict

    run(scenario())


def test_equal_environments_are_kept_once_and_are_not_mixed_up() -> None:
    async def scenario() -> None:
        async with serving() as bench:
            first, second = [await bench.submit(draft("a", environment={"A": "1", "B": "2"})) for _ in range(2)]
            assert first.spec.environment is second.spec.environment
            with pytest.raises(Exception, match="NUL"):
                await bench.submit(draft("a", environment={"C": "1\0D=2"}))
            assert (await bench.submit(draft("a", environment={"C": "1", "D": "2"}))).spec.environment.variables == {"C": "1", "D": "2"}

    run(scenario())


def test_a_retry_runs_when_its_time_has_come() -> None:
    async def scenario() -> None:
        async with serving() as bench:
            job: Job = await bench.submit(draft("a", retry=RetryDraft(retries=1, backoff_s=5.0)))
            bench.launcher.ended(bench.launcher.launches[0], 1)
            await bench.until(job.id, "waiting")
            bench.clock.advance(6)
            bench.service._awake.set()
            await bench.until(job.id, "starting")
            assert bench.launcher.launches[-1].attempt == 2

    run(scenario())


def test_settings_are_taken_over_live_and_outlive_a_full_disk() -> None:
    async def scenario() -> None:
        async with serving() as bench:
            assert (await bench.submit(draft("a"))).spec.grace_s == 30.0
            bench.service.use(JobsSettings(grace_s=5.0, default_cpu_millis=2000))
            job = await bench.submit(draft("b"))
            assert (job.spec.grace_s, job.spec.request.cpu_millis) == (5.0, 2000)
            bench.journal.fail_next = DiskFull("no room")
            with suppress(DiskFull):
                await bench.submit(draft("c"))
            bench.service._awake.set()  # instead of a second of waiting
            await bench.settled()
            assert bench.service.trouble is None
            assert (await bench.submit(draft("d"))).spec.grace_s == 5.0

    run(scenario())


def test_other_shares_make_another_order_at_once() -> None:
    async def scenario() -> None:
        async with serving(settings=JobsSettings(max_starts_per_pass=1)) as bench:
            bench.service.use(JobsSettings(shares={"alice": 4.0}))
            assert bench.service.state.dirty
            await bench.settled()
            assert not bench.service.state.dirty, "a pass was made although nothing was asked"

    run(scenario())


async def _lined_up(bench: Bench) -> None:
    """Job 1 was short; element 0 of array 2 has the only processor, and others are staged behind it."""
    await bench.submit(draft("a"))
    bench.launcher.ended(bench.launcher.launches[0], bench.launcher.exit(0, run_s=0.002))
    await bench.until(JobId(1), "succeeded")
    await bench.submit(draft("a", array="0-99"))
    await bench.settled()


def test_who_is_staged_is_launched_without_a_turn() -> None:
    async def scenario() -> None:
        async with serving(cpus=1) as bench:
            await _lined_up(bench)
            commits = len(bench.journal.commits)
            for nth in range(5):
                bench.launcher.ended(bench.launcher.launches[-1], bench.launcher.exit(0, run_s=0.002))
                assert bench.launcher.launches[-1].id == JobId(2, nth + 1) and len(bench.journal.commits) == commits
            await bench.until(JobId(2, 4), "succeeded")
            assert len(bench.journal.commits) <= commits + 2 and len(bench.launcher.launches) == 7

    run(scenario())


def test_nobody_is_launched_whose_staging_is_not_committed() -> None:
    async def scenario() -> None:
        async with serving(cpus=1) as bench:
            await bench.submit(draft("a"))
            bench.launcher.ended(bench.launcher.launches[0], bench.launcher.exit(0, run_s=0.002))
            await bench.until(JobId(1), "succeeded")
            await bench.submit(draft("a"))
            bench.journal.gate.clear()
            bench.journal.waiting.clear()
            asked = asyncio.ensure_future(bench.submit(draft("a")))
            await bench.journal.waiting.wait()
            assert JobId(3) in bench.service.state.staging.behind
            bench.launcher.ended(bench.launcher.launches[-1], bench.launcher.exit(0, run_s=0.002))
            assert [job.id.number for job in bench.launcher.launches] == [1, 2]
            bench.journal.gate.set()
            await asked
            await bench.until(JobId(2), "succeeded")
            await bench.settled()
            assert [job.id.number for job in bench.launcher.launches] == [1, 2, 3]

    run(scenario())


def test_a_handed_over_run_survives_a_full_disk() -> None:
    async def scenario() -> None:
        async with serving(cpus=1) as bench:
            await _lined_up(bench)
            bench.journal.fail_next = DiskFull("no room")
            bench.launcher.ended(bench.launcher.launches[-1], bench.launcher.exit(0, run_s=0.002))
            handed = bench.launcher.launches[-1]
            assert handed.id == JobId(2, 1)
            bench.launcher.started(handed)
            await bench.in_trouble()
            await bench.until(JobId(2, 0), "succeeded")
            assert (await bench.service.get("2.1")).phase == "running" and bench.service.state.pool.used().cpu_millis == 1000
            launched = [job.run_key for job in bench.launcher.launches]
            assert launched == ["1.-1.1", "2.0.1", "2.1.1"]
            bench.clock.advance(1.1)
            bench.launcher.ended(handed)
            await bench.until(JobId(2, 1), "succeeded")
            await bench.settled()
            assert bench.launcher.launches[-1].run_key in ("2.2.2", "2.17.1")

    run(scenario())


def test_elements_that_are_called_back_leave_no_record() -> None:
    async def scenario() -> None:
        async with serving(cpus=1) as bench:
            await _lined_up(bench)
            assert JobId(2, 1) in bench.journal.live
            await bench.service.set_drained(True)
            assert [i for i in bench.journal.live if i.is_element] == [JobId(2, 0)]
            assert (await bench.service.get("2.1")).phase == "queued"

    run(scenario())


def test_a_service_that_stops_launches_nobody() -> None:
    async def scenario() -> None:
        async with serving(cpus=1) as bench:
            await _lined_up(bench)
            bench.service.stop()
            launched = len(bench.launcher.launches)
            bench.launcher.ended(bench.launcher.launches[-1])
            await bench.settled()
            assert len(bench.launcher.launches) == launched

    run(scenario())
