"""Queues that borrow: within their share in their turn, beyond it after all others, and never what another is short of."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiosd.ids import JobId
from aiosd.resources.pool import Pool
from aiosd.scheduling.borrowing import Remainder, in_two_rounds
from aiosd.scheduling.budgets import Budget, Holder, Need, Scope, share_of
from aiosd.scheduling.ordering import Line
from aiosd.scheduling.policy import ClassKey, Snapshot, WaitKind
from aiosd.scheduling.registry import POLICIES
from aiosd.scheduling.rules import QueueSettings
from tests.unit.scheduling.worlds import Waiting, ask, decide, key, machine, waiting

each_policy = pytest.mark.parametrize("policy", list(POLICIES))
HALF = {"half": QueueSettings("half", share_permille=500, borrow=True), "other": QueueSettings("other")}
BOX = machine(cpus=8)


def share(queue: str = "half") -> dict[Holder, Budget]:
    allowed = share_of(HALF[queue], BOX)
    assert allowed is not None
    return {Holder(Scope.SHARE, queue): Budget(allowed, allowed)}


def test_a_share_is_at_least_something() -> None:
    assert share_of(QueueSettings("q"), BOX) is None
    tiny = share_of(QueueSettings("q", share_permille=1), machine(cpus=1, gpus=0, memory_gib=0))
    assert tiny is not None
    assert (tiny.cpu_millis, tiny.memory_bytes, tiny.gpu_millis) == (1, 1, 1)


def test_what_is_left_of_a_class() -> None:
    whole = Waiting(key(ask(1)), [JobId(1), JobId(2), JobId(3)], since={JobId(3): 7.0})
    rest = Remainder(whole, 2)
    assert (list(rest), rest.count, rest.oldest, rest.eligible_at_s, rest.key) == ([JobId(3)], 1, JobId(3), 7.0, whole.key)


def test_without_borrowers_nothing_is_asked_twice() -> None:
    world = Snapshot(0.0, (), Pool(BOX), queues={"q": QueueSettings("q", share_permille=5)})
    assert isinstance(in_two_rounds(world, Line), Line)


requests = st.builds(ask, st.sampled_from([1, 2, 5]), st.just(0), st.sampled_from([0, 8, 40]))
queued = st.builds(key, requests, queue=st.sampled_from(["half", "other"]), user=st.sampled_from(["ada", "bob"]), priority=st.integers(0, 2))


@each_policy
@settings(max_examples=25, deadline=None)
@given(chosen=st.lists(queued, min_size=1, max_size=16))
def test_nothing_is_lent_that_another_is_short_of(policy: str, chosen: list[ClassKey]) -> None:
    classes: dict[ClassKey, list[int]] = {}
    for number, class_key in enumerate(chosen):
        classes.setdefault(class_key, []).append(number)
    shown = [waiting(class_key, *numbers) for class_key, numbers in classes.items()]
    plan = decide(POLICIES[policy].policy, Pool(BOX), shown, queues=HALF, budgets=share())
    ids = [start.job_id.number for start in plan.starts]
    assert len(ids) == len(set(ids))
    held = [chosen[number].request for number in ids if chosen[number].queue == "half"]
    short = {wait.resource for class_key, wait in plan.waits.items() if class_key.queue == "other" and wait.kind is WaitKind.RESOURCES}
    allowed = share()[Holder(Scope.SHARE, "half")].allowed
    for resource, used, most in (
        ("cpu", sum(r.cpu_millis for r in held), allowed.cpu_millis),
        ("memory", sum(r.memory_bytes for r in held), allowed.memory_bytes),
    ):
        assert used <= most or resource not in short, f"{resource} is lent though another waits for it"
    if all(class_key.queue == "half" for class_key in chosen):
        free = decide(POLICIES[policy].policy, Pool(BOX), shown, queues=HALF)
        assert len(plan.starts) >= min(len(free.starts), 1), "alone, it is not kept from starting"


def test_beyond_its_share_a_queue_goes_last_however_urgent() -> None:
    urgent, plain = waiting(key(ask(1), queue="half", priority=100), *range(10)), waiting(key(ask(1), queue="other", user="bob"), *range(20, 23))
    plan = decide(POLICIES["priority"].policy, Pool(BOX), [urgent, plain], queues=HALF, budgets=share())
    assert [start.job_id.number for start in plan.starts] == [0, 1, 2, 3, 20, 21, 22, 4]
    assert plan.waits[urgent.key].kind is WaitKind.RESOURCES
    over = {Holder(Scope.SHARE, "half"): Budget(share()[Holder(Scope.SHARE, "half")].allowed, Need(1 << 62, -2000, 1 << 40, 1000, 1 << 62))}
    plan = decide(POLICIES["priority"].policy, Pool(BOX), [urgent, plain], queues=HALF, budgets=over)
    assert [start.job_id.number for start in plan.starts] == [20, 21, 22, 0, 1, 2, 3, 4], "what it has borrowed already counts"
