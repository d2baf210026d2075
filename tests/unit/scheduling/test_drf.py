"""Dominant Resource Fairness: its published properties on random machines, for progressive filling and for what policy fair starts.

Source: Ghodsi et al., "Dominant Resource Fairness", NSDI 2011, section 3 (the properties) and figure 3 with section 4.1 (an example).
"""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiosd.resources.pool import Pool
from aiosd.resources.request import DeviceRequest, Request
from aiosd.scheduling.fair import fair
from aiosd.scheduling.fairshare import dominant_share
from tests.unit.scheduling.worlds import GIB, ask, decide, key, machine, waiting

Demand = tuple[int, ...]  # of one task, by resource
Allocation = list[Fraction]  # tasks of each user; as many as one likes of a thousandth of one

CAPACITY = (100, 400, 16)


def parts(demand: Demand, capacity: Demand) -> list[Fraction]:
    return [Fraction(d, c) for d, c in zip(demand, capacity, strict=True)]


def progressive_filling(demands: list[Demand], capacity: Demand) -> Allocation:
    """All dominant shares rise together; whoever needs what is used up stops, the others go on."""
    tasks = [Fraction(0)] * len(demands)
    rates = [[part / max(parts(d, capacity)) for part in parts(d, capacity)] for d in demands]  # of each resource, as its dominant share rises by 1
    free, growing = [Fraction(1)] * len(capacity), set(range(len(demands)))
    while growing:
        using = [sum((rates[i][r] for i in growing), Fraction(0)) for r in range(len(capacity))]
        step = min(free[r] / using[r] for r in range(len(capacity)) if using[r])
        for i in growing:
            tasks[i] += step / max(parts(demands[i], capacity))
        free = [f - step * u for f, u in zip(free, using, strict=True)]
        growing = {i for i in growing if all(free[r] or not rates[i][r] for r in range(len(capacity)))}
    return tasks


def able(demand: Demand, has: list[Fraction]) -> Fraction:
    """How many tasks one can run with so much."""
    return min(h / d for h, d in zip(has, demand, strict=True) if d)


def given_to(demand: Demand, tasks: Fraction) -> list[Fraction]:
    return [tasks * d for d in demand]


demand = st.tuples(st.integers(0, 20), st.integers(0, 50), st.integers(0, 4)).filter(any)
instances = st.lists(demand, min_size=2, max_size=5)


def test_the_example_of_the_paper() -> None:
    """9 processors and 18 GB: A asks for 1 and 4 GB, B for 3 and 1 GB; A gets three tasks and B two."""
    assert progressive_filling([(1, 4), (3, 1)], (9, 18)) == [3, 2]
    a, b = waiting(key(ask(1, memory_gib=4), user="A"), *range(10)), waiting(key(ask(3, memory_gib=1), user="B"), *range(10, 20))
    plan = decide(fair, Pool(machine(cpus=9, memory_gib=18)), [a, b])
    assert [sum(start.job_id.number // 10 == user for start in plan.starts) for user in (0, 1)] == [3, 2]


@given(demands=instances)
def test_properties_of_progressive_filling(demands: list[Demand]) -> None:
    tasks = progressive_filling(demands, CAPACITY)
    used = [sum((t * d[r] for t, d in zip(tasks, demands, strict=True)), Fraction(0)) for r in range(3)]
    assert all(u <= c for u, c in zip(used, CAPACITY, strict=True))
    for own, mine in zip(demands, tasks, strict=True):
        assert mine >= able(own, [Fraction(c, len(demands)) for c in CAPACITY]), "sharing incentive: no worse off than with a part of its own"
        for other, theirs in zip(demands, tasks, strict=True):
            assert able(own, given_to(other, theirs)) <= mine, "envy-freeness: nobody would rather have what another has"
        assert any(d and u == c for d, u, c in zip(own, used, CAPACITY, strict=True)), "Pareto efficiency: more for one is less for another"


@given(demands=instances, lie=demand)
def test_nobody_gains_by_asking_for_something_else(demands: list[Demand], lie: Demand) -> None:
    truth = progressive_filling(demands, CAPACITY)[0]
    lied = progressive_filling([lie, *demands[1:]], CAPACITY)[0]
    assert able(demands[0], given_to(lie, lied)) <= truth, "strategy-proofness"


# What the policy starts, whose tasks are whole: the same, up to a task of each user

BOX = machine(cpus=120, memory_gib=240)
MACHINE = (120, 240)
small = st.tuples(st.integers(1, 4), st.integers(1, 8))
crowds = st.lists(small, min_size=2, max_size=4)


def shape(demand: Demand) -> Request:
    return ask(demand[0], memory_gib=demand[1])


def started_by(demands: list[Demand]) -> list[int]:
    classes = [waiting(key(shape(d), user=f"user{n}"), *range(1000 * n, 1000 * n + 250)) for n, d in enumerate(demands)]
    plan = decide(fair, Pool(BOX), classes)
    return [sum(start.job_id.number // 1000 == n for start in plan.starts) for n in range(len(demands))]


@settings(max_examples=25, deadline=None)
@given(demands=crowds)
def test_properties_of_what_the_policy_starts(demands: list[Demand]) -> None:
    tasks = started_by(demands)
    one_each = [sum(d[r] for d in demands) for r in range(2)]
    grains = [dominant_share(shape(d), BOX) for d in demands]
    assert all(grain == max(parts(d, MACHINE)) or grain == pytest.approx(float(max(parts(d, MACHINE)))) for grain, d in zip(grains, demands, strict=True))
    used = [sum(t * d[r] for t, d in zip(tasks, demands, strict=True)) for r in range(2)]
    for own, mine in zip(demands, tasks, strict=True):
        least = able(own, [Fraction(c - one, len(demands)) for c, one in zip(MACHINE, one_each, strict=True)])
        assert mine >= int(least) - 1, "sharing incentive"
        for other, theirs in zip(demands, tasks, strict=True):
            assert able(own, given_to(other, Fraction(max(0, theirs - 1)))) <= mine + 1, "envy-freeness"
        assert any(u + one > c for u, one, c in zip(used, one_each, MACHINE, strict=True)), "Pareto efficiency"


@settings(max_examples=25, deadline=None)
@given(demands=crowds, lie=small)
def test_nobody_gains_by_lying_to_the_policy(demands: list[Demand], lie: Demand) -> None:
    truth, lied = started_by(demands)[0], started_by([lie, *demands[1:]])[0]
    slack = 2 + max(max(d) for d in demands)  # whole tasks of others end a little earlier or later
    assert able(demands[0], given_to(lie, Fraction(lied))) <= truth + slack


def test_gpu_memory_counts_as_a_resource_of_its_own() -> None:
    box = machine(cpus=100, gpus=8)
    tall = Request(1000, 0, (DeviceRequest("gpu", 250, "", 60 * GIB),))
    assert dominant_share(ask(1, gpus=0.25), box) == 0.25 / 8
    assert dominant_share(tall, box) == pytest.approx(60 / 80 / 8), "a quarter of a GPU with three quarters of its memory holds three quarters"
    grant = Pool(box).take(tall)
    assert grant is not None and dominant_share(grant, box) == pytest.approx(60 / 80 / 8)
