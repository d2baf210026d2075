"""The formulas: against exact sums, published values, each other, and a simulator of the same systems."""

from collections.abc import Callable
from fractions import Fraction
from math import exp, factorial, inf, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiosd.errors import InvalidArgument
from aiosd.simulation.queueing import MOST_SERVERS, System, erlang_b, erlang_c, servers_for, smallest, steady, wait_quantile, wait_tail
from tests.unit.simulation.servers import Draw, interval, simulated

Law = Callable[[float], Draw]
LOADS = (Fraction(1, 10), Fraction(1, 2), Fraction(7, 10), Fraction(19, 20), Fraction(999, 1000))


def birth_and_death(servers: int, offered: Fraction) -> tuple[Fraction, Fraction, Fraction]:
    """Erlang's B and C and the mean number that wait, by summing the steady state of the chain; no recursion.

    Source: Kleinrock, "Queueing Systems I", 1975, sections 3.2, 3.5 and 3.6.
    """
    load = offered / servers
    terms = [offered**k / factorial(k) for k in range(servers + 1)]
    all_busy = terms[-1] / (1 - load)  # c, c + 1, ... customers: a geometric row
    delayed = all_busy / (sum(terms[:-1]) + all_busy)
    return terms[-1] / sum(terms), delayed, delayed * load / (1 - load)


@pytest.mark.parametrize("servers", range(1, 65))
def test_formulas_are_exact_in_rationals_and_close_in_floats(servers: int) -> None:
    for load in LOADS:
        offered = servers * load
        blocking, delayed, waiting = birth_and_death(servers, offered)
        assert erlang_b(servers, offered) == blocking
        assert erlang_c(servers, offered) == delayed
        exact = steady(System(servers, Fraction(1, 7), offered * 7))
        assert (exact.load, exact.utilisation, exact.delayed, exact.queue_mean) == (load, load, delayed, waiting)
        assert exact.wait_mean == waiting * 7  # Little
        close = steady(System(servers, 1 / 7, float(offered * 7)))
        assert close.wait_mean == pytest.approx(float(exact.wait_mean), rel=1e-10)
        assert close.delayed == pytest.approx(float(delayed), rel=1e-10)


@pytest.mark.parametrize(("servers", "offered"), [(1, 0.0101), (5, 1.3608), (10, 4.4612), (20, 12.03), (100, 84.064)])
def test_one_per_cent_of_calls_is_lost_at_the_loads_that_traffic_tables_print(servers: int, offered: float) -> None:
    assert erlang_b(servers, offered) == pytest.approx(0.01, rel=5e-4)


def test_one_server_is_pollaczek_and_khinchine() -> None:
    """Wq = rho s (1 + cs^2) / (2 (1 - rho)), exactly; of equal services half of what it is for exponential ones."""
    load, service = Fraction(3, 5), Fraction(10)
    for scv in (Fraction(0), Fraction(1), Fraction(13, 2)):
        assert steady(System(1, load / service, service, 1, scv)).wait_mean == load * service * (1 + scv) / (2 * (1 - load))


def test_broken_numbers_of_servers_join_the_whole_ones() -> None:
    for offered in (Fraction(1, 3), Fraction(2), Fraction(15)):
        assert erlang_b(3 - Fraction(1, 10**9), offered) == pytest.approx(float(erlang_b(3, offered)), rel=1e-6)
        along = [erlang_b(1 + Fraction(k, 10), offered) for k in range(40)]
        assert along == sorted(along, reverse=True)
    assert erlang_b(4.5, 3.0) == pytest.approx(0.1527953, rel=1e-4)  # Jagerman's 1 / (a int e^-at (1 + t)^x dt), by the trapezoid rule


@pytest.mark.parametrize("servers", [1, 3, 64, 4.7])
def test_what_is_not_stable_grows_without_end(servers: float) -> None:
    for rate in (servers, servers * 1.5, 1e17):
        system = System(servers, float(rate), 1.0)
        found = steady(system)
        assert found.load >= 1
        assert (found.utilisation, found.delayed, found.wait_mean, found.queue_mean) == (1.0, 1.0, inf, inf)
        assert wait_tail(system, 1e9) == 1.0
        assert wait_quantile(system, 0.01) == inf


@pytest.mark.parametrize(("rate", "service"), [(0.0, 60.0), (0.0, 0.0), (3.0, 0.0)])
def test_nobody_waits_where_nothing_comes_or_nothing_takes_time(rate: float, service: float) -> None:
    system = System(2, rate, service)
    found = steady(system)
    assert (found.utilisation, found.delayed, found.wait_mean, found.queue_mean) == (0.0, 0.0, 0.0, 0.0)
    assert wait_quantile(system, 0.999) == 0.0
    assert wait_tail(system, 0.0) == 0.0
    assert servers_for(system, 1.0) == 1


@pytest.mark.parametrize("servers", [0, -1, 0.5, nan, inf, MOST_SERVERS + 1, True])
def test_no_such_number_of_servers(servers: float) -> None:
    with pytest.raises(InvalidArgument, match="servers must be a number from 1 to 1000000"):
        System(servers, 1.0, 1.0)
    with pytest.raises(InvalidArgument, match="servers"):
        erlang_c(servers, 0.5)


@pytest.mark.parametrize("field", ["arrival_rate", "service_mean", "arrival_scv", "service_scv"])
@pytest.mark.parametrize("bad", [nan, inf, -inf, -1e-9, 1e300])
def test_no_such_system(field: str, bad: float) -> None:
    with pytest.raises(InvalidArgument, match=field.replace("_", " ")):
        System(1, **{"arrival_rate": 1.0, "service_mean": 0.5, field: bad})


def test_a_load_that_no_machine_has_is_refused_whole() -> None:
    with pytest.raises(InvalidArgument, match="offered load"):
        System(1, 1e15, 1e15)
    with pytest.raises(InvalidArgument, match="offered load"):
        erlang_b(3, Fraction(10) ** 400)


def test_quantiles_and_tails_are_each_other_turned_round() -> None:
    system = System(3, 0.9, 3.0)
    for part in (0.5, 0.9, 0.99, 0.999):
        assert wait_tail(system, wait_quantile(system, part)) == pytest.approx(1 - part)
    assert wait_quantile(system, 0.1) == 0.0  # more than a tenth need not wait
    assert wait_tail(System(1, 0.5, 1.0), 4.0) == pytest.approx(0.5 * exp(-2.0))  # rho e^(-(mu - lambda) t)
    for bad in (1.0, -0.1, nan):
        with pytest.raises(InvalidArgument, match="quantile"):
            wait_quantile(system, bad)
    with pytest.raises(InvalidArgument, match="wait must be"):
        wait_tail(system, nan)


def test_servers_for_a_target_are_enough_and_one_less_is_not() -> None:
    for rate, target in ((0.01, 600.0), (1.0, 600.0), (1.0, 1.0), (20.0, 1e-6)):
        system = System(1, rate, 300.0, 4.0, 2.0)
        count = servers_for(system, target)
        assert count is not None
        assert steady(System(count, rate, 300.0, 4.0, 2.0)).wait_mean <= target
        assert count == 1 or steady(System(count - 1, rate, 300.0, 4.0, 2.0)).wait_mean > target
    assert servers_for(System(1, 1e9, 1e6), 60.0) is None
    for bad in (0.0, nan, -1.0, inf):
        with pytest.raises(InvalidArgument, match="target wait"):
            servers_for(System(1, 1.0, 1.0), bad)


def test_servers_of_several_units_are_counted_in_units() -> None:
    one, two = servers_for(System(1, 1.0, 8.0), 5.0), servers_for(System(1, 1.0, 8.0), 5.0, units=2.0)
    assert one is not None
    assert two is not None
    assert 2 * one - 1 <= two <= 2 * one


@given(st.integers(1, 500), st.integers(1, 400), st.integers(0, 600), st.integers(0, 1200))
def test_the_smallest_that_is_enough_is_found_with_few_questions(answer: int, least: int, most_more: int, guess: int) -> None:
    asked: list[int] = []
    most = least + most_more
    found = smallest(lambda n: asked.append(n) or n >= answer, least, most, guess)
    assert found == (None if answer > most else max(answer, least))
    assert all(least <= n <= most for n in asked)
    assert len(asked) <= 2 * (most_more + 1).bit_length() + 2
    assert len(set(asked)) == len(asked)


def exponential(mean: float) -> Draw:
    return lambda generator, shape: generator.exponential(mean, shape)


def erlang_4(mean: float) -> Draw:
    """Squared coefficient of variation 1/4."""
    return lambda generator, shape: generator.gamma(4.0, mean / 4.0, shape)


def hyper(mean: float) -> Draw:
    """Two exponentials with balanced means, squared coefficient of variation 3."""
    first = 0.5 * (1 + 0.5**0.5)

    def draw(generator: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
        is_first = generator.random(shape) < first
        return np.where(is_first, generator.exponential(mean / (2 * first), shape), generator.exponential(mean / (2 * (1 - first)), shape))

    return draw


@pytest.mark.parametrize(("servers", "load"), [(1, 0.5), (1, 0.8), (2, 0.7), (5, 0.8), (8, 0.9), (32, 0.9)])
def test_m_m_c_is_what_twenty_simulations_show(servers: int, load: float) -> None:
    system = System(servers, servers * load, 1.0)
    waits = simulated(exponential(1 / (servers * load)), exponential(1.0), servers)
    exact = steady(system)
    for of_seeds, expected in (
        (waits.mean(axis=1), exact.wait_mean),
        ((waits > 0).mean(axis=1), exact.delayed),
        ((waits > 0.7).mean(axis=1), wait_tail(system, 0.7)),
        ((waits > wait_quantile(system, 0.95)).mean(axis=1), 0.05),
    ):
        low, high = interval(of_seeds)
        assert low <= expected <= high
        assert high - low < 0.45 * expected, "so wide an interval would hold anything"


def test_equal_services_at_one_server_are_what_twenty_simulations_show() -> None:
    waits = simulated(exponential(1 / 0.7), lambda _, shape: np.ones(shape), 1)
    low, high = interval(waits.mean(axis=1))
    assert low <= steady(System(1, 0.7, 1.0, 1, 0)).wait_mean <= high
    assert not low <= steady(System(1, 0.7, 1.0)).wait_mean <= high  # M/M/1 would not do


@pytest.mark.parametrize(
    ("gap", "gap_scv", "service", "service_scv", "error"),
    [
        (exponential, 1.0, erlang_4, 0.25, 0.03),
        (exponential, 1.0, hyper, 3.0, 0.03),
        (erlang_4, 0.25, exponential, 1.0, 0.13),
        (hyper, 3.0, exponential, 1.0, 0.1),
    ],
)
def test_allen_and_cunneen_come_close(gap: Law, gap_scv: float, service: Law, service_scv: float, error: float) -> None:
    """An approximation is in no interval: `error` is how near it comes here, and M/M/c is much further off."""
    mean = simulated(gap(1 / 3.4), service(1.0), 4).mean(axis=1).mean()
    assert steady(System(4, 3.4, 1.0, gap_scv, service_scv)).wait_mean == pytest.approx(mean, rel=error)
    assert abs(steady(System(4, 3.4, 1.0)).wait_mean - mean) > 0.4 * mean
