"""The startable jobs by class: counts, order, and who is ahead of whom."""

from aiosd.ids import JobId
from aiosd.jobs.backlog import Backlog, Entry
from aiosd.jobs.ranges import parse_array
from aiosd.resources.request import Request
from aiosd.scheduling.policy import ClassKey

LOW, HIGH = (ClassKey("default", "alice", "", priority, Request(1000, 0)) for priority in (0, 5))


def test_classes_come_go_and_count() -> None:
    backlog = Backlog()
    indices, _ = parse_array("0-9", 100)
    backlog.put(JobId(2), LOW, Entry(3, 5.0, indices))
    backlog.put(JobId(1), LOW, Entry(1, 7.0))
    assert list(backlog.classes[LOW]) == [JobId(1), JobId(2, 0), JobId(2, 1), JobId(2, 2)]
    assert (backlog.classes[LOW].count, backlog.classes[LOW].oldest, backlog.classes[LOW].eligible_at_s) == (4, JobId(1), 7.0)
    backlog.put(JobId(2), LOW, Entry(1, 5.0, indices.drop_first(4)))
    assert list(backlog.classes[LOW]) == [JobId(1), JobId(2, 4)] and backlog.classes[LOW].count == 2
    backlog.put(JobId(1), HIGH, Entry(1, 7.0))
    assert (backlog.classes[LOW].count, backlog.classes[HIGH].count) == (1, 1)
    assert backlog.drop(JobId(1)) and not backlog.drop(JobId(1))
    assert backlog.classes.keys() == {LOW} and backlog.where.keys() == {JobId(2)}


def test_who_is_ahead() -> None:
    backlog = Backlog()
    indices, _ = parse_array("0-9", 100)
    for number in (1, 2, 4):
        backlog.put(JobId(number), LOW, Entry(1, 0.0))
    backlog.put(JobId(3), LOW, Entry(10, 0.0, indices))
    assert backlog.ahead_of(JobId(4), 2) == ([JobId(3), JobId(2)], 12)
    assert backlog.ahead_of(JobId(3, 7), 9) == ([JobId(2), JobId(1)], 2), "its own array is not ahead of it"
    assert backlog.ahead_of(JobId(9), 9) == ([], 0)
