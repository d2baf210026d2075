"""The simulated world starts the same jobs at the same instants as the daemon's engine does, driven by hand through virtual time."""

from collections import defaultdict
from dataclasses import replace
from heapq import heappop, heappush

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiosd.clock import Instant
from aiosd.errors import InvalidArgument
from aiosd.ids import JobId
from aiosd.jobs.actions import Submit
from aiosd.jobs.draft import JobDraft, RequestDraft
from aiosd.jobs.job import Exit, Owner
from aiosd.jobs.ports import Launched, RunEnded
from aiosd.jobs.settings import JobsSettings
from aiosd.scheduling.policy import Plan
from aiosd.scheduling.registry import POLICIES
from aiosd.scheduling.rules import QueueSettings
from aiosd.simulation.kernel import Kernel
from aiosd.simulation.records import Machine, TraceJob
from aiosd.simulation.setup import RunTimes, Setup, setup
from aiosd.simulation.world import World
from tests.unit.jobs import world as engines
from tests.unit.simulation.workloads import workloads

MACHINE = Machine(4000)
orders = st.sampled_from(("arrival", "shortest"))
BEGIN = Instant(1_000_000.0, 5_000.0)
GRACE_S = 1.0
WORK = "true"  # as the engine calls that of a job whose command is `true`


class EngineRun:
    """A real engine under virtual time, with a launcher that starts at once and ends each run when the trace says."""

    def __init__(self, jobs: list[TraceJob], chosen: Setup) -> None:
        self.jobs = jobs
        learns = chosen.estimate is RunTimes.PREDICTED
        chosen_settings = JobsSettings(policy=chosen.policy, scheduling=chosen.rules, grace_s=GRACE_S, learn=learns)
        self.world = engines.World(engines.machine(cpus=4), chosen_settings, BEGIN)
        self.ends: list[tuple[float, int, JobId]] = []
        self.number_of: dict[JobId, int] = {}
        self.starts: list[float] = [-1.0] * len(jobs)

    def run(self) -> list[float]:
        arrivals: dict[float, list[int]] = defaultdict(list)
        for number, job in enumerate(self.jobs):
            arrivals[job.submit_s].append(number)
        while arrivals or self.ends:
            at = min([*arrivals, *(end[0] for end in self.ends[:1])])
            self._instant(at, arrivals.pop(at, []))
        return self.starts

    def _instant(self, at: float, arriving: list[int]) -> None:
        """All that happens in it is handled, and then there is one dispatch, as in a turn of the daemon."""
        world, engine = self.world, self.world.engine
        world.now = now = Instant(BEGIN.wall_s + at, BEGIN.steady_s + at)
        while self.ends and self.ends[0][0] == at:
            job_id = heappop(self.ends)[2]
            run_s = self.jobs[self.number_of[job_id]].run_s
            engine.handle(RunEnded(job_id, engine.state.jobs[job_id].attempt, Exit(now.wall_s, exit_code=0, run_s=run_s)), now)
        for number in arriving:
            self._submit(number, now)
        begun = len(world.launched)
        world.do()
        for job in world.launched[begun:]:
            self.starts[self.number_of[job.id]] = at
            heappush(self.ends, (at + self.jobs[self.number_of[job.id]].run_s, len(world.launched), job.id))
            engine.handle(Launched(job.id, job.attempt, 4000, now.wall_s, now.steady_s), now)

    def _submit(self, number: int, now: Instant) -> None:
        job = self.jobs[number]
        draft = JobDraft(
            command=(WORK,), cwd="/tmp", request=RequestDraft(cpu_millis=job.cpu_millis, memory_bytes=1), priority=job.priority,
            time_limit_s=max(0.0, job.limit_s - GRACE_S) if job.limit_s else 0.0, grace_s=GRACE_S,
        )  # fmt: skip
        [made] = self.world.engine.handle(Submit((draft,), [engines.EMPTY], Owner(1000 + len(job.user), 1000, job.user), "", ""), now)  # type: ignore[union-attr,misc]
        self.number_of[made.id] = number


def by_world(jobs: list[TraceJob], chosen: Setup) -> list[float]:
    return World(jobs, MACHINE, chosen).run(lambda done: None)


@settings(max_examples=25)
@given(workloads(limits=False, users=True, priorities=True), st.sampled_from(("fifo", "priority", "fair")))
def test_without_backfill(jobs: list[TraceJob], policy: str) -> None:
    chosen = setup(policy)
    assert by_world(jobs, chosen) == EngineRun(jobs, chosen).run()


@settings(max_examples=25)
@given(workloads(users=True, priorities=True), st.sampled_from(("fifo", "priority", "fair")), st.sampled_from(("easy", "conservative")), orders)
def test_with_backfill(jobs: list[TraceJob], policy: str, backfill: str, order: str) -> None:
    limited = [job._replace(limit_s=job.limit_s + GRACE_S) for job in jobs]  # the daemon counts on a run's grace, too
    chosen = setup(policy, backfill, order)
    assert by_world(limited, chosen) == EngineRun(limited, chosen).run()


@settings(max_examples=15)
@given(workloads(limits=False, users=True), st.sampled_from(("fifo", "fair")))
def test_with_backfill_among_jobs_of_unknown_length(jobs: list[TraceJob], policy: str) -> None:
    chosen = setup(policy, "easy")
    assert by_world(jobs, chosen) == EngineRun(jobs, chosen).run()


@settings(max_examples=40)
@given(
    workloads(users=True, priorities=True),
    st.booleans(),
    st.sampled_from(("fifo", "priority", "fair")),
    st.sampled_from(("off", "easy", "conservative")),
    st.booleans(),
)
def test_with_predictions(jobs: list[TraceJob], limited: bool, policy: str, backfill: str, soonest_first: bool) -> None:
    known = [job._replace(limit_s=job.limit_s + GRACE_S if limited else 0.0, work=WORK) for job in jobs]
    chosen = setup(policy, backfill, estimate="predicted")
    chosen = replace(chosen, rules=replace(chosen.rules, predict=soonest_first))
    assert by_world(known, chosen) == EngineRun(known, chosen).run()


@settings(max_examples=25)
@given(workloads(), orders, st.booleans())
def test_easy_is_the_kernels(jobs: list[TraceJob], order: str, events: bool) -> None:
    chosen = setup("fifo", "easy", order, events=events)
    assert by_world(jobs, chosen) == Kernel(jobs, MACHINE, chosen).run(lambda done: None)


@settings(max_examples=25)
@given(workloads(), st.sampled_from(("off", "easy", "conservative")), st.booleans())
def test_nobody_holds_more_than_there_is(jobs: list[TraceJob], backfill: str, events: bool) -> None:
    starts_s = by_world(jobs, setup("fair", backfill, events=events))
    for at_s in starts_s:
        held = sum(job.cpu_millis for job, start_s in zip(jobs, starts_s, strict=True) if start_s <= at_s < start_s + job.run_s)
        assert held <= MACHINE.cpu_millis
    assert all(start_s >= job.submit_s for job, start_s in zip(jobs, starts_s, strict=True))


def test_gpus_memory_and_the_limit_of_a_queue_are_held() -> None:
    jobs = [
        TraceJob(0, 10, 1000, 3 << 30, 500), TraceJob(0, 10, 1000, 2 << 30, 500), TraceJob(0, 10, 1000, 1 << 30, 1000),
        TraceJob(0, 10, 1000, queue="night"), TraceJob(0, 10, 1000, queue="night"),
    ]  # fmt: skip
    chosen = Setup(policy="priority", queues={"night": QueueSettings("night", max_running=1)})
    assert World(jobs, Machine(8000, 4 << 30, 1), chosen).run(lambda done: None) == [0, 10, 20, 0, 10]


def test_what_the_machine_has_without_end_holds_nobody_back() -> None:
    jobs = [TraceJob(0, 10, 1000, 1 << 50, 64_000), TraceJob(0, 10, 1000, 0, 500)]
    assert World(jobs, Machine(2000), setup("fair")).run(lambda done: None) == [0, 0]
    assert World(jobs, Machine(gpus=64), setup("fair")).run(lambda done: None) == [0, 10]


def test_jobs_that_never_start_are_told_instead_of_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aiosd.simulation.world.POLICIES", {"fifo": POLICIES["fifo"]._replace(policy=lambda world: Plan(()))})
    with pytest.raises(InvalidArgument, match=r"2 jobs never start under policy fifo, the first of them in queue 'night'"):
        World([TraceJob(0, 1, 1000, queue="night")] * 2, MACHINE, setup()).run(lambda done: None)
