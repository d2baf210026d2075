"""What a simulation says: how far it is, and what came out of it for each set-up."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SimulationProgress:
    """`done` of `total` jobs have started."""

    policy: str
    backfill: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class SeriesPoint:
    """One part of the time. The wait is that of those who were submitted in it; `queued` the mean number that waited."""

    at_s: float
    wait_mean_s: float
    utilisation: float
    queued: float


@dataclass(frozen=True, slots=True)
class SimulationOutcome:
    """Bounded slowdown: max(1, (wait + run) / max(run, 10 s)). `fairness`: Jain's index of the users' means of it, 1 where all fared alike."""

    policy: str
    backfill: str
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
    took_s: float
    series: tuple[SeriesPoint, ...] = ()
