"""Nobody who has a planned start is delayed by backfill, on any stream of jobs whose lengths are known or overestimated."""

from dataclasses import dataclass, field
from heapq import heappop, heappush
from math import inf
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiosd.ids import JobId
from aiosd.resources.amounts import Amounts
from aiosd.resources.pool import Pool
from aiosd.resources.request import Request
from aiosd.scheduling.fifo import fifo
from aiosd.scheduling.policy import ClassKey, HeldRun, Plan
from aiosd.scheduling.rules import Backfill, BackfillOrder, SchedulingRules
from aiosd.scheduling.timeline import Timeline
from tests.unit.scheduling.worlds import GIB, ask, decide, key, machine, waiting

requests = st.builds(ask, cpus=st.sampled_from([0.5, 1, 2, 5, 8]), gpus=st.sampled_from([0, 0, 0.5, 1, 2, 3]), memory_gib=st.sampled_from([0, 1, 20, 60]))


@dataclass
class Job:
    arrives_s: float
    request: Request
    asked_s: float
    part: float  # of what was asked that it takes

    @property
    def runs_s(self) -> float:
        return max(1.0, float(int(self.asked_s * self.part)))

    @property
    def key(self) -> ClassKey:
        return key(self.request, lasts_s=self.asked_s)


jobs = st.lists(
    st.builds(Job, st.integers(0, 30).map(float), requests, st.integers(1, 20).map(float), st.sampled_from([0.2, 0.7, 1.0])), min_size=2, max_size=14
)


@dataclass
class Stream:
    """A small simulation: passes whenever a job arrives or a run ends."""

    jobs: list[Job]
    rules: SchedulingRules
    pool: Pool = field(default_factory=lambda: Pool(machine(gpus=3)))
    waits: list[int] = field(default_factory=list)
    runs: dict[int, HeldRun] = field(default_factory=dict)
    starts: dict[int, float] = field(default_factory=dict)
    plans: list[tuple[float, list[int], Plan]] = field(default_factory=list)

    def run(self) -> "Stream":
        self.jobs.sort(key=lambda job: job.arrives_s)
        events = [(job.arrives_s, 1, number) for number, job in enumerate(self.jobs)]
        while events:
            now_s = events[0][0]
            while events and events[0][0] == now_s:
                _, what, number = heappop(events)
                if what:
                    self.waits.append(number)
                else:
                    self.pool.give_back(self.runs.pop(number).grant)
            for number in self._pass(now_s):
                heappush(events, (now_s + self.jobs[number].runs_s, 0, number))
        assert len(self.starts) == len(self.jobs), "everybody starts in the end"
        return self

    def _pass(self, now_s: float) -> list[int]:
        members: dict[ClassKey, list[int]] = {}
        for number in sorted(self.waits):
            members.setdefault(self.jobs[number].key, []).append(number)
        classes = [waiting(class_key, *numbers) for class_key, numbers in members.items()]
        before = self.pool.used()
        plan = decide(fifo, self.pool, classes, rules=self.rules, runs=tuple(self.runs.values()), now_s=now_s)
        assert self.pool.used() == before
        self.plans.append((now_s, sorted(self.waits), plan))
        for start in plan.starts:
            number = start.job_id.number
            self.pool.assign(start.grant)  # raises when anything is granted twice
            end_s = now_s + self.jobs[number].asked_s
            self.runs[number] = HeldRun(start.job_id, self.jobs[number].key, start.grant, now_s, end_s, end_s)
            self.starts[number] = now_s
            self.waits.remove(number)
        return [start.job_id.number for start in plan.starts]


@settings(max_examples=60, deadline=None)
@given(jobs, st.sampled_from(BackfillOrder))
def test_under_easy_the_first_that_waits_starts_when_it_was_promised_to_or_before(stream: list[Job], order: BackfillOrder) -> None:
    done = Stream(stream, SchedulingRules(Backfill.EASY, order)).run()
    for _, waits, plan in done.plans:
        left = [number for number in waits if JobId(number) not in {start.job_id for start in plan.starts}]
        promised = {planned.job_id.number: planned.at_s for planned in plan.reservations}
        if left:
            assert left[0] in promised, "all lengths are known: the first that waits has a time"
            assert done.starts[left[0]] <= promised[left[0]] + 1e-6


@settings(max_examples=60, deadline=None)
@given(jobs)
def test_under_conservative_everybody_starts_when_it_was_promised_to(stream: list[Job]) -> None:
    """Lengths are exact here: when runs end early a plan is made anew, and one that moves ahead may be in the way of a later one."""
    for job in stream:
        job.part = 1.0
    done = Stream(stream, SchedulingRules(Backfill.CONSERVATIVE)).run()
    for _, _, plan in done.plans:
        for planned in plan.reservations:
            assert planned.at_s < inf
            assert done.starts[planned.job_id.number] <= planned.at_s + 1e-6


@settings(max_examples=50, deadline=None)
@given(jobs)
def test_conservative_is_no_later_than_plain_arrival_order(stream: list[Job]) -> None:
    """With exact lengths nobody starts later than without any backfill."""
    for job in stream:
        job.part = 1.0
    plain = Stream(list(stream), SchedulingRules(Backfill.OFF)).run()
    careful = Stream(list(stream), SchedulingRules(Backfill.CONSERVATIVE)).run()
    assert all(careful.starts[number] <= plain.starts[number] for number in plain.starts)


@settings(max_examples=50, deadline=None)
@given(jobs, st.lists(st.tuples(requests, st.integers(1, 50).map(float)), max_size=4), st.sampled_from([Backfill.EASY, Backfill.CONSERVATIVE]))
def test_with_backfill_whoever_would_start_without_starts(stream: list[Job], running: list[tuple[Request, float]], mode: Backfill) -> None:
    """In one queue of arrival order; and then some more."""
    pool = Pool(machine(gpus=3))
    held = [HeldRun(JobId(1000), key(r), grant, 0.0, end_s, end_s) for r, end_s in running if (grant := pool.take(r)) is not None]
    members: dict[ClassKey, list[int]] = {}
    for number, job in enumerate(stream):
        members.setdefault(job.key, []).append(number)
    classes = [waiting(class_key, *numbers) for class_key, numbers in members.items()]
    plain, filled = (decide(fifo, pool, classes, rules=SchedulingRules(rule), runs=held) for rule in (Backfill.OFF, mode))
    assert {start.job_id for start in plain.starts} <= {start.job_id for start in filled.starts}


def test_a_vector_is_kept_and_not_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trainings on all GPUs between jobs on processors: with the whole machine kept for whoever is first, as where the unit is a node, all wait for longer."""
    chance = Random(5)
    mix = [(ask(2, gpus=chance.choice((1, 2, 3))), 20.0) if at % 2 else (ask(chance.choice((0.5, 1, 2))), 40.0) for at in range(60)]
    stream = [Job(float(2 * at), request, lasts_s, 1.0) for at, (request, lasts_s) in enumerate(mix)]
    vector = Stream(list(stream), SchedulingRules(Backfill.EASY)).run()
    keep = Timeline.promise
    everything = Amounts(8000, 64 * GIB, 0, {f"GPU-{n}": (1000, 80 * GIB) for n in range(3)})
    monkeypatch.setattr(Timeline, "promise", lambda self, from_s, until_s, _: keep(self, from_s, until_s, everything))
    node = Stream(list(stream), SchedulingRules(Backfill.EASY)).run()
    waited, waited_for_nodes = (sum(done.starts[number] - job.arrives_s for number, job in enumerate(stream)) for done in (vector, node))
    assert waited < 0.9 * waited_for_nodes
