"""Points of the policy priority: every factor in [0, 1], no surprise for nonsense, and the order that follows."""

from dataclasses import fields, replace
from itertools import pairwise
from math import inf, nan

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiosd.ids import JobId
from aiosd.resources.pool import Pool
from aiosd.scheduling.fairshare import Association
from aiosd.scheduling.multifactor import WEIGHED, Factor, explicit_factor, factors, nice_factor, points, relative, weights_of
from aiosd.scheduling.policy import Basis, ClassKey, Estimate, Snapshot
from aiosd.scheduling.priority import priority
from aiosd.scheduling.registry import POLICIES
from aiosd.scheduling.rules import PriorityWeights, QosSettings, QueueSettings, SchedulingRules
from tests.unit.scheduling.worlds import Waiting, ask, decide, key, machine, started, waiting

HOUR_S, DAY_S = 3600.0, 86400.0
ONE = key(ask(1))


def world(
    rules: SchedulingRules, queues: dict[str, QueueSettings] | None = None, usage: dict[Association, float] | None = None, now_s: float = 0.0
) -> Snapshot:
    return Snapshot(now_s, (), Pool(machine(cpus=8)), usage=usage or {}, rules=rules, queues=queues or {})


def of(found: tuple[Factor, ...]) -> dict[str, float]:
    return {factor.name: factor.factor for factor in found}


def test_the_weights_are_those_of_the_configuration() -> None:
    assert {*WEIGHED, "age_max_s", "favor_small"} == {field.name for field in fields(PriorityWeights)}


def test_each_factor_by_hand() -> None:
    weights = PriorityWeights(size=5.0, age_max_s=10 * HOUR_S)
    rules = SchedulingRules(weights=weights, qos={"high": QosSettings("high", priority=10), "low": QosSettings("low", priority=-10)})
    queues = {"a": QueueSettings("a", priority=4), "b": QueueSettings("b", priority=0), "c": QueueSettings("c", priority=-4, weights={"size": 7.0})}
    usage = {Association("", "ada"): 1.0, Association("", "bob"): 2.0}
    job = key(ask(2), queue="a", user="bob", qos="high", nice=19)
    found = factors(world(rules, queues, usage, now_s=HOUR_S), job, 0.0)
    assert of(found) == {"age": 0.1, "fair_share": 0.5, "queue": 1.0, "qos": 1.0, "size": 0.25, "nice": 0.0, "explicit": 0.5}
    assert points(found) == pytest.approx(100 + 500 + 1000 + 1000 + 1.25 + 0 + 5000)
    other = factors(world(rules, queues, usage), replace_key(job, queue="c", user="ada", qos="", nice=-20), 0.0)
    assert of(other) == {"age": 0.0, "fair_share": 1.0, "queue": 0.0, "qos": 0.5, "size": 0.25, "nice": 1.0, "explicit": 0.5}
    assert next(factor.weight for factor in other if factor.name == "size") == 7.0, "the queue has a weight of its own"
    small = SchedulingRules(weights=replace(weights, favor_small=True))
    assert of(factors(world(small), job, 0.0))["size"] == 0.75


def replace_key(job: ClassKey, **changes: object) -> ClassKey:
    return job._replace(**changes)  # type: ignore[arg-type]


def test_what_was_asked_for_rises_and_never_ties() -> None:
    near = [explicit_factor(p) for p in range(-3000, 3001)]
    far = [explicit_factor(p) for p in (*range(-1_000_000, -999_000), *range(999_000, 1_000_001))]
    for found in (near, far):
        assert all(a < b for a, b in pairwise(found))
    assert (explicit_factor(-1_000_000), explicit_factor(0), explicit_factor(1_000_000)) == (0.0, 0.5, 1.0)
    assert explicit_factor(10**9) == 1.0


def test_niceness_and_places_among_others() -> None:
    assert (nice_factor(-20), nice_factor(19), nice_factor(99)) == (1.0, 0.0, 0.0)
    assert [relative(p, [0, 10]) for p in (-5, 0, 5, 10, 50)] == [0.0, 0.0, 0.5, 1.0, 1.0]
    assert relative(7, [7]) == relative(7, []) == 0.5


numbers = st.one_of(st.sampled_from([nan, inf, -inf, -1.0, 0.0, 1e9, 1e300]), st.floats())
strange = st.builds(
    PriorityWeights, age=numbers, fair_share=numbers, size=numbers, queue=numbers, qos=numbers, nice=numbers, explicit=numbers, age_max_s=numbers
)


@settings(max_examples=60, deadline=None)
@given(
    weights=strange,
    own=st.dictionaries(st.sampled_from(WEIGHED), numbers),
    share=numbers,
    used=numbers,
    since_s=numbers,
    asked=st.integers(-(10**7), 10**7),
    favor=st.booleans(),
)
def test_nonsense_leaves_every_factor_in_range(
    weights: PriorityWeights, own: dict[str, float], share: float, used: float, since_s: float, asked: int, favor: bool
) -> None:
    rules = SchedulingRules(weights=replace(weights, favor_small=favor))
    queues = {"default": QueueSettings("default", weights=own)}
    seen = replace(world(rules, queues, {Association("", "ada"): used}, now_s=1e9), shares={"ada": share, "bob": share})
    found = factors(seen, key(ask(1), priority=asked), since_s)
    assert all(0.0 <= factor.factor <= 1.0 and 0.0 <= factor.weight < inf for factor in found)
    assert {factor.name for factor in found} == set(WEIGHED)
    jobs = [Waiting(key(ask(1), priority=asked), [JobId(1)], since={JobId(1): since_s}), waiting(key(ask(1), user="bob"), 2)]
    for registered in POLICIES.values():
        plan = decide(registered.policy, Pool(machine(2)), jobs, rules=rules, queues=queues, shares={"ada": share}, usage={"ada": used}, now_s=1e9)
        assert sorted(started(plan)) == [1, 2]


def test_weights_that_are_none_count_nothing() -> None:
    assert weights_of(PriorityWeights(age=nan, size=inf, nice=-3.0), {"queue": nan, "qos": 2.0})[:6] == (0.0, 1000.0, 0.0, 0.0, 2.0, 0.0)


def aged(class_key: ClassKey, **since: float) -> Waiting:
    """Jobs by number, each with the moment since when it waits."""
    ids = [JobId(int(name.removeprefix("n"))) for name in since]
    return Waiting(class_key, ids, since=dict(zip(ids, since.values(), strict=True)))


def test_by_default_what_is_asked_for_decides_then_age() -> None:
    high, low = aged(key(ask(1), priority=1), n4=3 * HOUR_S, n5=4 * HOUR_S), aged(key(ask(1), priority=-1), n1=0.0)
    default, twin = aged(ONE, n2=HOUR_S, n6=5 * HOUR_S), aged(key(ask(0.5)), n3=2 * HOUR_S, n7=6 * HOUR_S)
    plan = decide(priority, Pool(machine(8)), [low, twin, default, high], now_s=7 * HOUR_S)
    assert started(plan) == [4, 5, 2, 3, 6, 7, 1], "jobs of different classes go by their own age"


def test_whoever_has_waited_long_enough_goes_before_all_the_oldest_first() -> None:
    rules = SchedulingRules(weights=PriorityWeights(age_max_s=DAY_S))
    queues = {"default": QueueSettings("default"), "night": QueueSettings("night", priority=-100)}
    humble = aged(key(ask(1), queue="night", user="eve", nice=19, priority=-1000), n1=0.0, n9=1.5 * DAY_S)
    second = aged(key(ask(1), user="bob"), n2=HOUR_S)
    vip = aged(key(ask(1), priority=1_000_000), n3=2 * HOUR_S + DAY_S)
    for name in ("priority", "fair"):
        plan = decide(
            POLICIES[name].policy,
            Pool(machine(4)),
            [vip, humble, second],
            rules=rules,
            queues=queues,
            usage={"eve": 1e12},
            shares={"bob": 0.0},
            now_s=2 * DAY_S,
        )
        assert started(plan)[:2] == [1, 2], name
        assert started(plan)[2:] == [3, 9], name


def test_an_age_that_another_clock_gave_is_none() -> None:
    """The wall clock went back by four years: who came then is as young as who comes now, and not last for four years."""
    future = aged(key(ask(1)), n1=4 * 365 * DAY_S)
    now = aged(key(ask(0.5)), n2=0.0)
    assert started(decide(priority, Pool(machine(8)), [future, now], now_s=10.0)) == [2, 1]
    younger = aged(key(ask(0.25), priority=-1), n3=10.0)
    assert started(decide(priority, Pool(machine(8)), [future, younger], now_s=10.0)) == [1, 3]


def test_shorter_jobs_first_among_equals() -> None:
    def estimate(class_key: ClassKey) -> Estimate | None:
        known = {"short": 60.0, "long": 7200.0, "odd": nan}
        return Estimate(known[class_key.work], 1.0, 1e9) if class_key.work in known else None

    rules = SchedulingRules(predict=True)
    jobs = [waiting(key(ask(1), work=work, priority=p), n) for n, (work, p) in enumerate([("long", 0), ("", 0), ("odd", 0), ("short", 0), ("long", 5)])]
    for name in ("priority", "fair"):
        plan = decide(POLICIES[name].policy, Pool(machine(8)), jobs, rules=rules, estimate=estimate)
        assert started(plan) == [4, 3, 0, 1, 2], name
        rules_off = replace(rules, predict=False)
        assert started(decide(POLICIES[name].policy, Pool(machine(8)), jobs, rules=rules_off, estimate=estimate)) == [4, 0, 1, 2, 3]


def test_an_estimate_holds_for_a_while_only() -> None:
    basis = Basis(SchedulingRules(predict=True), {}, machine(), lambda class_key: Estimate(60.0, 1.0, 90.0))
    for name in ("priority", "fair"):
        _, until_s = POLICIES[name].within(basis)(waiting(ONE, 1), basis.rules, 1000.0)
        assert 1000.0 < until_s < 2000.0
