"""The jobs that could start now, grouped into classes that a policy cannot tell apart but by age."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from sortedcontainers import SortedDict

from aiosd.ids import JobId
from aiosd.jobs.ranges import IndexRanges
from aiosd.scheduling.policy import ClassKey


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

    def __iter__(self) -> Iterator[JobId]:
        for job_id, entry in self.entries.items():
            if entry.indices is None:
                yield job_id
            else:
                for _, index in zip(range(entry.startable), entry.indices, strict=False):
                    yield JobId(job_id.number, index)

    @property
    def oldest(self) -> JobId:
        return next(iter(self))

    @property
    def eligible_at_s(self) -> float:
        oldest: Entry = self.entries.peekitem(0)[1]
        return oldest.eligible_at_s

    def put(self, job_id: JobId, entry: Entry) -> None:
        self.drop(job_id)
        self.entries[job_id] = entry
        self.count += entry.startable

    def drop(self, job_id: JobId) -> None:
        entry = self.entries.pop(job_id, None)
        if entry is not None:
            self.count -= entry.startable


@dataclass(slots=True)
class Backlog:
    """Every startable job, by class. A pass over it costs the number of classes, not of jobs."""

    classes: dict[ClassKey, QueuedClass] = field(default_factory=dict)
    where: dict[JobId, ClassKey] = field(default_factory=dict)

    def put(self, job_id: JobId, key: ClassKey, entry: Entry) -> None:
        """Insert, or move and replace."""
        if self.where.get(job_id, key) != key:
            self.drop(job_id)
        found = self.classes.get(key)
        if found is None:
            found = self.classes[key] = QueuedClass(key)
        found.put(job_id, entry)
        self.where[job_id] = key

    def drop(self, job_id: JobId) -> bool:
        """Remove; whether it was there."""
        key = self.where.pop(job_id, None)
        if key is None:
            return False
        found = self.classes[key]
        found.drop(job_id)
        if not found.entries:
            del self.classes[key]
        return True

    def ahead_of(self, job_id: JobId, most: int) -> tuple[list[JobId], int]:
        """Jobs of its own class that are older, nearest first (at most `most`), and how many there are in all."""
        listed = job_id if job_id in self.where else job_id.whole  # a pending element stands where its array does
        key = self.where.get(listed)
        if key is None:
            return [], 0
        entries = self.classes[key].entries
        at = entries.bisect_left(listed)
        older = list(entries.islice(max(0, at - most), at))
        return older[::-1], sum(entries[i].startable for i in entries.islice(0, at))
