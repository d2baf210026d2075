"""What came out, in numbers that can be done by hand."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiosd.simulation.metrics import bounded_slowdown, jain, measure, quantile, series
from aiosd.simulation.records import Machine, TraceJob

MACHINE = Machine(4000)


def job(submit_s: float, run_s: float, cpus: int = 1, user: str = "a") -> TraceJob:
    return TraceJob(submit_s, run_s, 1000 * cpus, user=user)


def test_by_hand() -> None:
    jobs = [job(0, 100, 4, "a"), job(0, 50, 2, "b"), job(10, 5, 2, "b")]
    found = measure(jobs, [0, 100, 100], MACHINE)
    assert (found.jobs, found.users, found.makespan_s) == (3, 2, 150)
    assert found.wait_mean_s == pytest.approx(190 / 3)
    assert found.flow_mean_s == pytest.approx((100 + 150 + 95) / 3)
    assert (found.bounded_slowdown_mean, found.bounded_slowdown_max) == (pytest.approx((1 + 3 + 9.5) / 3), 9.5)
    assert found.utilisation == pytest.approx((400 + 100 + 10) / (4 * 150))
    assert (found.wait_p50_s, found.wait_p95_s, found.wait_max_s) == (90, 100, 100)
    assert found.user_spread == pytest.approx(6.25)
    assert found.fairness == pytest.approx(7.25**2 / (2 * (1 + 6.25**2)))


def test_a_short_run_counts_as_ten_seconds() -> None:
    assert (bounded_slowdown(0, 1), bounded_slowdown(100, 1), bounded_slowdown(100, 100)) == (1, 10.1, 2)


def test_nothing_at_all() -> None:
    assert measure([], [], MACHINE).jobs == 0
    assert series([], [], MACHINE, 10) == []


def test_utilisation_is_that_of_the_scarcest() -> None:
    jobs = [TraceJob(0, 10, 1000, 0, 2000)]
    assert measure(jobs, [0], Machine(64000, 0, 2)).utilisation == 1
    assert measure(jobs, [0], Machine()).utilisation == 0


def test_series_by_hand() -> None:
    points = series([job(0, 50, 4), job(0, 50, 2)], [0, 50], MACHINE, 4)
    assert [(p.at_s, p.wait_mean_s, p.utilisation, p.queued) for p in points] == [
        (12.5, 25, 1, 1), (37.5, 0, 1, 1), (62.5, 0, 0.5, 0), (87.5, 0, 0.5, 0),
    ]  # fmt: skip


def test_quantiles() -> None:
    assert [quantile([1, 2, 3, 4], part) for part in (0, 0.25, 0.26, 0.5, 1)] == [1, 1, 2, 2, 4]


def test_jain() -> None:
    assert (jain([]), jain([5, 5, 5]), jain([1, 0, 0, 0])) == (1, 1, 0.25)


numbers = st.floats(0, 1e4, allow_nan=False).map(lambda value: round(value, 3))


@given(st.lists(st.tuples(numbers, numbers, st.floats(0.001, 1e4), st.integers(1, 4), st.sampled_from("abc")), min_size=1, max_size=20), st.integers(1, 9))
def test_series_add_up_to_what_was_measured(rows: list[tuple[float, float, float, int, str]], points: int) -> None:
    rows.sort()
    jobs = [job(submit_s, run_s, cpus, user) for submit_s, _, run_s, cpus, user in rows]
    starts_s = [submit_s + wait_s for submit_s, wait_s, *_ in rows]
    found, over_time = measure(jobs, starts_s, MACHINE), series(jobs, starts_s, MACHINE, points)
    assert sum(point.utilisation for point in over_time) / points == pytest.approx(found.utilisation, rel=1e-6, abs=1e-6)
    assert sum(point.queued for point in over_time) / points * found.makespan_s == pytest.approx(found.wait_mean_s * len(jobs), rel=1e-6, abs=1e-3)
    assert all(a.at_s < b.at_s for a, b in pairwise(over_time))
    assert 0 < found.fairness <= 1 + 1e-9
    assert found.user_spread >= 1
