"""What is read of a history, and the same history with more or fewer arrivals."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiosd.errors import FailedPrecondition
from aiosd.simulation.past import Past, more_arrivals, past_of
from aiosd.simulation.records import Machine, TraceJob
from aiosd.simulation.rows import RawTrace, Row

DAY_S = 86_400.0


def row(at_s: float, run_s: float = 60.0, waited_s: float | None = 5.0, **more: float) -> Row:
    return Row(1, at_s, run_s, cpu_millis=more.get("cpu", 1000.0), gpu_millis=more.get("gpu"), memory_bytes=more.get("memory"), waited_s=waited_s, user="ann")


def test_rows_become_jobs_in_the_order_in_which_they_could_start() -> None:
    past = past_of(RawTrace("history", [row(200.0, waited_s=7.5), row(100.0, gpu=2000.0, memory=1e9)]))
    assert [job.submit_s for job in past.jobs] == [100.0, 200.0]
    assert past.jobs[0] == TraceJob(100.0, 60.0, 1000, 1_000_000_000, 2000, 0.0, "ann")
    assert list(past.waits_s) == [5.0, 7.5]
    assert past.notes == ()


def test_rows_that_cannot_be_are_left_out_and_counted() -> None:
    """A clock that was set back makes runs of negative length; a job that never ran has none."""
    bad = [row(1.0, run_s=0.0), row(2.0, run_s=-5.0), row(3.0, waited_s=None), row(4.0, waited_s=-1.0), row(5.0, cpu=0.0)]
    past = past_of(RawTrace("history", [row(9.0), *bad]))
    assert len(past.jobs) == 1
    assert past.notes == ("5 of 6 jobs have impossible times (the clock was set?) or never ran, and are left out",)
    with pytest.raises(FailedPrecondition, match="no job has ended yet"):
        past_of(RawTrace("history", bad))


def test_what_the_machine_could_not_run_is_left_out_with_its_wait() -> None:
    past = past_of(RawTrace("history", [row(1.0, cpu=9000.0, waited_s=1.0), row(2.0, waited_s=2.0)]))
    kept = past.within(Machine(cpu_millis=4000))
    assert (list(kept.waits_s), len(kept.jobs)) == ([2.0], 1)
    assert kept.notes == ("1 of 2 jobs ask for more than 4 processors, and are left out",)
    assert past.within(Machine(cpu_millis=9000)) is past


def days(count: int, seed: int = 1, jobs: int = 400) -> list[TraceJob]:
    """Arrivals at noon only, give or take half an hour."""
    random = np.random.default_rng(seed)
    times = np.sort(random.integers(0, count, jobs) * DAY_S + DAY_S / 2 + random.uniform(-1800, 1800, jobs))
    return [TraceJob(at, 60.0 + number, 1000) for number, at in enumerate(times.tolist())]


@pytest.mark.parametrize("factor", [0.3, 1.5, 2.0, 3.7])
def test_more_arrivals_are_as_many_more_over_the_same_time_at_the_same_hours(factor: float) -> None:
    jobs = days(20)
    made = more_arrivals(jobs, factor, seed=3)
    assert len(made) == pytest.approx(factor * len(jobs), abs=4 * (len(jobs) * 0.25) ** 0.5)
    assert [job.submit_s for job in made] == sorted(job.submit_s for job in made)
    assert jobs[0].submit_s <= made[0].submit_s
    assert made[-1].submit_s <= jobs[-1].submit_s
    assert all(abs(job.submit_s % DAY_S - DAY_S / 2) <= 3600 for job in made)
    assert made == more_arrivals(jobs, factor, seed=3)
    if factor % 1:
        assert made != more_arrivals(jobs, factor, seed=4)


def test_bursts_come_more_often_and_not_twice_as_large() -> None:
    jobs = days(20)
    made = more_arrivals(jobs, 2.0, seed=0)
    assert len({(job.submit_s, job.run_s) for job in made}) == len(made), "the copy was moved"


@given(st.floats(0.01, 5.0), st.integers(0, 2**64 - 1), st.lists(st.floats(0, 1e7), max_size=20))
def test_any_past_can_have_more_or_fewer(factor: float, seed: int, times: list[float]) -> None:
    jobs = [TraceJob(at, 1.0, 1000) for at in sorted(times)]
    made = more_arrivals(jobs, factor, seed)
    assert int(factor) * len(jobs) <= len(made) <= (int(factor) + 1) * len(jobs)
    assert all(jobs[0].submit_s <= job.submit_s <= jobs[-1].submit_s for job in made)


def test_the_past_as_it_was_is_not_copied() -> None:
    jobs = days(3)
    assert more_arrivals(jobs, 1.0, seed=5) is jobs
    assert isinstance(Past(jobs, [0.0] * len(jobs)).jobs, list)


def test_of_a_long_past_the_newest_are_looked_at() -> None:
    jobs = days(5, jobs=50)
    past = Past(jobs, [float(at) for at in range(50)], ("before",))
    newest = past.newest(10)
    assert (list(newest.jobs), list(newest.waits_s)) == (jobs[40:], [float(at) for at in range(40, 50)])
    assert newest.notes == ("before", "of 50 jobs only the newest 10 are looked at")
    assert past.newest(50) is past
