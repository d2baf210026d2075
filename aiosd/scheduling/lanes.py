"""The classes of waiting jobs, lane by lane in the order of the policy in force, kept from pass to pass."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from itertools import count
from math import inf

from sortedcontainers import SortedDict

from aiosd.ids import JobId
from aiosd.scheduling.policy import ClassKey, JobClass, LaneKey, Rank, Within
from aiosd.scheduling.rules import SchedulingRules

SWEPT_FROM = 1000  # alarms


@dataclass(frozen=True, slots=True)
class PlainLane:
    """These classes in this order. Implements Lane."""

    key: LaneKey
    classes: Sequence[tuple[Rank, JobClass]]

    @property
    def count(self) -> int:
        return sum(job_class.count for _, job_class in self.classes)

    def __iter__(self) -> Iterator[tuple[Rank, JobClass]]:
        return iter(self.classes)


class SortedLane:
    """Classes that come and go, kept in order. Implements Lane."""

    def __init__(self, key: LaneKey) -> None:
        self.key = key
        self.classes: SortedDict = SortedDict()  # (rank, oldest) -> class; changed by `put` and `drop` alone
        self._only: tuple[tuple[Rank, JobClass], ...] = ()  # what is yielded where there is one; (): to be looked up

    def put(self, place: tuple[Rank, JobId], job_class: JobClass) -> None:
        self.classes[place] = job_class
        self._only = ()

    def drop(self, place: tuple[Rank, JobId]) -> None:
        del self.classes[place]
        self._only = ()

    @property
    def count(self) -> int:
        return sum(job_class.count for job_class in self.classes.values())

    def __iter__(self) -> Iterator[tuple[Rank, JobClass]]:
        classes = self.classes
        if len(classes) == 1:  # where many have a few jobs each, most lanes are like this: a generator costs more than what it yields
            if not self._only:
                (rank, _), job_class = classes.peekitem(0)
                self._only = ((rank, job_class),)
            return iter(self._only)
        return ((place[0], classes[place]) for place in classes)


class Lanes:
    """A change costs the logarithm of the number of classes, and is worked in when the lanes are next asked for."""

    def __init__(self, within: Within, rules: SchedulingRules) -> None:
        self._within = within
        self._rules = rules
        self._lanes: dict[LaneKey, SortedLane] = {}
        self._places: dict[ClassKey, tuple[Rank, JobId]] = {}
        self._changed: dict[ClassKey, JobClass] = {}
        self._expiring: list[tuple[float, int, ClassKey]] = []
        self._alarms: dict[ClassKey, float] = {}  # the earliest that is set for each
        self._set = count()

    def changed(self, job_class: JobClass) -> None:
        """A job has joined or left the class; one without any leaves its lane."""
        self._changed[job_class.key] = job_class

    def at(self, now_s: float) -> Sequence[SortedLane]:
        """The lanes in which anybody waits."""
        for key in self._changed:  # all before any comes in: one may take the place of another, whose oldest job it has got
            self._leave(key)
        for key, job_class in self._changed.items():
            self._enter(key, job_class, now_s)
        self._changed.clear()
        while self._expiring and self._expiring[0][0] <= now_s:
            at_s, _, key = heappop(self._expiring)
            if self._alarms.get(key) == at_s:
                del self._alarms[key]
            place = self._places.get(key)
            if place is not None:
                job_class = self._lanes[lane_of(key)].classes[place]
                self._leave(key)
                self._enter(key, job_class, now_s)
        return list(self._lanes.values())

    def rank_of(self, job_class: JobClass, now_s: float) -> Rank:
        """Where a class would stand in its lane, were it there."""
        return self._within(job_class, self._rules, now_s)[0]

    def _leave(self, key: ClassKey) -> None:
        """Out of its old place."""
        old = self._places.pop(key, None)
        if old is not None:
            self._lanes[lane_of(key)].drop(old)

    def _enter(self, key: ClassKey, job_class: JobClass, now_s: float) -> None:
        """Into the one that it has now."""
        lane = self._lanes.get(lane_of(key))
        if job_class.count > 0:
            if lane is None:
                lane = self._lanes[lane_of(key)] = SortedLane(lane_of(key))
            rank, until_s = self._within(job_class, self._rules, now_s)
            place = self._places[key] = rank, job_class.oldest
            lane.put(place, job_class)
            self._look_again(key, until_s)
        elif lane is not None and not lane.classes:
            del self._lanes[lane_of(key)]

    def _look_again(self, key: ClassKey, at_s: float) -> None:
        """Its rank holds until then. What was set for classes that are gone is swept out now and then."""
        if at_s == inf or self._alarms.get(key, inf) <= at_s:
            return
        self._alarms[key] = at_s
        heappush(self._expiring, (at_s, next(self._set), key))
        if len(self._expiring) > SWEPT_FROM + 2 * len(self._places):
            self._alarms = {key: at_s for key, at_s in self._alarms.items() if key in self._places}
            self._expiring = [(at_s, next(self._set), key) for key, at_s in self._alarms.items()]
            heapify(self._expiring)


def lane_of(key: ClassKey) -> LaneKey:
    return LaneKey(key.queue, key.user, key.account, key.qos)
