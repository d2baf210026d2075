"""What holds for every policy, on any queue and machine."""

from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiosd.ids import JobId
from aiosd.resources.pool import Pool
from aiosd.resources.request import Request
from aiosd.scheduling.fifo import fifo
from aiosd.scheduling.passes import MOST_TOLD
from aiosd.scheduling.policy import ClassKey, Plan, Policy, WaitKind
from aiosd.scheduling.registry import POLICIES
from aiosd.scheduling.rules import SchedulingRules
from tests.unit.scheduling.worlds import Waiting, ask, decide, key, machine, started, waiting

EVERY = pytest.mark.parametrize("policy", [entry.policy for entry in POLICIES.values()], ids=list(POLICIES))

requests = st.builds(ask, cpus=st.sampled_from([0.5, 1, 2, 5, 8]), gpus=st.sampled_from([0, 0, 0.5, 1, 3]), memory_gib=st.sampled_from([0, 1, 20, 60]))
keys = st.builds(key, requests, queue=st.sampled_from(["a", "b"]), user=st.sampled_from(["ada", "bob", "eve"]), priority=st.integers(-1, 1))


@st.composite
def queues(draw: st.DrawFn) -> list[Waiting]:
    """Classes that share one sequence of job numbers."""
    members: dict[ClassKey, list[int]] = {}
    chosen = draw(st.lists(keys, min_size=1, max_size=6, unique=True))
    for number in range(draw(st.integers(1, 25))):
        members.setdefault(draw(st.sampled_from(chosen)), []).append(number)
    return [waiting(class_key, *numbers) for class_key, numbers in members.items()]


def apply(plan: Plan, pool: Pool) -> None:
    for start in plan.starts:
        pool.assign(start.grant)


@EVERY
@settings(max_examples=60, deadline=None)
@given(classes=queues(), running=st.lists(requests, max_size=4), slots=st.dictionaries(st.sampled_from(["a", "b"]), st.integers(0, 3)))
def test_a_plan_is_possible_complete_and_repeatable(policy: Policy, classes: list[Waiting], running: list[Request], slots: dict[str, int]) -> None:
    pool = Pool(machine(gpus=3))
    for request in running:
        pool.take(request)
    before = pool.used()
    plan = decide(policy, pool, classes, slots=slots)
    assert pool.used() == before
    assert decide(policy, pool, classes, slots=slots) == plan

    apply(plan, pool)  # raises when anything is granted twice
    counts = Counter(start.job_id for start in plan.starts)
    assert not counts or max(counts.values()) == 1
    by_id = {job_id: c.key for c in classes for job_id in c.ids}
    for queue, limit in slots.items():
        assert sum(by_id[start.job_id].queue == queue for start in plan.starts) <= limit
    for c in classes:
        begun = [job_id for job_id in c.ids if job_id in counts]
        assert begun == list(c.ids[: len(begun)]), "within a class the oldest go first"
        assert (c.key in plan.waits) == (len(begun) < len(c.ids))
        if len(begun) < len(c.ids) and plan.waits[c.key].kind is WaitKind.RESOURCES:
            assert pool.shortage(c.key.request) is not None
            assert plan.waits[c.key].resource
        if c.key in plan.waits and plan.waits[c.key].kind is WaitKind.QUEUE_LIMIT:
            assert c.key.queue in slots


@EVERY
@settings(max_examples=60, deadline=None)
@given(classes=queues(), running=st.lists(requests, max_size=4))
def test_the_pool_never_idles_for_nobody(policy: Policy, classes: list[Waiting], running: list[Request]) -> None:
    """Whenever something waits, it is because somebody before it is short of something that runs or was just started."""
    pool = Pool(machine(gpus=3))
    for request in running:
        pool.take(request)
    plan = decide(policy, pool, classes)
    apply(plan, pool)
    if plan.waits:
        assert any(wait.kind is WaitKind.RESOURCES for wait in plan.waits.values())
        assert any(pool.shortage(c.key.request) for c in classes if c.key in plan.waits)


@EVERY
def test_a_single_class_takes_all_that_fits(policy: Policy) -> None:
    plan = decide(policy, Pool(machine(cpus=8)), [waiting(key(ask(3)), *range(5))])
    assert started(plan) == [0, 1]
    assert plan.waits[key(ask(3))].kind is WaitKind.RESOURCES
    assert plan.waits[key(ask(3))].resource == "cpu"


@EVERY
def test_a_pass_stops_at_its_limit_and_says_so(policy: Policy) -> None:
    classes = [waiting(key(ask(1)), 1, 2, 3), waiting(key(ask(2)), 4)]
    plan = decide(policy, Pool(machine()), classes, max_starts=2)
    assert (started(plan), plan.more) == ([1, 2], True)
    assert not plan.waits, "who was not looked at waits behind those that were"
    assert not decide(policy, Pool(machine()), classes, max_starts=4).more


@EVERY
def test_a_limited_queue_blocks_nobody_else(policy: Policy) -> None:
    first, second = key(ask(1), queue="a"), key(ask(1), queue="b")
    plan = decide(policy, Pool(machine()), [waiting(first, 1, 2, 3), waiting(second, 4, 5)], slots={"a": 1})
    assert sorted(started(plan)) == [1, 4, 5]
    assert plan.waits == {first: plan.waits[first]}
    assert plan.waits[first].kind is WaitKind.QUEUE_LIMIT


@EVERY
def test_a_pass_costs_what_changes_and_not_what_waits(policy: Policy) -> None:
    """10,000 classes of 50 shapes and a million jobs: a look at the pool for each shape, and at few of the jobs; and no further than it helps."""
    pool = CountingPool(machine(cpus=16))
    asks = [ask(1 + n / 1000) for n in range(50)]
    classes = [Waiting(key(asks[n % 50], user=f"user{n}"), Numbers(range(n, 1_000_000, 10_000))) for n in range(10_000)]
    plan = decide(policy, pool, classes)
    assert len(plan.starts) == 15  # the first is a whole processor, each later one a little more
    assert len(plan.waits) == MOST_TOLD + 1
    assert pool.questions <= 50 * 3 + len(plan.starts)
    assert sum(c.looked_at for c in classes) <= 3 * len(plan.starts)


@EVERY
def test_behind_the_first_that_waits_no_more_are_looked_at_than_the_depth(policy: Policy) -> None:
    """Processors are left, and what is short is memory: all who come later are asked, as many as that."""
    pool = Pool(machine(cpus=16, memory_gib=64))
    classes = [waiting(key(ask(1, memory_gib=100 + n)), n) for n in range(50)]
    plan = decide(policy, pool, classes, rules=SchedulingRules(backfill_depth=10))
    assert not plan.starts
    assert len(plan.waits) == (50 if policy is fifo else 11)


class Numbers(Sequence[JobId]):
    """The ids of one class, made only when asked for."""

    def __init__(self, numbers: range) -> None:
        self.numbers = numbers

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, at):  # type: ignore[no-untyped-def]
        return JobId(self.numbers[at])


class CountingPool(Pool):
    """A pool that counts what it is asked."""

    questions = 0

    def take(self, request):  # type: ignore[no-untyped-def]
        self.questions += 1
        return super().take(request)

    def shortage(self, request):  # type: ignore[no-untyped-def]
        self.questions += 1
        return super().shortage(request)
