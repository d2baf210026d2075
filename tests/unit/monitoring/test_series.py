"""Series that stay within their bounds, and rates between two looks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiosd.monitoring.series import Points, Samples, Totals, sample_between
from aiosd.monitoring.stats import Sample


def sample(n: int, memory_bytes: int = 7) -> Sample:
    return Sample(float(n), float(n % 2), memory_bytes, processes=1)


def test_rates_are_over_the_interval() -> None:
    before = Totals(100.0, 10.0, cpu_user_s=1.0, read_bytes=500)
    now = Totals(90.0, 12.0, cpu_user_s=3.0, cpu_system_s=1.0, memory_bytes=77, read_bytes=1500, write_bytes=10, processes=3, gpu_permille=5)
    got = sample_between(before, now)
    assert got == Sample(90.0, 1500.0, 77, 500, 5, 5, 0, 3)  # the wall clock went back; it does not matter


def test_a_counter_that_falls_stands_still() -> None:
    got = sample_between(Totals(0.0, 0.0, cpu_user_s=5.0, read_bytes=9), Totals(1.0, 1.0, cpu_user_s=4.0, read_bytes=3))
    assert got is not None
    assert (got.cpu_millis, got.read_bytes_per_s) == (0.0, 0)


def test_no_time_no_rate() -> None:
    assert sample_between(Totals(0.0, 5.0), Totals(1.0, 5.0)) is None


def test_it_merges_and_goes_on_at_half_the_rate() -> None:
    series = Samples(capacity=4)
    for n in range(4):
        series.add(sample(n, memory_bytes=n))
    assert [(s.at_s, s.cpu_millis, s.memory_bytes) for s in series.all()] == [(1.0, 0.5, 1), (3.0, 0.5, 3)]
    series.add(sample(4))
    assert [s.at_s for s in series.all()] == [1.0, 3.0, 4.0]
    series.add(sample(5))
    assert [s.at_s for s in series.all()] == [1.0, 3.0, 5.0]


@given(count=st.integers(0, 3000), capacity=st.sampled_from([2, 4, 16, 512]))
def test_it_is_bounded_ordered_and_whole(count: int, capacity: int) -> None:
    series = Samples(capacity)
    for n in range(count):
        series.add(sample(n, memory_bytes=n))
    times = [s.at_s for s in series.all()]
    assert len(times) <= capacity
    assert times == sorted(set(times))
    if count:
        assert times[-1] == count - 1
        assert max(s.memory_bytes for s in series.all()) == count - 1
    if count >= capacity:
        assert len(times) >= capacity // 2


def test_a_mean_is_of_all_that_was_merged() -> None:
    series = Samples(capacity=2)
    for n in range(64):
        series.add(Sample(float(n), float(n), 0))
    assert [s.cpu_millis for s in series.all()] == [31.5]


@given(count=st.integers(0, 3000), capacity=st.sampled_from([2, 3, 10, 512]))
def test_points_are_real_ones_and_the_newest_is_there(count: int, capacity: int) -> None:
    points = Points(capacity)
    for n in range(count):
        points.add(float(n), -float(n))
    steps, values = points.columns()
    assert len(steps) <= capacity
    assert list(steps) == sorted(set(steps))
    assert values == tuple(-step for step in steps)
    if count:
        assert (steps[0], steps[-1]) == (0.0, count - 1)
    if count <= capacity - 1:
        assert len(steps) == count


@pytest.mark.parametrize("capacity", [0, 1, 3])
def test_capacities_that_make_no_sense(capacity: int) -> None:
    with pytest.raises(ValueError, match="capacity"):
        Samples(capacity)
