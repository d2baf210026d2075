"""What came out of a simulation, in numbers: waits, flow, slowdown, utilisation, fairness, and how they went over time."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum

from aiosd.simulation.records import ONE, Machine, TraceJob

BOUND_S = 10.0  # a run that is shorter counts as so long: else the slowdown of the shortest jobs would be all there is


@dataclass(frozen=True, slots=True)
class Point:
    """One part of time. `at_s` is its middle; the wait is that of those who were submitted in it."""

    at_s: float
    wait_mean_s: float
    utilisation: float
    queued: float  # mean number that waited


@dataclass(frozen=True, slots=True)
class Metrics:
    """Names as in `-o json`. `fairness`: Jain's index of the users' mean bounded slowdowns, 1 where all fared alike."""

    jobs: int
    wait_mean_s: float
    flow_mean_s: float
    bounded_slowdown_mean: float
    bounded_slowdown_max: float
    makespan_s: float
    utilisation: float
    wait_p50_s: float
    wait_p95_s: float
    wait_max_s: float
    fairness: float
    user_spread: float
    users: int


def bounded_slowdown(wait_s: float, run_s: float, bound_s: float = BOUND_S) -> float:
    """max(1, (wait + run) / max(run, bound)). Source: Feitelson et al., "Theory and practice in parallel job scheduling", JSSPP 1997."""
    return max(1.0, (wait_s + run_s) / max(run_s, bound_s))


def jain(values: Sequence[float]) -> float:
    """Jain's index in (0, 1]: (sum x)^2 / (n sum x^2); 1 of nothing. Source: Jain, Chiu, Hawe, DEC-TR-301, 1984."""
    squares = fsum(value * value for value in values)
    return fsum(values) ** 2 / (len(values) * squares) if squares else 1.0


def quantile(ordered: Sequence[float], part: float) -> float:
    """The smallest value that at least `part` of them do not exceed; 0 of nothing."""
    if not ordered:
        return 0.0
    at = min(len(ordered) - 1, max(0, -int(-part * len(ordered) // 1) - 1))
    return ordered[at]


def measure(jobs: Sequence[TraceJob], starts_s: Sequence[float], machine: Machine) -> Metrics:
    """Of all jobs; `starts_s` in their order."""
    if not jobs:
        return Metrics(0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0)
    waits = [start_s - job.submit_s for job, start_s in zip(jobs, starts_s, strict=True)]
    slowdowns = [bounded_slowdown(wait_s, job.run_s) for job, wait_s in zip(jobs, waits, strict=True)]
    begin_s = jobs[0].submit_s
    makespan_s = max(start_s + job.run_s for job, start_s in zip(jobs, starts_s, strict=True)) - begin_s
    ordered, users = sorted(waits), by_user(jobs, starts_s)
    count = len(jobs)
    return Metrics(
        jobs=count,
        wait_mean_s=fsum(waits) / count,
        flow_mean_s=fsum(wait_s + job.run_s for job, wait_s in zip(jobs, waits, strict=True)) / count,
        bounded_slowdown_mean=fsum(slowdowns) / count,
        bounded_slowdown_max=max(slowdowns),
        makespan_s=makespan_s,
        utilisation=_utilisation(jobs, machine, makespan_s),
        wait_p50_s=quantile(ordered, 0.5),
        wait_p95_s=quantile(ordered, 0.95),
        wait_max_s=ordered[-1],
        fairness=jain(users),
        user_spread=max(users) / min(users),
        users=len(users),
    )


def by_user(jobs: Sequence[TraceJob], starts_s: Sequence[float]) -> list[float]:
    """The mean bounded slowdown of each user."""
    found: dict[str, list[float]] = defaultdict(list)
    for job, start_s in zip(jobs, starts_s, strict=True):
        found[job.user].append(bounded_slowdown(start_s - job.submit_s, job.run_s))
    return [fsum(values) / len(values) for values in found.values()]


def _scarcest(jobs: Sequence[TraceJob], machine: Machine) -> tuple[str, float]:
    """The resource of which most was asked of what there is: its field, and how much of it the machine has."""
    capacities = {"cpu_millis": machine.cpu_millis, "gpu_millis": ONE * machine.gpus, "memory_bytes": machine.memory_bytes}
    finite = {field: capacity for field, capacity in capacities.items() if capacity}
    if not finite:
        return "cpu_millis", 0.0
    asked = {field: sum(getattr(job, field) * job.run_s for job in jobs) / capacity for field, capacity in finite.items()}
    scarcest = max(asked, key=lambda field: asked[field])
    return scarcest, float(finite[scarcest])


def _utilisation(jobs: Sequence[TraceJob], machine: Machine, makespan_s: float) -> float:
    field, capacity = _scarcest(jobs, machine)
    used = fsum(getattr(job, field) * job.run_s for job in jobs)
    return used / (capacity * makespan_s) if capacity and makespan_s > 0 else 0.0


def series(jobs: Sequence[TraceJob], starts_s: Sequence[float], machine: Machine, points: int) -> list[Point]:
    """The run cut into `points` equal parts of time; a part in which nobody was submitted has a wait of 0."""
    if not jobs or points < 1:
        return []
    begin_s = jobs[0].submit_s
    end_s = max(start_s + job.run_s for job, start_s in zip(jobs, starts_s, strict=True))
    width_s = (end_s - begin_s) / points
    if width_s <= 0:
        return []
    field, capacity = _scarcest(jobs, machine)
    used, queued = _Spread(points, begin_s, width_s), _Spread(points, begin_s, width_s)
    waits: list[list[float]] = [[] for _ in range(points)]
    for job, start_s in zip(jobs, starts_s, strict=True):
        waits[min(points - 1, int((job.submit_s - begin_s) / width_s))].append(start_s - job.submit_s)
        used.add(start_s, start_s + job.run_s, getattr(job, field))
        queued.add(job.submit_s, start_s, 1.0)
    return [
        Point(begin_s + (at + 0.5) * width_s, fsum(found) / len(found) if found else 0.0, busy / capacity if capacity else 0.0, waiting)
        for at, (found, busy, waiting) in enumerate(zip(waits, used.means(), queued.means(), strict=True))
    ]


class _Spread:
    """Amounts that hold for a while, as their mean in each part of time: a job costs two parts, however many it covers."""

    def __init__(self, points: int, begin_s: float, width_s: float) -> None:
        self._begin_s, self._width_s = begin_s, width_s
        self._steps = [0.0] * (points + 1)  # from this part on so much more
        self._parts = [0.0] * (points + 1)  # only in this part

    def add(self, from_s: float, to_s: float, amount: float) -> None:
        for moment_s, sign in ((from_s, amount), (to_s, -amount)):
            place = (moment_s - self._begin_s) / self._width_s
            at = min(len(self._steps) - 2, int(place))
            self._parts[at] += sign * (at + 1 - place)
            self._steps[at + 1] += sign

    def means(self) -> list[float]:
        level, found = 0.0, []
        for part, step in zip(self._parts[:-1], self._steps[:-1], strict=True):
            level += step
            found.append(max(0.0, level + part))
        return found
