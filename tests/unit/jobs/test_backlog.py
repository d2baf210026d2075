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


def by_age(key: ClassKey) -> tuple[float, ...]:
    return ()


def by_priority(key: ClassKey) -> tuple[float, ...]:
    return (-key.priority,)


def test_who_is_ahead() -> None:
    backlog = Backlog()
    indices, _ = parse_array("0-9", 100)
    for number in (1, 2, 4):
        backlog.put(JobId(number), LOW, Entry(1, 0.0))
    backlog.put(JobId(3), LOW, Entry(10, 0.0, indices))
    assert backlog.ahead_of(JobId(4), 2, by_age) == ([JobId(3), JobId(2)], 12)
    assert backlog.ahead_of(JobId(3, 7), 9, by_age) == ([JobId(2), JobId(1)], 2), "its own array is not ahead of it"
    assert backlog.ahead_of(JobId(9), 9, by_age) == ([], 0)
    backlog.put(JobId(3), LOW, Entry(4, 0.0, indices.drop_first(6)))
    assert backlog.ahead_of(JobId(4), 9, by_age)[1] == 6
    backlog.drop(JobId(3))
    assert backlog.ahead_of(JobId(4), 9, by_age)[1] == 2


def test_other_classes_are_ahead_by_rank_and_then_by_age() -> None:
    backlog = Backlog()
    for number, key in ((1, LOW), (2, HIGH), (3, LOW), (4, HIGH), (5, LOW)):
        backlog.put(JobId(number), key, Entry(1, 0.0))
    assert backlog.ahead_of(JobId(3), 9, by_priority) == ([JobId(1), JobId(4), JobId(2)], 3)
    assert backlog.ahead_of(JobId(4), 9, by_priority) == ([JobId(2)], 1)
    assert backlog.ahead_of(JobId(4), 2, by_age) == ([JobId(3), JobId(2)], 3)
    assert backlog.ahead_of(JobId(3), 9, lambda key: () if key == LOW else None) == ([JobId(1)], 1), "who is not in the line is not ahead"


def test_who_is_ahead_costs_little_however_many_wait() -> None:
    backlog = Backlog()
    for number in range(1, 20_001):
        backlog.put(JobId(number), LOW, Entry(1, 0.0))
    assert backlog.classes[LOW].several == {}, "only arrays are summed up"
    assert backlog.ahead_of(JobId(20_000), 3, by_age) == ([JobId(19_999), JobId(19_998), JobId(19_997)], 19_999)


def test_a_class_may_take_the_place_of_another_that_is_gone() -> None:
    """Lower numbers are older: the oldest of the one comes to the other, after that has changed itself."""
    backlog = Backlog()
    for number, key in ((7, LOW), (5, HIGH)):
        backlog.put(JobId(number), key, Entry(1, 0.0))
    assert [lane.count for lane in backlog.lanes.at(0.0)] == [2]
    for number in (7, 5):
        backlog.put(JobId(number), LOW, Entry(1, 0.0))
    assert [lane.count for lane in backlog.lanes.at(0.0)] == [2]
    backlog.drop(JobId(5))
    assert [lane.count for lane in backlog.lanes.at(0.0)] == [1]
