"""Made-up workloads: the same from the same seed, and as the models say."""

from itertools import pairwise
from math import exp, log

import pytest
from numpy.random import default_rng

from aiosd.errors import InvalidArgument
from aiosd.simulation.workload import _gamma_cdf, lublin, poisson


def test_the_same_seed_makes_the_same_jobs() -> None:
    assert lublin(default_rng(7), 50, 64) == lublin(default_rng(7), 50, 64) != lublin(default_rng(8), 50, 64)
    assert poisson(default_rng(7), 50, 4, 0.8) == poisson(default_rng(7), 50, 4, 0.8)


def test_poisson_has_the_load_that_was_asked_for() -> None:
    jobs = poisson(default_rng(1), 20_000, 8, 0.7, mean_run_s=100)
    span_s = jobs[-1].submit_s
    assert sum(job.run_s for job in jobs) / (8 * span_s) == pytest.approx(0.7, rel=0.05)
    gaps_s = [b.submit_s - a.submit_s for a, b in pairwise(jobs)]
    mean_s = sum(gaps_s) / len(gaps_s)
    assert sum((gap_s - mean_s) ** 2 for gap_s in gaps_s) / len(gaps_s) / mean_s**2 == pytest.approx(1, rel=0.1)  # exponential
    assert {job.cpu_millis for job in jobs} == {1000}
    assert {job.gpu_millis for job in poisson(default_rng(1), 5, 8, 0.7, unit="gpu")} == {1000}


def test_lublin_has_the_published_proportions() -> None:
    jobs = lublin(default_rng(3), 20_000, 128)
    sizes = [job.cpu_millis // 1000 for job in jobs]
    assert all(1 <= size <= 128 for size in sizes)
    assert sizes.count(1) / len(sizes) == pytest.approx(0.244, abs=0.02)
    powers = sum(size > 1 and size & (size - 1) == 0 for size in sizes) / len(sizes)
    assert 0.576 - 0.02 < powers < 0.70  # some of the others are powers of two by chance
    runs_ln = [log(job.run_s) for job in jobs]
    assert max(runs_ln) <= 12
    expected = 0.72 * 4.2 * 0.94 + 0.28 * 312 * 0.03  # with the mean size of some ten processors
    assert sum(runs_ln) / len(runs_ln) == pytest.approx(expected, rel=0.08)
    assert all(job.limit_s == job.run_s for job in jobs)


def test_lublin_follows_the_day() -> None:
    jobs = lublin(default_rng(4), 20_000, 128)
    by_hour = [0] * 24
    first = int(jobs[0].submit_s)
    for job in jobs:
        by_hour[int(job.submit_s - first) // 3600 % 24] += 1
    assert max(by_hour) > 4 * max(1, min(by_hour))


def test_a_machine_of_one_processor() -> None:
    assert {job.cpu_millis for job in lublin(default_rng(1), 100, 1)} == {1000}
    assert {job.cpu_millis for job in lublin(default_rng(1), 200, 2)} == {1000, 2000}


def test_gamma_against_its_closed_form() -> None:
    for x in (0.1, 1.0, 5.0, 30.0):
        assert _gamma_cdf(x, 1, 2) == pytest.approx(1 - exp(-x / 2), rel=1e-12)  # shape 1: exponential
        assert _gamma_cdf(x, 2, 2) == pytest.approx(1 - exp(-x / 2) * (1 + x / 2), rel=1e-12)


@pytest.mark.parametrize(("jobs", "servers", "load"), [(0, 1, 0.5), (-1, 1, 0.5), (10**9, 1, 0.5), (1, 0, 0.5), (1, 1, 0), (1, 1, -1), (1, 1, float("nan"))])
def test_what_cannot_be_made(jobs: int, servers: int, load: float) -> None:
    with pytest.raises(InvalidArgument):
        poisson(default_rng(1), jobs, servers, load)
