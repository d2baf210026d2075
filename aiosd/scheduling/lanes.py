"""The classes of waiting jobs, lane by lane in the order of the policy in force, kept from pass to pass."""

from collections.abc import Iterator, Sequence
from heapq import heappop, heappush
from math import inf

from sortedcontainers import SortedDict

from aiosd.ids import JobId
from aiosd.scheduling.policy import ClassKey, JobClass, LaneKey, Rank, Within
from aiosd.scheduling.rules import SchedulingRules


class SortedLane:
    """Implements Lane."""

    def __init__(self, key: LaneKey) -> None:
        self.key = key
        self.classes: SortedDict = SortedDict()  # (rank, oldest) -> class
        self._first: tuple[Rank, JobClass] | None = None  # None: to be looked up

    @property
    def count(self) -> int:
        return sum(job_class.count for job_class in self.classes.values())

    @property
    def first(self) -> tuple[Rank, JobClass]:
        if self._first is None:
            (rank, _), job_class = self.classes.peekitem(0)
            self._first = rank, job_class
        return self._first

    def put(self, place: tuple[Rank, JobId], job_class: JobClass) -> None:
        self.classes[place] = job_class
        self._first = None

    def drop(self, place: tuple[Rank, JobId]) -> None:
        del self.classes[place]
        self._first = None

    def __iter__(self) -> Iterator[tuple[Rank, JobClass]]:
        return ((rank, job_class) for (rank, _), job_class in self.classes.items())


class Lanes:
    """A change costs the logarithm of the number of classes, and is worked in when the lanes are next asked for."""

    def __init__(self, within: Within, rules: SchedulingRules) -> None:
        self._within = within
        self._rules = rules
        self._lanes: dict[LaneKey, SortedLane] = {}
        self._places: dict[ClassKey, tuple[Rank, JobId]] = {}
        self._changed: dict[ClassKey, JobClass] = {}
        self._expiring: list[tuple[float, ClassKey]] = []

    def changed(self, job_class: JobClass) -> None:
        """A job has joined or left the class; one without any leaves its lane."""
        self._changed[job_class.key] = job_class

    def at(self, now_s: float) -> Sequence[SortedLane]:
        """The lanes in which anybody waits."""
        for key, job_class in self._changed.items():
            self._settle(key, job_class, now_s)
        self._changed.clear()
        while self._expiring and self._expiring[0][0] <= now_s:
            _, key = heappop(self._expiring)
            place = self._places.get(key)
            if place is not None:
                self._settle(key, self._lanes[lane_of(key)].classes[place], now_s)
        return list(self._lanes.values())

    def _settle(self, key: ClassKey, job_class: JobClass, now_s: float) -> None:
        """Out of its old place, and into the one that it has now."""
        old = self._places.pop(key, None)
        lane = self._lanes.get(lane_of(key))
        if old is not None and lane is not None:
            lane.drop(old)
        if job_class.count > 0:
            if lane is None:
                lane = self._lanes[lane_of(key)] = SortedLane(lane_of(key))
            rank, until_s = self._within(job_class, self._rules, now_s)
            place = self._places[key] = rank, job_class.oldest
            lane.put(place, job_class)
            if until_s != inf:
                heappush(self._expiring, (until_s, key))
        elif lane is not None and not lane.classes:
            del self._lanes[lane_of(key)]


def lane_of(key: ClassKey) -> LaneKey:
    return LaneKey(key.queue, key.user, key.account, key.qos)
