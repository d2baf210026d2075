"""Alarms on two clocks."""

from aiosd.clock import Instant
from aiosd.ids import JobId
from aiosd.jobs.timers import MOST_STALE, Due, Timers


def test_each_clock_rings_its_own_alarms_in_order() -> None:
    timers = Timers()
    timers.at_wall(100.0, JobId(1), 0, Due.ELIGIBLE)
    timers.at_steady(50.0, JobId(2), 1, Due.KILL)
    timers.at_steady(40.0, JobId(3), 1, Due.TIME_LIMIT)
    assert timers.pop_due(Instant(99.0, 39.0)) == []
    assert timers.pop_due(Instant(100.0, 39.0)) == [(JobId(1), 0, Due.ELIGIBLE)]
    assert timers.pop_due(Instant(0.0, 60.0)) == [(JobId(3), 1, Due.TIME_LIMIT), (JobId(2), 1, Due.KILL)]
    assert timers.next_in_s(Instant(0.0, 0.0)) is None


def test_the_wall_is_looked_at_every_minute_for_it_may_jump() -> None:
    timers = Timers()
    timers.at_wall(1e6, JobId(1), 0, Due.DEADLINE)
    assert timers.next_in_s(Instant(0.0, 0.0)) == 60.0
    timers.at_steady(5.0, JobId(2), 1, Due.KILL)
    assert timers.next_in_s(Instant(0.0, 0.0)) == 5.0 and timers.next_in_s(Instant(0.0, 9.0)) == 0.0


def test_alarms_of_what_is_over_do_not_pile_up() -> None:
    timers = Timers()
    for number in range(5 * MOST_STALE):
        timers.at_steady(1e6 + number, JobId(number), 1, Due.TIME_LIMIT)
        timers.prune(lambda job_id, attempt, latest=number: job_id.number > latest - 3)  # type: ignore[misc]
    assert len(timers.steady) <= MOST_STALE + 10
    left = [job_id.number for job_id, _, _ in timers.pop_due(Instant(0.0, 2e6))]
    assert left == sorted(left) and left[-1] == 5 * MOST_STALE - 1
