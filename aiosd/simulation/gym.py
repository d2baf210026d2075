"""The scheduler as a Gymnasium environment: queue and machine are seen, the next job is chosen, waits are the reward."""

from collections.abc import Callable, Sequence
from math import log1p
from typing import Any, Literal, cast, get_args

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from aiosd.errors import InvalidArgument
from aiosd.simulation.metrics import bounded_slowdown
from aiosd.simulation.records import ONE, Machine, TraceJob
from aiosd.simulation.stepping import Stepping
from aiosd.simulation.workload import lublin, poisson

try:
    import gymnasium
    from gymnasium import spaces
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError("aiosd.simulation.gym needs gymnasium: pip install 'aiosd[gym]'") from missing

EIGHT_GPUS = Machine(gpus=8)

Reward = Literal["wait", "slowdown", "utilisation"]
Knowledge = Literal["asked", "actual"]
Episodes = Callable[[Generator], Sequence[TraceJob]]
"""Makes the jobs of one episode; all chance in it is the generator's."""

Seen = dict[str, NDArray[np.float32]]

QUEUE = ("there", "waited", "lasts", "lasts_known", "cpus", "memory", "gpus", "fits")
"""What is seen of a waiting job, each in [0, 1]: times by their logarithm, amounts as parts of the machine."""

MACHINE = ("cpus_free", "memory_free", "gpus_free", "running", "unseen")
"""What is seen of the machine, each in [0, 1]; `running` and `unseen` (jobs that wait beyond the window) by their logarithm."""

_LONGEST_S, _MOST_JOBS = 30 * 86_400.0, 10_000.0  # what is longer or more looks the same
_THERE, _WAITED, _LASTS, _KNOWN, _CPUS, _MEMORY, _GPUS, _FITS = range(len(QUEUE))


def of_trace(jobs: Sequence[TraceJob], length: int) -> Episodes:
    """Every episode is `length` jobs in a row, from anywhere in the trace."""
    if not 0 < length <= len(jobs):
        raise InvalidArgument(f"an episode of {length} jobs cannot be cut from a trace of {len(jobs)}", hint=f"allowed: 1 to {len(jobs)}")

    def cut(chance: Generator) -> Sequence[TraceJob]:
        begin = int(chance.integers(len(jobs) - length + 1))
        return jobs[begin : begin + length]

    return cut


def of_poisson(machine: Machine, length: int, load: float = 0.9, mean_run_s: float = 1800.0) -> Episodes:
    """Every episode is made anew: one GPU each (one processor where there is no GPU), which is what M/M/c is about."""
    unit, servers = _unit(machine)
    return lambda chance: poisson(chance, length, servers, load, mean_run_s, unit=unit)


def of_lublin(machine: Machine, length: int) -> Episodes:
    """Every episode is made anew by the model of Lublin and Feitelson."""
    unit, servers = _unit(machine)
    return lambda chance: lublin(chance, length, servers, unit=unit)


def _unit(machine: Machine) -> tuple[str, int]:
    return ("gpu", machine.gpus) if machine.gpus else ("cpu", machine.cpu_millis // ONE)


class SchedulerEnv(gymnasium.Env[Seen, np.int64]):
    """One step is one decision: start the job in place k of the queue now, or (the last action) wait for what happens next.

    Time stands still while jobs are started, and goes on by itself while none that is seen fits. An episode ends when all have started.

    episodes    makes the jobs of an episode; `reset(options={"jobs": ...})` gives them instead
    reward      what the rewards of an episode add up to: "wait": less the mean wait in hours; "slowdown": less the mean bounded
                slowdown; "utilisation": that of the scarcest resource from the first arrival to the last end, given at the end
    window      so many waiting jobs are seen, oldest first
    knows       of run times: the limit that was "asked" for, if any, as the daemon; or the "actual" one, as no daemon does

    `info["action_mask"]` says what is possible. An action that is not counts as waiting, or, where nothing would ever happen by
    itself, as starting the oldest job that fits; `info["possible"]` is False then.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 - as the class above has it

    def __init__(
        self,
        episodes: Episodes | None = None,
        machine: Machine = EIGHT_GPUS,
        *,
        reward: Reward = "slowdown",
        window: int = 32,
        knows: Knowledge = "asked",
    ) -> None:
        if reward not in get_args(Reward) or knows not in get_args(Knowledge):
            raise InvalidArgument(f"reward {reward!r} with knowledge {knows!r} is not known", hint=f"{get_args(Reward)}, {get_args(Knowledge)}")
        if not 1 <= window <= 4096:
            raise InvalidArgument(f"a window of {window} jobs is not possible", hint="allowed: 1 to 4096")
        self.machine, self.window = machine, window
        self._episodes = episodes or of_poisson(machine, 256)
        self._reward, self._knows = reward, knows
        self.action_space = spaces.Discrete(window + 1)
        queue, node = spaces.Box(0.0, 1.0, (window, len(QUEUE)), np.float32), spaces.Box(0.0, 1.0, (len(MACHINE),), np.float32)
        self.observation_space = cast("spaces.Space[Seen]", spaces.Dict({"queue": queue, "machine": node}))
        self._world: Stepping | None = None

    @property
    def world(self) -> Stepping:
        """The machine and its jobs as they stand. Raises ResetNeeded before the first `reset`."""
        if self._world is None:
            raise gymnasium.error.ResetNeeded("call reset before anything else")
        return self._world

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Seen, dict[str, Any]]:
        super().reset(seed=seed)
        given = (options or {}).get("jobs")
        self._world = Stepping(given if given is not None else self._episodes(self.np_random), self.machine, self.window)
        self._constant = self._what_never_changes()
        self._arrivals_s = np.array([job.submit_s for job in self._world.jobs])
        seen, self._mask = self._look()
        return seen, self._info(possible=True)

    def step(self, action: np.int64 | int) -> tuple[Seen, float, bool, bool, dict[str, Any]]:
        world = self.world
        if world.is_over:
            raise gymnasium.error.ResetNeeded("the episode is over: call reset")
        mask = self._mask
        possible = 0 <= int(action) <= self.window and bool(mask[int(action)])
        place = int(action) if possible else self.window if mask[self.window] else int(mask.argmax())
        if place == self.window:
            world.wait()
            reward = 0.0
        else:
            number = world.seen[place]
            started_s = world.now_s
            world.start(number)
            reward = self._rewarded(world.jobs[number], started_s)
        seen, self._mask = self._look()
        return seen, reward, world.is_over, False, self._info(possible)

    def action_masks(self) -> NDArray[np.int8]:
        """1 for every action that is possible now; libraries that mask actions look for this name."""
        return self._mask.copy()

    def _look(self) -> tuple[Seen, NDArray[np.int8]]:
        """What is seen, and the mask of what is possible."""
        world, mask = self.world, np.zeros(self.window + 1, np.int8)
        if not world.is_over:
            possible = world.possible
            mask[: len(possible)] = possible
            mask[self.window] = world.can_wait
        return self._seen(mask), mask

    def _rewarded(self, job: TraceJob, started_s: float) -> float:
        world = self.world
        if self._reward == "utilisation":
            return self._utilisation() if world.is_over else 0.0
        wait_s = started_s - job.submit_s
        cost = wait_s / 3600.0 if self._reward == "wait" else bounded_slowdown(wait_s, job.run_s)
        return -cost / len(world.jobs)

    def _utilisation(self) -> float:
        world = self.world
        begin_s, end_s = world.jobs[0].submit_s, max(start_s + world.jobs[number].run_s for number, start_s in world.starts_s.items())
        used = [sum(amounts[at] * job.run_s for job in world.jobs for amounts in (job[2:5],)) for at in range(3)]
        parts = [amount / (has * (end_s - begin_s)) for amount, has in zip(used, self._has(), strict=True) if has and end_s > begin_s]
        return float(max(parts, default=0.0))

    def _has(self) -> tuple[int, int, int]:
        return self.machine.cpu_millis, self.machine.memory_bytes, self.machine.gpus * ONE

    def _what_never_changes(self) -> NDArray[np.float32]:
        """A row for each job of the episode."""
        rows = np.zeros((len(self.world.jobs), len(QUEUE)), np.float32)
        for row, job in zip(rows, self.world.jobs, strict=True):
            lasts_s = job.run_s if self._knows == "actual" else job.limit_s
            row[_THERE], row[_LASTS], row[_KNOWN] = 1.0, _scaled(lasts_s, _LONGEST_S), lasts_s > 0
            for column, amount, has in zip((_CPUS, _MEMORY, _GPUS), job[2:5], self._has(), strict=True):
                row[column] = amount / has if has else 0.0
        return rows

    def _seen(self, mask: NDArray[np.int8]) -> Seen:
        world = self.world
        seen = list(world.seen)
        queue = np.zeros((self.window, len(QUEUE)), np.float32)
        if seen:
            rows = queue[: len(seen)]
            rows[:] = self._constant[seen]
            waits_s = world.now_s - self._arrivals_s[seen]
            rows[:, _WAITED] = np.minimum(1.0, np.log1p(waits_s) / log1p(_LONGEST_S))
            rows[:, _FITS] = mask[: len(seen)]
        free = [max(0.0, amount / has) if has else 1.0 for amount, has in zip(world.free, self._has(), strict=True)]
        counts = [_scaled(count, _MOST_JOBS) for count in (world.running, len(world.waiting) - len(seen))]
        return {"queue": queue, "machine": np.array([*free, *counts], np.float32)}

    def _info(self, possible: bool) -> dict[str, Any]:
        return {"action_mask": self._mask.copy(), "now_s": self.world.now_s, "waiting": len(self.world.waiting), "possible": possible}


def _scaled(value: float, most: float) -> float:
    """By its logarithm: 0 stays 0, `most` and more is 1."""
    return min(1.0, log1p(max(0.0, value)) / log1p(most))


gymnasium.register("aios/Scheduler-v0", entry_point="aiosd.simulation.gym:SchedulerEnv")
