"""Who is said to be ahead is who starts first: a ranking against what its policy does."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiosd.ids import JobId
from aiosd.resources.pool import Pool
from aiosd.scheduling.fairshare import Association
from aiosd.scheduling.policy import ClassKey, Snapshot
from aiosd.scheduling.registry import POLICIES
from tests.unit.scheduling.worlds import ask, decide, key, machine, started, waiting

one_size = st.builds(key, st.just(ask(1)), queue=st.just("a"), user=st.sampled_from(["ada", "bob"]), priority=st.integers(-1, 1))


def ahead(name: str, classes: dict[ClassKey, list[int]], number: int, usage: dict[str, float]) -> list[int]:
    """The numbers of all that are ahead of a job, by rank and age; the first first."""
    mine = next(k for k, numbers in classes.items() if number in numbers)
    rank = POLICIES[name].ranking(Snapshot(0.0, (), Pool(machine()), usage={Association("", user): used for user, used in usage.items()}), mine)
    own = rank(mine)
    assert own is not None
    places = [((place, JobId(n)), n) for k, numbers in classes.items() if (place := rank(k)) is not None for n in numbers]
    return [n for place, n in sorted(places) if place < (own, JobId(number))]


@pytest.mark.parametrize("name", ["fifo", "priority"])
@settings(max_examples=60, deadline=None)
@given(chosen=st.lists(one_size, min_size=1, max_size=12))
def test_those_ahead_start_before(name: str, chosen: list[ClassKey]) -> None:
    classes: dict[ClassKey, list[int]] = {}
    for number, class_key in enumerate(chosen):
        classes.setdefault(class_key, []).append(number)
    order = started(decide(POLICIES[name].policy, Pool(machine(cpus=len(chosen))), [waiting(k, *numbers) for k, numbers in classes.items()]))
    for place, number in enumerate(order):
        assert ahead(name, classes, number, {}) == order[:place]


def test_fair_ranks_by_usage_then_the_own_priority_then_age() -> None:
    low, high = key(ask(1), user="ada"), key(ask(1), user="ada", priority=5)
    bobs, eves = key(ask(1), user="bob", priority=9), key(ask(1), user="eve", priority=9)
    classes = {low: [3, 8], high: [6], bobs: [1, 7], eves: [2, 9]}
    usage = {"ada": 5.0, "bob": 5.0, "eve": 1.0}
    assert ahead("fair", classes, 8, usage) == [2, 9, 6, 1, 3, 7], "bob has used as much: his priority is nothing to ada"
    assert ahead("fair", classes, 9, usage) == [2]
    assert ahead("fair", {low: [3], bobs: [1]}, 3, {"bob": 1.0}) == []


def test_fifo_counts_only_the_own_queue() -> None:
    assert ahead("fifo", {key(ask(1), queue="a"): [1, 4], key(ask(2), queue="b"): [2]}, 4, {}) == [1]
