"""What is free when, held against a count at every moment at which anything changes."""

from math import inf

from hypothesis import given, settings
from hypothesis import strategies as st

from aiosd.resources.amounts import Amounts
from aiosd.resources.grant import Grant
from aiosd.resources.pool import Pool
from aiosd.resources.request import DeviceRequest, Request
from aiosd.scheduling.timeline import Steps, Timeline, release_of
from tests.unit.scheduling.worlds import GIB, ask, machine

TIMES = st.integers(0, 12).map(float)
LASTS = st.one_of(st.integers(1, 8).map(float), st.just(inf))
changes = st.lists(st.tuples(TIMES, st.integers(1, 8).map(float), st.integers(1, 4)), max_size=6)


def _free(times: list[tuple[float, float, int]], at_s: float) -> int:
    return 10 - sum(amount for from_s, lasts_s, amount in times if from_s <= at_s < from_s + lasts_s)


@given(changes, TIMES, LASTS, st.integers(1, 10))
def test_steps_know_the_least_and_the_first(taken: list[tuple[float, float, int]], from_s: float, lasts_s: float, amount: int) -> None:
    steps = Steps([0.0], [10], rising=True)
    for begin_s, long_s, less in taken:
        steps.take(begin_s, begin_s + long_s, less)
    assert steps.times == sorted(set(steps.times))
    moments = [float(at) for at in range(40)]
    inside = [at for at in moments if from_s <= at < from_s + lasts_s]
    assert steps.lowest(from_s, from_s + lasts_s) == min(_free(taken, at) for at in inside)
    assert steps.lowest_until(lasts_s) == min(_free(taken, at) for at in moments if at < lasts_s)
    fits = (at for at in moments if at >= from_s and all(_free(taken, t) >= amount for t in moments if at <= t < at + lasts_s))
    assert steps.first(from_s, lasts_s, amount) == next(fits, inf)


def test_what_only_rises_is_found_by_halves() -> None:
    steps = Steps([0.0, 5.0, 9.0], [1, 4, 8], rising=True)
    assert [steps.first(0.0, 100.0, amount) for amount in (1, 2, 3, 5, 9)] == [0.0, 5.0, 5.0, 9.0, inf]
    assert steps.first(7.0, 100.0, 3) == 7.0
    assert steps.lowest_until(inf) == 1


requests = st.builds(
    lambda cpus, wishes, memory: Request(cpus * 1000, memory * GIB, tuple(DeviceRequest("gpu", millis) for millis in wishes)),
    st.integers(1, 8),
    st.lists(st.sampled_from([250, 500, 1000, 2000, 3000]), max_size=2),
    st.integers(0, 60),
)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(requests, TIMES), max_size=6), st.lists(st.tuples(requests, LASTS), min_size=1, max_size=4))
def test_a_place_is_free_and_is_the_first(running: list[tuple[Request, float]], wanted: list[tuple[Request, float]]) -> None:
    pool = Pool(machine(cpus=8, gpus=3))
    held = [(grant, end_s + 1) for request, end_s in running if (grant := pool.take(request)) is not None]
    timeline = Timeline(0.0, pool, [release_of(grant, end_s) for grant, end_s in held])
    promised: list[tuple[float, float, Amounts]] = []
    for request, lasts_s in wanted:
        place = timeline.place(request, lasts_s)
        # where one wish suffices the greedy choice is exact; two wishes may be met earlier by another pairing
        ends = sorted({0.0, *(end_s for _, end_s in held), *(end for _, end, _ in promised if end < inf)})
        exact = len(request.devices) < 2
        if place is None:
            assert not exact or not any(_fits(pool, held, promised, request, at_s, lasts_s) for at_s in ends)
            continue
        if exact:
            assert place.at_s == next(at_s for at_s in ends if _fits(pool, held, promised, request, at_s, lasts_s))
        promised.append((place.at_s, place.at_s + lasts_s, place.amounts))
        timeline.promise(*promised[-1])
        for moment in {at_s for at_s, *_ in promised} | set(ends):
            assert _room(pool, held, promised, moment) is not None, "more is promised than there is"


def _room(pool: Pool, held: list[tuple[Grant, float]], promised: list[tuple[float, float, Amounts]], at_s: float) -> Amounts | None:
    """What is free at a moment; None: it is less than nothing."""
    total = Amounts(8000, 64 * GIB, 0, {f"GPU-{n}": (1000, 80 * GIB) for n in range(3)})
    for grant, end_s in held:
        if end_s > at_s:
            total.add(Amounts(-grant.cpu_millis, -grant.memory_bytes, 0, {d.device_id: (-d.millis, -d.memory_bytes) for d in grant.devices}))
    for from_s, until_s, amounts in promised:
        if from_s <= at_s < until_s:
            total.add(Amounts(-amounts.cpu_millis, -amounts.memory_bytes, 0, {i: (-m, -b) for i, (m, b) in amounts.devices.items()}))
    parts = [total.cpu_millis, total.memory_bytes, *(part for both in total.devices.values() for part in both)]
    return total if min(parts) >= 0 else None


def _fits(pool: Pool, held: list[tuple[Grant, float]], promised: list[tuple[float, float, Amounts]], request: Request, at_s: float, lasts_s: float) -> bool:
    moments = [at_s, *(t for t in {0.0, *(e for _, e in held), *(f for f, *_ in promised)} if at_s < t < at_s + lasts_s)]
    rooms = [room for moment in moments if (room := _room(pool, held, promised, moment)) is not None]
    if any(room.cpu_millis < request.cpu_millis or room.memory_bytes < request.memory_bytes for room in rooms):
        return False
    for wish in request.devices:
        millis, memory = (1000, 80 * GIB) if wish.millis >= 1000 else (wish.millis, 80 * GIB * wish.millis // 1000)
        fits = sum(all(room.devices[i][0] >= millis and room.devices[i][1] >= memory for room in rooms) for i in rooms[0].devices)
        if fits < max(1, wish.millis // 1000):
            return False
    return True


def test_devices_of_runs_that_begin_later_come_back_too() -> None:
    """Whether anybody has asked for devices before or not."""
    for asked_before in (True, False):
        pool = Pool(machine(gpus=1))
        timeline = Timeline(0.0, pool, ())
        if asked_before:
            assert timeline.place(ask(1, gpus=1), 1.0) is not None
        grant = pool.take(ask(1, gpus=1))
        assert grant is not None
        timeline.begin(grant, 5.0)
        place = timeline.place(ask(1, gpus=1), 1.0)
        assert place is not None
        assert (place.at_s, place.amounts.devices) == (5.0, {"GPU-0": (1000, 80 * GIB)})


def test_a_device_that_is_out_of_use_comes_back_to_nobody() -> None:
    pool = Pool(machine(gpus=1))
    grant = pool.take(ask(1, gpus=1))
    assert grant is not None
    smaller = pool.with_inventory(machine(gpus=0))
    assert Timeline(0.0, smaller, [release_of(grant, 5.0)]).place(ask(1, gpus=1), 1.0) is None
