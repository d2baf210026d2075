"""What is said of a history: true streams pass as often as they should, and each way to be another one is noticed."""

from collections.abc import Sequence
from math import inf, nan

import numpy as np
import pytest

from aiosd.errors import FailedPrecondition, InvalidArgument
from aiosd.simulation.fitting import LEAST, Check, Fit, Verdict, fit, lilliefors_p, p_text, spread
from aiosd.simulation.records import Machine
from tests.unit.simulation.traces import trace

DAY_S = 86_400.0


def stream(gaps: Sequence[float] | np.ndarray, services: Sequence[float] | np.ndarray | float = 100.0, seed: int = 9) -> Fit:
    """The fit of arrivals with these gaps; services are given, or exponential with a mean."""
    arrivals = np.concatenate(([0.0], np.cumsum(gaps)))
    if isinstance(services, float):
        services = np.random.default_rng(seed).exponential(services, len(arrivals))
    return fit(list(zip(arrivals.tolist(), np.asarray(services).tolist(), strict=True)), 4)


def check(found: Fit, assumption: str) -> Check:
    return next(one for one in found.checks if one.assumption == assumption)


@pytest.mark.parametrize(("star", "p_value"), [(0.926, 0.15), (0.990, 0.10), (1.094, 0.05), (1.190, 0.025), (1.308, 0.01)])
def test_the_table_agrees_with_the_published_one(star: float, p_value: float) -> None:
    count = 200
    distance = star / (count**0.5 + 0.26 + 0.5 / count**0.5) + 0.2 / count
    assert lilliefors_p(distance, count) == pytest.approx(p_value, rel=0.13)


@pytest.mark.parametrize("count", [30, 300])
def test_chance_alone_is_rejected_as_often_as_it_says(count: int) -> None:
    samples = np.random.default_rng(7).exponential(3.0, (3000, count)).tolist()
    p_values = np.array([spread(sample).p_value for sample in samples])
    for level in (0.01, 0.05, 0.1, 0.3, 0.5):
        off = 3 * (level * (1 - level) / len(samples)) ** 0.5
        assert (p_values <= level).mean() == pytest.approx(level, abs=off + 0.003)


def test_outside_the_table_it_says_its_ends() -> None:
    assert lilliefors_p(1.0, 50) == 0.0001
    assert lilliefors_p(0.0, 50) == 0.99
    assert [p_text(p) for p in (0.0001, 0.001, 0.0321, 0.5, 0.7)] == ["p < 0.001", "p = 0.001", "p = 0.032", "p = 0.5", "p > 0.5"]


def test_a_spread_is_mean_and_variation() -> None:
    found = spread([1.0, 2.0, 3.0, 6.0])
    assert (found.count, found.mean) == (4, 3.0)
    assert found.scv == pytest.approx((4 + 1 + 0 + 9) / 3 / 9)
    assert found.distance == pytest.approx(1 - np.exp(-1 / 3))  # just before the first


def test_poisson_arrivals_and_exponential_services_pass() -> None:
    passed = 0
    for seed in range(20):
        found = stream(np.random.default_rng(seed).exponential(600.0, 1000), 900.0, seed + 100)
        passed += found.is_markovian
        assert found.arrival_rate == pytest.approx(1 / 600, rel=0.12)
        assert found.load == pytest.approx(900 / 600 / 4, rel=0.2)
    assert passed >= 17  # five tests at one per cent each


def test_bursts_are_not_poisson() -> None:
    """What the issue names: a stream of bursts has a coefficient of variation of 12."""
    random = np.random.default_rng(3)
    gaps = np.where(random.random(4000) < 0.01, random.exponential(10_000.0, 4000), random.exponential(1.0, 4000))
    found = stream(gaps)
    poisson = check(found, "Poisson arrivals")
    assert poisson.verdict is Verdict.FAILS
    assert poisson.sentence == f"arrivals are not Poisson (CV {found.gaps.cv:.2f}; KS p < 0.001): treat M/M/c as a first guess"
    assert 10 < found.gaps.cv < 15
    assert not found.is_markovian
    assert check(found, "exponential run times").verdict is Verdict.HOLDS


@pytest.mark.parametrize("services", [np.full(501, 60.0), np.random.default_rng(1).lognormal(3.0, 2.0, 501), np.random.default_rng(1).gamma(4.0, 5.0, 501)])
def test_run_times_that_are_not_exponential(services: np.ndarray) -> None:
    found = stream(np.random.default_rng(2).exponential(60.0, 500), services)
    assert check(found, "exponential run times").verdict is Verdict.FAILS
    assert check(found, "exponential run times").sentence.startswith("run times are not exponential (CV ")
    assert check(found, "Poisson arrivals").verdict is Verdict.HOLDS


def test_of_many_samples_a_slight_departure_is_significant_and_said_to_be_slight() -> None:
    gaps = np.random.default_rng(4).weibull(0.95, 50_000) * 60.0
    poisson = check(stream(gaps), "Poisson arrivals")
    assert poisson.p_value < 0.001
    assert poisson.verdict is Verdict.NEARLY
    assert poisson.sentence.startswith("arrivals are nearly Poisson (CV 1.05; KS p < 0.001, but no more than 0.0")


def test_gaps_that_depend_on_each_other() -> None:
    random = np.random.default_rng(5)
    busy = np.repeat(random.random(100) < 0.5, 20)
    long_bursts = stream(random.exponential(np.where(busy, 10.0, 600.0)))
    assert check(long_bursts, "independent gaps").verdict is Verdict.FAILS
    assert "bursts and lulls last longer" in check(long_bursts, "independent gaps").sentence
    in_turns = stream([10.0, 500.0] * 100)
    assert check(in_turns, "independent gaps").value == pytest.approx(-1.0, abs=0.02)
    assert "tends to be followed by a long one" in check(in_turns, "independent gaps").sentence


def test_a_trend_is_noticed_in_both_directions() -> None:
    gaps = np.random.default_rng(6).exponential(np.linspace(300.0, 100.0, 1000))
    rising, falling = check(stream(gaps), "no trend"), check(stream(gaps[::-1]), "no trend")
    assert rising.verdict is falling.verdict is Verdict.FAILS
    assert rising.value > 0 > falling.value
    assert "arrivals become more frequent with time" in rising.sentence
    assert "arrivals become less frequent with time" in falling.sentence


def test_a_day_is_noticed_where_there_are_days() -> None:
    random = np.random.default_rng(8)
    times = np.sort(random.random(6000) * 10 * DAY_S)
    wave = 1 + 0.8 * np.cos(2 * np.pi * (times / DAY_S - 15 / 24))  # busiest at 15:00
    times = times[random.random(6000) * 1.8 < wave]
    found = check(fit([(at, 5.0 + at % 7) for at in times.tolist()], 1), "no time of day")
    assert found.verdict is Verdict.FAILS
    assert found.value == pytest.approx(0.8, abs=0.06)
    assert "busiest about 15:00 UTC, 1.8 times the mean rate" in found.sentence
    short = fit([(at, 5.0 + at % 7) for at in times.tolist() if at < 2.9 * DAY_S], 1)
    assert all(one.assumption != "no time of day" for one in short.checks)


def test_equal_gaps_are_no_trouble() -> None:
    found = stream([60.0] * 200, [30.0] * 201)
    assert (found.gaps.cv, found.services.cv, found.load) == (0.0, 0.0, 0.125)
    assert check(found, "no trend").verdict is Verdict.HOLDS
    assert check(found, "Poisson arrivals").verdict is Verdict.FAILS


def test_arrivals_come_in_any_order() -> None:
    pairs = [(float(at), float(at % 13)) for at in np.random.default_rng(0).permutation(500)]
    assert fit(pairs, 2) == fit(sorted(pairs), 2)


def test_what_cannot_be_fitted_is_said() -> None:
    with pytest.raises(FailedPrecondition, match=f"29 samples are too few to fit anything: at least {LEAST} are needed"):
        fit([(float(at), 1.0) for at in range(29)], 1)
    with pytest.raises(FailedPrecondition, match="all 40 arrived in the same instant"):
        fit([(5.0, 1.0)] * 40, 1)
    with pytest.raises(FailedPrecondition, match="no service took any time"):
        fit([(float(at), 0.0) for at in range(40)], 1)
    for bad in ((nan, 1.0), (inf, 1.0), (1.0, nan), (1.0, -1.0), (1.0, inf)):
        with pytest.raises(InvalidArgument, match="finite"):
            fit([*((float(at), 1.0) for at in range(40)), bad], 1)


@pytest.mark.parametrize(
    ("name", "machine", "unit"),
    [
        ("hpc_kth_sp2", Machine(100_000), "cpu"),
        ("hpc_nasa_ipsc", Machine(128_000), "cpu"),
        ("gpu_philly_vc1", Machine(gpus=64), "gpu"),
        ("gpu_philly_vc3", Machine(gpus=64), "gpu"),
    ],
)
def test_no_real_workload_is_markovian(name: str, machine: Machine, unit: str) -> None:
    found = fit([(job.submit_s, job.run_s) for job in trace(name, machine, unit)], 8)
    for assumption in ("Poisson arrivals", "exponential run times"):
        assert check(found, assumption).verdict is Verdict.FAILS
    assert found.gaps.cv > 3
    assert "treat M/M/c as a first guess" in check(found, "Poisson arrivals").sentence
