"""A machine that asks who goes next: with the oldest always chosen it is the daemon's fifo, and nothing on it ever overlaps wrongly."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiosd.errors import InvalidArgument
from aiosd.simulation.records import Machine, TraceJob
from aiosd.simulation.setup import Setup
from aiosd.simulation.stepping import Stepping
from aiosd.simulation.workload import lublin
from aiosd.simulation.world import simulate

BOX = Machine(cpu_millis=4000, gpus=2)


def play(world: Stepping, choose: Callable[[Stepping], int | None]) -> dict[int, float]:
    """Until the end; None is to wait."""
    while not world.is_over:
        place = choose(world)
        if place is None:
            world.wait()
        else:
            world.start(world.seen[place])
    return world.starts_s


def strictly(world: Stepping) -> int | None:
    """The oldest, or nobody."""
    return 0 if world.possible[0] else None


def greedily(world: Stepping) -> int | None:
    """The oldest that fits."""
    return list(world.possible).index(True)


@pytest.mark.parametrize("window", [1, 5, 64])
def test_the_oldest_first_is_the_daemons_fifo(window: int) -> None:
    machine = Machine(cpu_millis=64_000)
    jobs = lublin(np.random.default_rng(5), 400, 64)
    starts_s = play(Stepping(jobs, machine, window), strictly)
    assert [starts_s[number] for number in range(len(jobs))] == simulate(jobs, machine, Setup(policy="fifo"))


def test_a_decision_is_asked_for_whenever_something_fits_and_only_then() -> None:
    jobs = [TraceJob(0.0, 100.0, 3000), TraceJob(10.0, 5.0, 4000), TraceJob(20.0, 30.0, 1000), TraceJob(20.0, 30.0, 1000)]
    world = Stepping(jobs, BOX, 8)
    assert (world.now_s, list(world.seen), list(world.possible)) == (0.0, [0], [True])
    world.start(0)
    assert (world.now_s, list(world.seen), list(world.possible)) == (20.0, [1, 2, 3], [False, True, True])  # at 10 s nothing fitted
    world.start(3)
    assert (world.now_s, list(world.seen), list(world.possible)) == (50.0, [1, 2], [False, True])
    world.wait()  # for the large one, which is what a policy may want
    assert (world.now_s, list(world.possible), world.running, world.can_wait) == (100.0, [True, True], 0, False)
    with pytest.raises(ValueError, match="nothing to wait for"):
        world.wait()
    world.start(1)
    assert (world.now_s, world.is_over) == (105.0, False)
    world.start(2)
    assert world.is_over
    assert world.starts_s == {0: 0.0, 3: 20.0, 1: 100.0, 2: 105.0}


def test_who_is_not_seen_or_does_not_fit_is_not_started() -> None:
    world = Stepping([TraceJob(0.0, 9.0, 4000), TraceJob(0.0, 9.0, 1000), TraceJob(0.0, 9.0, 1000)], BOX, 2)
    with pytest.raises(ValueError, match="job 2 does not wait among the first 2"):
        world.start(2)
    world.start(1)
    with pytest.raises(ValueError, match="job 0 does not fit now"):
        world.start(0)
    with pytest.raises(ValueError, match="job 1 does not wait"):
        world.start(1)


def test_parts_of_gpus_are_parts_of_one_gpu() -> None:
    """Three jobs of 0.6 GPU have no place on two GPUs, though two GPUs are more than 1.8."""
    world = Stepping([TraceJob(0.0, 50.0 + at, 0, 0, 600) for at in range(3)], BOX, 4)
    world.start(0)
    world.start(1)
    assert (world.now_s, list(world.possible)) == (50.0, [True])


@given(
    st.lists(
        st.builds(TraceJob, st.floats(0, 1000), st.floats(0.1, 500), st.integers(1, 4000), st.just(0), st.sampled_from([0, 300, 1000, 2000])),
        min_size=1, max_size=30,
    ),
    st.integers(1, 8),
    st.randoms(use_true_random=False),
)  # fmt: skip
def test_whatever_is_chosen_all_start_and_nobody_has_too_much(jobs: list[TraceJob], window: int, random: object) -> None:
    def choose(world: Stepping) -> int | None:
        places = [place for place, fits in enumerate(world.possible) if fits]
        return random.choice([*places, None] if world.can_wait else places)  # type: ignore[attr-defined]

    world = Stepping(jobs, BOX, window)
    starts_s = play(world, choose)
    assert sorted(starts_s) == list(range(len(jobs)))
    for number, start_s in starts_s.items():
        assert start_s >= world.jobs[number].submit_s
        beside = [world.jobs[other] for other, begun_s in starts_s.items() if begun_s <= start_s < begun_s + world.jobs[other].run_s]
        assert sum(job.cpu_millis for job in beside) <= 4000
        assert sum(job.gpu_millis for job in beside) <= 2000
    assert world.free[0] >= 0


def test_episodes_that_cannot_be_played_are_refused() -> None:
    with pytest.raises(InvalidArgument, match="at least one job"):
        Stepping([], BOX, 4)
    with pytest.raises(InvalidArgument, match="4 processors and 2 GPUs could never run a job of 5 processors and 0 GPUs"):
        Stepping([TraceJob(0.0, 1.0, 5000)], BOX, 4)
