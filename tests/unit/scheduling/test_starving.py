"""Nothing starves: whatever comes after it, and however urgent, a job starts soon after it has waited for age_max_s."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiosd.ids import JobId
from aiosd.resources.grant import Grant
from aiosd.resources.pool import Pool
from aiosd.scheduling.fairshare import Association, UsageLedger, dominant_share
from aiosd.scheduling.policy import ClassKey
from aiosd.scheduling.registry import POLICIES
from aiosd.scheduling.rules import Backfill, PriorityWeights, QueueSettings, SchedulingRules
from tests.unit.scheduling.worlds import Waiting, ask, decide, key, machine

STEP_S, AGE_MAX_S, LONGEST_S = 50.0, 1000.0, 300.0
RULES = SchedulingRules(weights=PriorityWeights(age_max_s=AGE_MAX_S))
QUEUES = {"default": QueueSettings("default"), "vip": QueueSettings("vip", priority=1000)}
Stream = list[tuple[ClassKey, float]]  # what comes, and how long it runs

attacker = st.builds(
    key,
    st.builds(ask, st.sampled_from([0.5, 1, 2, 4])),
    queue=st.sampled_from(["default", "vip"]),
    user=st.sampled_from(["bob", "eve", "mallory"]),
    priority=st.sampled_from([0, 1, 1_000_000]),
    nice=st.sampled_from([-20, 0]),
)
arrivals = st.lists(st.lists(st.tuples(attacker, st.sampled_from([40.0, 140.0, LONGEST_S])), min_size=1, max_size=6), min_size=1, max_size=8)


class SmallWorld:
    """Four processors, and virtual time in steps; what comes repeats for ever."""

    def __init__(self, policy: str, victim: ClassKey, stream: list[Stream], backfill: Backfill = Backfill.OFF) -> None:
        self.rules = replace(RULES, backfill=backfill)
        self.policy = POLICIES[policy].policy
        self.pool, self.ledger = Pool(machine(4)), UsageLedger(10_000.0)
        self.jobs: dict[JobId, tuple[ClassKey, float, float]] = {}
        self.running: list[tuple[float, JobId, Grant, float]] = []
        self.stream = stream
        self.number = 0
        self.come(stream[0], 0.0)  # they were there before it, and keep the machine busy
        self.step(0.0)
        self.victim = self.come([(victim, 40.0)], 0.0)[0]

    def come(self, stream: Stream, now_s: float) -> list[JobId]:
        ids = []
        for class_key, run_s in stream:
            self.number += 1
            ids.append(JobId(self.number))
            self.jobs[ids[-1]] = (class_key, now_s, run_s)
        return ids

    def step(self, now_s: float) -> None:
        for run in [run for run in self.running if run[0] <= now_s]:
            self.running.remove(run)
            self.pool.give_back(run[2])
        classes: dict[ClassKey, list[JobId]] = {}
        for job_id, (class_key, _, _) in self.jobs.items():
            classes.setdefault(class_key, []).append(job_id)
        waiting = [Waiting(class_key, ids, since={i: self.jobs[i][1] for i in ids}) for class_key, ids in classes.items()]
        plan = decide(self.policy, self.pool, waiting, usage=self.ledger.usage(now_s), shares={"ada": 0.0}, rules=self.rules, queues=QUEUES, now_s=now_s)
        for start in plan.starts:
            class_key, _, run_s = self.jobs.pop(start.job_id)
            self.pool.assign(start.grant)
            self.ledger.charge(Association(class_key.account, class_key.user), dominant_share(start.grant, self.pool.inventory), now_s, now_s + run_s)
            self.running.append((now_s + run_s, start.job_id, start.grant, now_s))

    def starts_at(self, until_s: float) -> float | None:
        now_s = 0.0
        while now_s < until_s:
            now_s += STEP_S
            self.come(self.stream[int(now_s / STEP_S) % len(self.stream)], now_s)
            self.step(now_s)
            if self.victim not in self.jobs:
                return now_s
        return None


@pytest.mark.parametrize("policy", ["priority", "fair"])
@pytest.mark.parametrize("backfill", list(Backfill))
@settings(max_examples=10, deadline=None)
@given(stream=arrivals, width=st.sampled_from([1, 4]))
def test_a_job_starts_when_its_time_has_come(policy: str, backfill: Backfill, stream: list[Stream], width: int) -> None:
    """Ada has no share, the lowest priority, and perhaps asks for the whole machine; those after her have everything on their side."""
    world = SmallWorld(policy, key(ask(width), user="ada", priority=-1_000_000, nice=19), stream, backfill)
    # those of the first instant are as old as hers, and go before it: at most six, one after another
    assert world.starts_at(AGE_MAX_S + 9 * LONGEST_S) is not None


def test_without_age_it_would_wait_for_ever() -> None:
    """The stream is one that starves: with nothing overdue, the victim does not start."""
    stream: list[Stream] = [[(key(ask(1), user="bob", priority=1), LONGEST_S)] * 4]
    world = SmallWorld("priority", key(ask(4), user="ada", priority=-1), stream)
    assert world.starts_at(AGE_MAX_S - STEP_S) is None
    late = SmallWorld("priority", key(ask(4), user="ada", priority=-1), stream)
    started_s = late.starts_at(AGE_MAX_S + 9 * LONGEST_S)
    assert started_s is not None and started_s >= AGE_MAX_S
