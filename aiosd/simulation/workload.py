"""Workloads that are made up: Poisson arrivals, and the model of Lublin and Feitelson; chance comes in as a numpy Generator."""

from math import exp, lgamma, log, log2
from typing import TYPE_CHECKING

from aiosd.errors import InvalidArgument
from aiosd.simulation.records import ONE, TraceJob

if TYPE_CHECKING:
    from numpy.random import Generator

MEAN_RUN_S = 1800.0
MOST_JOBS = 10_000_000


def poisson(chance: "Generator", jobs: int, servers: int, load: float, mean_run_s: float = MEAN_RUN_S, unit: str = "cpu", users: int = 8) -> list[TraceJob]:
    """Independent arrivals and exponential run times, one server each: what M/M/c assumes.

    servers   processors or GPUs, as `unit` says
    load      offered load, arrivals x mean run / servers; > 0, 1 and more never comes to rest
    """
    _check(jobs, servers)
    if not 0 < load < 1000:
        raise InvalidArgument(f"a load of {load:g} is not possible", hint="allowed: more than 0, for example 0.8", load=load)
    gaps_s = chance.exponential(mean_run_s / (load * servers), jobs).cumsum()
    runs_s = chance.exponential(mean_run_s, jobs)
    owners = chance.integers(users, size=jobs)
    return [
        _job(float(at_s), float(run_s), 1, unit, int(owner)) for at_s, run_s, owner in zip(gaps_s - gaps_s[0] if jobs else gaps_s, runs_s, owners, strict=True)
    ]


def _check(jobs: int, servers: int) -> None:
    if not 0 < jobs <= MOST_JOBS:
        raise InvalidArgument(f"{jobs} jobs cannot be made", hint=f"allowed: 1 to {MOST_JOBS}", jobs=jobs)
    if servers < 1:
        raise InvalidArgument("a workload is made for a machine of at least one processor or GPU", hint="name one by --cpus or --gpus")


def _job(at_s: float, run_s: float, size: int, unit: str, owner: int, limit_s: float = 0.0) -> TraceJob:
    cpu, gpu = (0, size * ONE) if unit == "gpu" else (size * ONE, 0)
    return TraceJob(at_s, run_s, cpu, 0, gpu, limit_s, f"user{owner}")


# The model of Lublin and Feitelson, "The workload on parallel supercomputers: modeling the characteristics of rigid jobs", JPDC 63(11),
# 2003, with the parameters that they fitted to all jobs together (without the difference of batch and interactive ones).

_SERIAL, _POWER_OF_2 = 0.244, 0.576  # parts of the jobs
_LOW, _MIDDLE_BELOW_HIGH, _LOW_PART = 0.8, 2.5, 0.86  # log2 of a parallel job's size: uniform in two stages
_SHORT, _LONG = (4.2, 0.94), (312.0, 0.03)  # ln of the run time: a mixture of two gammas (shape, scale)
_SHORT_SLOPE, _SHORT_AT_0 = -0.0054, 0.78  # the part of the first falls with the size
_LONGEST_LN_S, _LONGEST_GAP_LN_S = 12.0, 13.0  # what is drawn beyond is drawn again
_GAP = (10.2303 * 1.0225, 0.4871)  # ln of the gap in the rush hour, and the same for all hours
_DAY = (8.1737, 3.9631)  # how arrivals are spread over the day, in half hours from 5:30 in the morning on
_BUCKETS, _BUCKET_S, _DAY_BEGINS = 48, 1800.0, 11


def lublin(chance: "Generator", jobs: int, servers: int, unit: str = "cpu", users: int = 8) -> list[TraceJob]:
    """Rigid parallel jobs with a daily cycle, their sizes fitted to a machine of `servers`; they know how long they run."""
    _check(jobs, servers)
    weights = _daily_weights()
    clock = _Clock(weights)
    made = []
    for _ in range(jobs):
        size = _size(chance, servers)
        run_s = _run_s(chance, size)
        made.append(_job(clock.next_s(_gap_s(chance)), run_s, size, unit, int(chance.integers(users)), run_s))
    begin_s = made[0].submit_s
    return [job._replace(submit_s=job.submit_s - begin_s) for job in made]


def _size(chance: "Generator", servers: int) -> int:
    kind = chance.random()
    if kind <= _SERIAL or servers < 2:
        return 1
    high = log2(servers)
    middle = max(_LOW, high - _MIDDLE_BELOW_HIGH)
    bounds = (min(_LOW, high), middle) if chance.random() <= _LOW_PART else (middle, high)
    exponent = float(chance.uniform(*bounds))
    if kind <= _SERIAL + _POWER_OF_2:
        exponent = min(round(exponent), int(high))
    return int(min(servers, max(1, round(2.0**exponent))))


def _run_s(chance: "Generator", size: int) -> float:
    """Whole seconds, at least one."""
    short = min(1.0, max(0.0, _SHORT_SLOPE * size + _SHORT_AT_0))
    while True:
        ln_s = chance.gamma(*(_SHORT if chance.random() <= short else _LONG))
        if ln_s <= _LONGEST_LN_S:
            return max(1.0, float(int(exp(ln_s))))


def _gap_s(chance: "Generator") -> float:
    while True:
        ln_s = chance.gamma(*_GAP)
        if ln_s <= _LONGEST_GAP_LN_S:
            return exp(ln_s)


class _Clock:
    """Gaps of the average hour become gaps of the day's hours: each half hour is worth its share of the arrivals, and is paid for."""

    def __init__(self, weights: list[float]) -> None:
        self._weights = weights
        self._bucket = 0
        self._paid = 0.0  # of this half hour
        self._passed_s = 0.0  # until its beginning

    def next_s(self, gap_s: float) -> float:
        """When the next job arrives: whole seconds since midnight of the first day."""
        points = self._paid + gap_s / _BUCKET_S
        while points > self._weights[self._bucket]:
            points -= self._weights[self._bucket]
            self._bucket = (self._bucket + 1) % _BUCKETS
            self._passed_s += _BUCKET_S
        self._paid = points
        return float(int(self._passed_s + _BUCKET_S * points / self._weights[self._bucket]))


def _daily_weights() -> list[float]:
    """The arrivals of each half hour of the day, 1 on average."""
    weights = [0.0] * _BUCKETS
    for at in range(_DAY_BEGINS, _BUCKETS + _DAY_BEGINS):
        weights[(at - 1) % _BUCKETS] = _gamma_cdf(at + 0.5, *_DAY) - _gamma_cdf(at - 0.5, *_DAY)
    mean = sum(weights) / _BUCKETS
    return [weight / mean for weight in weights]


def _gamma_cdf(x: float, shape: float, scale: float) -> float:
    """P(shape, x / scale) by its power series, which converges for every x > 0; enough terms for the x that a day has."""
    z = x / scale
    term = total = 1.0 / shape
    for n in range(1, 1000):
        term *= z / (shape + n)
        total += term
        if term < total * 1e-15:
            break
    return total * exp(-z + shape * log(z) - lgamma(shape))
