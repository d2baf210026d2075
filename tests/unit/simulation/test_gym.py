"""The Gymnasium environment: what its checker says, what is seen, what is rewarded, and that seeds are kept."""

import warnings
from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from aiosd.errors import InvalidArgument
from aiosd.simulation.gym import MACHINE, QUEUE, SchedulerEnv, of_lublin, of_poisson, of_trace
from aiosd.simulation.metrics import measure
from aiosd.simulation.records import Machine, TraceJob
from aiosd.simulation.workload import lublin

BOX = Machine(cpu_millis=4000, gpus=2)
CLUSTER = Machine(cpu_millis=64_000)
LUBLIN = lublin(np.random.default_rng(2), 300, 64)


def play(env: SchedulerEnv, seed: int | None = None, jobs: Sequence[TraceJob] | None = None, chance: np.random.Generator | None = None) -> list[Any]:
    """What a policy saw and got; it takes the first possible action, or one by chance."""
    seen, info = env.reset(seed=seed, options=None if jobs is None else {"jobs": jobs})
    course: list[Any] = [(seen, 0.0, info["now_s"])]
    over = False
    while not over:
        mask = info["action_mask"]
        action = int(mask.argmax()) if chance is None else int(chance.choice(np.flatnonzero(mask)))
        seen, reward, over, truncated, info = env.step(action)
        assert info["possible"]
        assert not truncated
        course.append((seen, reward, info["now_s"]))
    return course


@pytest.mark.parametrize(
    "wish",
    [{}, {"reward": "wait", "window": 1}, {"reward": "utilisation", "knows": "actual"}, {"machine": CLUSTER, "episodes": of_lublin(CLUSTER, 40)}],
    ids=str,
)
def test_gymnasiums_own_checker_has_nothing_to_say(wish: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gymnasium.make("aios/Scheduler-v0", **wish).unwrapped)


def test_a_seed_makes_the_same_episode_and_another_seed_another() -> None:
    env = SchedulerEnv(of_poisson(BOX, 40), BOX)

    def course(seed: int | None) -> list[float]:
        return [now_s for _, _, now_s in play(env, seed)]

    assert course(7) == course(7)
    assert course(7) != course(8)
    assert course(None) != course(None)  # goes on from where it was


def test_observations_stay_within_their_space() -> None:
    env = SchedulerEnv(of_trace(LUBLIN, 80), CLUSTER, window=6)
    chance = np.random.default_rng(1)
    for seed in range(3):
        assert all(env.observation_space.contains(seen) for seen, _, _ in play(env, seed, chance=chance))


def test_what_is_seen_of_queue_and_machine() -> None:
    jobs = [
        TraceJob(0.0, 100.0, 3000, 0, 1000, 200.0),
        TraceJob(10.0, 5.0, 2000),
        TraceJob(20.0, 30.0, 1000, 0, 500),
        TraceJob(20.0, 30.0, 1000),
        TraceJob(20.0, 1.0, 1000),
    ]
    env = SchedulerEnv(machine=BOX, window=3)
    seen, info = env.reset(options={"jobs": jobs})
    assert info["action_mask"].tolist() == [1, 0, 0, 1]
    assert dict(zip(MACHINE, seen["machine"].tolist(), strict=True)) == {"cpus_free": 1.0, "memory_free": 1.0, "gpus_free": 1.0, "running": 0.0, "unseen": 0.0}
    seen, _, _, _, info = env.step(0)
    assert (info["now_s"], info["waiting"], info["action_mask"].tolist()) == (20.0, 4, [0, 1, 1, 1])
    second, third, fourth = (dict(zip(QUEUE, row, strict=True)) for row in seen["queue"].tolist())
    assert (second["there"], second["fits"], third["fits"], fourth["fits"]) == (1.0, 0.0, 1.0, 1.0)
    assert (second["cpus"], third["gpus"], second["lasts_known"]) == (0.5, 0.25, 0.0)
    assert 0 == third["waited"] < second["waited"] < 0.3
    machine = dict(zip(MACHINE, seen["machine"].tolist(), strict=True))
    assert (machine["cpus_free"], machine["gpus_free"]) == (0.25, 0.5)
    assert machine["running"] > 0
    assert machine["unseen"] > 0
    asked = SchedulerEnv(machine=BOX).reset(options={"jobs": jobs})[0]["queue"][0]
    actual = SchedulerEnv(machine=BOX, knows="actual").reset(options={"jobs": jobs})[0]["queue"][0]
    assert 0 < actual[QUEUE.index("lasts")] < asked[QUEUE.index("lasts")] < 1  # it asked for 200 s, and runs for 100 s


@pytest.mark.parametrize("reward", ["wait", "slowdown", "utilisation"])
def test_rewards_of_an_episode_add_up_to_what_is_measured(reward: str) -> None:
    env = SchedulerEnv(machine=CLUSTER, reward=reward)  # type: ignore[arg-type]
    total = sum(got for _, got, _ in play(env, jobs=LUBLIN, chance=np.random.default_rng(4)))
    found = measure(LUBLIN, [env.world.starts_s[number] for number in range(len(LUBLIN))], CLUSTER)
    expected = {"wait": -found.wait_mean_s / 3600, "slowdown": -found.bounded_slowdown_mean, "utilisation": found.utilisation}[reward]
    assert total == pytest.approx(expected)


def test_an_impossible_action_is_to_wait_or_starts_the_oldest_that_fits() -> None:
    env = SchedulerEnv(machine=BOX, window=4)
    env.reset(options={"jobs": [TraceJob(0.0, 10.0, 3000), TraceJob(0.0, 5.0, 2000), TraceJob(7.0, 5.0, 1000)]})
    _, _, _, _, info = env.step(3)  # nobody is there: it waits for the arrival at 7 s
    assert (info["possible"], info["now_s"], env.world.starts_s) == (False, 7.0, {})
    _, _, _, _, info = env.step(3)  # nothing runs and nobody comes any more
    assert (info["possible"], env.world.starts_s) == (False, {0: 7.0})
    assert info["now_s"] == 7.0
    _, _, _, _, info = env.step(-1)
    assert not info["possible"]


def test_after_the_end_it_wants_a_reset() -> None:
    env = SchedulerEnv(machine=BOX)
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(0)
    env.reset(options={"jobs": [TraceJob(0.0, 1.0, 1000)]})
    _, _, over, _, info = env.step(0)
    assert over
    assert not info["action_mask"].any()
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(0)


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: SchedulerEnv(reward="fame"), "fame"),  # type: ignore[arg-type]
        (lambda: SchedulerEnv(knows="everything"), "everything"),  # type: ignore[arg-type]
        (lambda: SchedulerEnv(window=0), "window of 0"),
        (lambda: of_trace(LUBLIN, 301), "301 jobs cannot be cut from a trace of 300"),
        (lambda: SchedulerEnv(machine=BOX).reset(options={"jobs": []}), "at least one job"),
    ],
)
def test_what_cannot_be_is_refused(make: Any, word: str) -> None:
    with pytest.raises(InvalidArgument, match=word):
        make()
