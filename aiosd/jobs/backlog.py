"""The jobs that could start now, grouped into classes that a policy cannot tell apart but by age."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from heapq import merge
from itertools import islice
from typing import NamedTuple

from sortedcontainers import SortedDict

from aiosd.ids import JobId
from aiosd.jobs.ranges import IndexRanges
from aiosd.scheduling.lanes import Lanes
from aiosd.scheduling.ordering import by_age
from aiosd.scheduling.policy import ClassKey, Rank, Within
from aiosd.scheduling.rules import SchedulingRules
from aiosd.scheduling.validator import Place


class Entry(NamedTuple):
    """One job, or the startable elements of one array: the first `startable` of `indices`."""

    startable: int
    eligible_at_s: float
    indices: IndexRanges | None = None


@dataclass(slots=True)
class QueuedClass:
    """Implements scheduling's JobClass."""

    key: ClassKey
    entries: SortedDict = field(default_factory=SortedDict)  # JobId -> Entry
    count: int = 0
    several: dict[JobId, int] = field(default_factory=dict)  # how many more than one: few entries are arrays
    _oldest: JobId | None = None  # None: to be looked up

    def __iter__(self) -> Iterator[JobId]:
        for job_id, entry in self.entries.items():
            if entry.indices is None:
                yield job_id
            else:
                for _, index in zip(range(entry.startable), entry.indices, strict=False):
                    yield JobId(job_id.number, index)

    @property
    def oldest(self) -> JobId:
        if self._oldest is None:
            job_id, entry = self.entries.peekitem(0)
            self._oldest = job_id if entry.indices is None else next(iter(self))
        return self._oldest

    @property
    def eligible_at_s(self) -> float:
        oldest: Entry = self.entries.peekitem(0)[1]
        return oldest.eligible_at_s

    def since_s(self, job_id: JobId) -> float:
        entry: Entry = self.entries[job_id] if job_id in self.entries else self.entries[job_id.whole]
        return entry.eligible_at_s

    def put(self, job_id: JobId, entry: Entry) -> None:
        self.drop(job_id)
        self.entries[job_id] = entry
        self._oldest = None
        self.count += entry.startable
        if entry.startable != 1:
            self.several[job_id] = entry.startable - 1

    def drop(self, job_id: JobId) -> None:
        entry = self.entries.pop(job_id, None)
        if entry is not None:
            self._oldest = None
            self.count -= entry.startable
            self.several.pop(job_id, None)

    def count_before(self, job_id: JobId) -> int:
        """How many are older; costs the logarithm of what waits, and the number of arrays."""
        at: int = self.entries.bisect_left(job_id)
        return at + sum(more for other, more in self.several.items() if other < job_id)


@dataclass(slots=True)
class Backlog:
    """Every startable job, by class, and the classes in the order of the policy."""

    classes: dict[ClassKey, QueuedClass] = field(default_factory=dict)
    where: dict[JobId, ClassKey] = field(default_factory=dict)
    lanes: Lanes = field(default_factory=lambda: Lanes(by_age, SchedulingRules()))

    def order_by(self, within: Within, rules: SchedulingRules) -> None:
        """Another policy, or other rules."""
        self.lanes = Lanes(within, rules)
        for queued in self.classes.values():
            self.lanes.changed(queued)

    def put(self, job_id: JobId, key: ClassKey, entry: Entry) -> None:
        """Insert, or move and replace."""
        if self.where.get(job_id, key) != key:
            self.drop(job_id)
        found = self.classes.get(key)
        if found is None:
            found = self.classes[key] = QueuedClass(key)
        found.put(job_id, entry)
        self.lanes.changed(found)
        self.where[job_id] = key

    def wait_since(self, latest_s: float) -> None:
        """Nobody waits since a later moment than this; wall. Looks at all."""
        for queued in self.classes.values():
            early = [(job_id, entry) for job_id, entry in queued.entries.items() if entry.eligible_at_s > latest_s]
            queued.entries.update((job_id, entry._replace(eligible_at_s=latest_s)) for job_id, entry in early)
            if early:
                self.lanes.changed(queued)

    def drop(self, job_id: JobId) -> bool:
        """Remove; whether it was there."""
        key = self.where.pop(job_id, None)
        if key is None:
            return False
        found = self.classes[key]
        found.drop(job_id)
        self.lanes.changed(found)
        if not found.entries:
            del self.classes[key]
        return True

    def place_of(self, job_id: JobId) -> Place | None:
        """Where a job waits that may start now; None for any other, and for an array as such."""
        record = job_id if job_id in self.where else job_id.whole
        key = self.where.get(record)
        if key is None:
            return None
        entry: Entry = self.classes[key].entries[record]
        if entry.indices is None:
            return Place(key, record, 1) if record == job_id else None
        return Place(key, record, entry.startable) if job_id.index in entry.indices else None

    def ahead_of(self, job_id: JobId, most: int, rank: Callable[[ClassKey], Rank | None]) -> tuple[list[JobId], int]:
        """Who starts before it by `rank`, then by age: the nearest (at most `most`, an array once), and how many in all."""
        listed = job_id if job_id in self.where else job_id.whole  # a pending element stands where its array does
        key = self.where.get(listed)
        own = rank(key) if key is not None else None
        if own is None:
            return [], 0
        count = 0
        by_rank: dict[Rank, list[QueuedClass]] = {}
        for other in self.classes.values():
            place = rank(other.key)
            if place is not None and place <= own:
                count += other.count if place < own else other.count_before(listed)
                by_rank.setdefault(place, []).append(other)
        return list(islice(_backwards(by_rank, own, listed), most)), count


def _backwards(by_rank: dict[Rank, list[QueuedClass]], own: Rank, before: JobId) -> Iterator[JobId]:
    """From the nearest to the first, looking at no more than is taken."""
    for place in sorted(by_rank, reverse=True):
        end = before if place == own else None
        lines = [c.entries.irange(maximum=end, inclusive=(True, False), reverse=True) for c in by_rank[place]]
        yield from merge(*lines, reverse=True)
