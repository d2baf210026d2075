"""Lanes keep the order of the policy from pass to pass: classes move when they change, and when their time has come."""

from aiosd.ids import JobId
from aiosd.scheduling.lanes import SWEPT_FROM, Lanes, lane_of
from aiosd.scheduling.policy import Basis, JobClass
from aiosd.scheduling.registry import POLICIES
from aiosd.scheduling.rules import PriorityWeights, SchedulingRules
from tests.unit.scheduling.worlds import Waiting, ask, key, machine, waiting

RULES = SchedulingRules(weights=PriorityWeights(age_max_s=1000.0))


def lanes_of(name: str = "priority") -> Lanes:
    return Lanes(POLICIES[name].within(Basis(RULES, {}, machine())), RULES)


def order(lanes: Lanes, now_s: float) -> list[int]:
    """The oldest of each class, lane by lane."""
    return [job_class.oldest.number for lane in lanes.at(now_s) for _, job_class in lane]


def test_a_class_moves_when_its_time_has_come() -> None:
    lanes = lanes_of()
    low, high = waiting(key(ask(1), priority=-5), 1), Waiting(key(ask(1), priority=5), [JobId(2)], since={JobId(2): 500.0})
    for job_class in (low, high):
        lanes.changed(job_class)
    assert order(lanes, 999.0) == [2, 1]
    assert order(lanes, 1000.0) == [1, 2], "it is overdue, though nothing has changed"
    assert order(lanes, 1500.0) == [1, 2], "so is the other: the oldest first"


def test_the_age_of_a_class_is_that_of_its_oldest() -> None:
    lanes = lanes_of()
    several = Waiting(key(ask(1), priority=-5), [JobId(1), JobId(3)], since={JobId(3): 900.0})
    other = Waiting(key(ask(2), priority=5), [JobId(2)], since={JobId(2): 800.0})
    lanes.changed(several)
    lanes.changed(other)
    assert order(lanes, 1001.0) == [1, 2]
    several.ids = [JobId(3)]
    lanes.changed(several)
    assert order(lanes, 1002.0) == [2, 3], "the oldest has started: the next is not overdue yet"
    assert order(lanes, 1900.0) == [2, 3]


def test_an_empty_class_leaves_and_an_empty_lane_too() -> None:
    lanes = lanes_of("fair")
    one, two = waiting(key(ask(1)), 1), waiting(key(ask(1), user="bob"), 2)
    for job_class in (one, two):
        lanes.changed(job_class)
    assert [lane.key for lane in lanes.at(0.0)] == [lane_of(one.key), lane_of(two.key)]
    one.ids = []
    lanes.changed(one)
    assert [(lane.key, lane.count) for lane in lanes.at(0.0)] == [(lane_of(two.key), 1)]
    assert order(lanes, 5000.0) == [2], "its alarm does not bring it back"


def test_alarms_of_classes_that_are_gone_do_not_pile_up() -> None:
    lanes = lanes_of()
    kept: JobClass = waiting(key(ask(1)), 1)
    lanes.changed(kept)
    for number in range(3 * SWEPT_FROM):
        passing = waiting(key(ask(1), priority=number + 1), number + 2)
        lanes.changed(passing)
        lanes.at(0.0)
        passing.ids = []
        lanes.changed(passing)
        lanes.at(0.0)
    assert len(lanes._expiring) <= SWEPT_FROM + 2
    assert order(lanes, 2000.0) == [1]
