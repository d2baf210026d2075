"""Limits of users under every policy: they keep their own user's jobs waiting, and nobody else's."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiosd.access.limits import UserLimits
from aiosd.ids import JobId
from aiosd.resources.pool import Pool
from aiosd.resources.request import Request
from aiosd.scheduling.budgets import UNLIMITED, Budget, Dimension, Need, allowed_by, held_by, need_of, short_of
from aiosd.scheduling.policy import WaitKind
from aiosd.scheduling.registry import POLICIES
from tests.unit.scheduling.worlds import GIB, Waiting, ask, decide, key, machine, started, waiting

each_policy = pytest.mark.parametrize("policy", [registered.policy for registered in POLICIES.values()], ids=list(POLICIES))
NOTHING = Need(0, 0, 0, 0, 0)


def budget(held: Need = NOTHING, **limits: int) -> Budget:
    allowed = allowed_by(UserLimits(**limits))
    return Budget(allowed, Need(*(a if a == UNLIMITED else a - h for a, h in zip(allowed, held, strict=True))))


def test_a_need_is_what_the_grant_then_holds() -> None:
    pool = Pool(machine(8, gpus=4))
    for request in (ask(2, gpus=2, memory_gib=3), ask(0.5), ask(1, gpus=0.5), Request(1000, 0, exclusive=True)):
        with pool.trial():
            grant = pool.take(request)
            assert grant is not None
            assert held_by(grant) == need_of(request, pool.inventory)


def test_what_takes_nothing_is_short_of_nothing() -> None:
    left = budget(Need(0, 0, 0, 5000, 1), gpu_millis=2000).left
    assert short_of(left, need_of(ask(4, memory_gib=10), machine())) is None
    assert short_of(left, need_of(ask(4, gpus=1), machine())) is Dimension.GPU


@each_policy
def test_a_user_starts_as_many_as_its_limit_leaves(policy) -> None:  # type: ignore[no-untyped-def]
    ada, bob = waiting(key(ask(1)), 1, 2, 3, 4), waiting(key(ask(1), user="bob"), 5, 6)
    plan = decide(policy, Pool(machine(8)), [ada, bob], budgets={"ada": budget(Need(1, 1000, 0, 0, 0), running_jobs=3)})
    assert sorted(started(plan)) == [1, 2, 5, 6]
    assert (plan.waits[ada.key].kind, plan.waits[ada.key].resource) == (WaitKind.USER_LIMIT, "running jobs")
    assert bob.key not in plan.waits


@each_policy
@pytest.mark.parametrize(
    ("limits", "request_", "resource"),
    [
        ({"cpu_millis": 5000}, ask(4), "processors"),
        ({"memory_bytes": 5 * GIB}, ask(1, memory_gib=3), "memory"),
        ({"gpu_millis": 1000}, ask(1, gpus=0.75), "GPUs"),
    ],
)
def test_each_limit_counts_what_is_started_in_the_same_pass(policy, limits, request_, resource) -> None:  # type: ignore[no-untyped-def]
    ada = waiting(key(request_), 1, 2)
    plan = decide(policy, Pool(machine(64, gpus=8)), [ada], budgets={"ada": budget(**limits)})
    assert started(plan) == [1]
    assert plan.waits[ada.key].resource == resource


@each_policy
def test_who_waits_for_a_limit_holds_nothing_back_from_others(policy) -> None:  # type: ignore[no-untyped-def]
    """Though its job is the first, and would fit."""
    big, others = waiting(key(ask(8)), 1), waiting(key(ask(4), user="bob"), 2, 3)
    plan = decide(policy, Pool(machine(8)), [big, others], budgets={"ada": budget(Need(1, 4000, 0, 0, 0), cpu_millis=8000)})
    assert sorted(started(plan)) == [2, 3]


@each_policy
def test_a_users_small_jobs_do_not_starve_its_big_one(policy) -> None:  # type: ignore[no-untyped-def]
    big, small = waiting(key(ask(8)), 1), waiting(key(ask(1)), 2, 3)
    plan = decide(policy, Pool(machine(64)), [big, small], budgets={"ada": budget(Need(1, 4000, 0, 0, 0), cpu_millis=8000)})
    assert started(plan) == []
    assert plan.waits[small.key].kind is WaitKind.USER_LIMIT


@each_policy
def test_what_can_never_start_under_a_limit_is_not_waited_for(policy) -> None:  # type: ignore[no-untyped-def]
    never, small = waiting(key(ask(9)), 1), waiting(key(ask(1)), 2, 3)
    plan = decide(policy, Pool(machine(64)), [never, small], budgets={"ada": budget(cpu_millis=8000)})
    assert started(plan) == [2, 3]


@each_policy
def test_who_has_more_than_it_may_starts_nothing(policy) -> None:  # type: ignore[no-untyped-def]
    ada = waiting(key(ask(1)), 1)
    plan = decide(policy, Pool(machine(8)), [ada], budgets={"ada": budget(Need(5, 5000, 0, 0, 0), running_jobs=2)})
    assert started(plan) == []


@each_policy
def test_no_gpu_hours_left_keeps_only_gpu_jobs_waiting(policy) -> None:  # type: ignore[no-untyped-def]
    on_gpu, on_cpu = waiting(key(ask(1, gpus=1)), 1), waiting(key(ask(1)), 2)
    spent = Budget(allowed_by(UserLimits()), Need(UNLIMITED, UNLIMITED, UNLIMITED, UNLIMITED, 0))
    plan = decide(policy, Pool(machine(8, gpus=2)), [on_gpu, on_cpu], budgets={"ada": spent})
    assert started(plan) == [2]
    assert plan.waits[on_gpu.key].resource == "GPU hours"


requests = st.builds(ask, st.integers(1, 6), st.sampled_from([0, 0, 0.5, 1, 2]), st.integers(0, 8))


@each_policy
@settings(max_examples=60, deadline=None)
@given(
    jobs=st.lists(st.tuples(requests, st.sampled_from(["ada", "bob"]), st.integers(0, 2), st.sampled_from(["a", "b"])), min_size=1, max_size=15),
    limits=st.builds(UserLimits, running_jobs=st.integers(0, 4), cpu_millis=st.integers(0, 9000), memory_bytes=st.integers(0, 20 * GIB), gpu_millis=st.integers(0, 2500)),
    last=st.sampled_from(["ada", "bob"]),
)  # fmt: skip
def test_no_pass_starts_more_than_is_left_and_nobody_else_is_delayed(policy, jobs, limits, last) -> None:  # type: ignore[no-untyped-def]
    classes: dict[object, Waiting] = {}
    for number, (request, user, priority, queue) in enumerate(jobs, 1):
        class_key = key(request, user=user, priority=priority, queue=queue)
        classes.setdefault(class_key, Waiting(class_key, []))
        classes[class_key].ids = [*classes[class_key].ids, JobId(number)]
    pool = Pool(machine(10, gpus=3, memory_gib=32))
    usage = {last: 1e12}  # under `fair` one goes before the other: between equals age would decide, and what is refused has one too
    limited = decide(policy, pool, list(classes.values()), usage=usage, budgets={"ada": Budget(allowed_by(limits), allowed_by(limits))})
    user_of = {number: user for number, (_, user, _, _) in enumerate(jobs, 1)}
    held = [sum(part) for part in zip(*(held_by(s.grant) for s in limited.starts if user_of[s.job_id.number] == "ada"), strict=True)] or [0] * 5
    assert all(has <= most for has, most in zip(held, allowed_by(limits), strict=True))
    # The same starts, and for bob the same reasons, when what waits for the limit had never been asked for.
    given_to_ada = {n for n in started(limited) if user_of[n] == "ada"}
    limiting = {k for k, wait in limited.waits.items() if wait.kind is WaitKind.USER_LIMIT}
    rest = [Waiting(c.key, [i for i in c.ids if c.key not in limiting or i.number in given_to_ada]) for c in classes.values()]
    alone = decide(policy, pool, [c for c in rest if c.ids], usage=usage)
    assert started(alone) == started(limited)
    assert {k: w for k, w in alone.waits.items() if k.user == "bob"} == {k: w for k, w in limited.waits.items() if k.user == "bob"}
