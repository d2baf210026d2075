"""What is due when: two heaps, one on the wall clock and one on the steady clock; entries are checked when they fire."""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from aiosd.clock import Instant
from aiosd.ids import JobId


class Due(StrEnum):
    ELIGIBLE = "eligible"  # the begin time; wall
    PAUSE = "pause"  # a retry's pause is over; steady
    DEADLINE = "deadline"  # wall
    TIME_LIMIT = "time-limit"  # steady
    KILL = "kill"  # steady; the grace is over
    OVERDUE = "overdue"  # steady; it has outlived what was expected of it


MOST_STALE = 10_000  # entries of jobs that are over, before anybody looks for them
_Entry = tuple[float, JobId, int, Due]


@dataclass(slots=True)
class Timers:
    wall: list[_Entry] = field(default_factory=list)
    steady: list[_Entry] = field(default_factory=list)
    _most: int = MOST_STALE

    def at_wall(self, when_s: float, job_id: JobId, attempt: int, due: Due) -> None:
        heapq.heappush(self.wall, (when_s, job_id, attempt, due))

    def at_steady(self, when_s: float, job_id: JobId, attempt: int, due: Due) -> None:
        heapq.heappush(self.steady, (when_s, job_id, attempt, due))

    def pop_due(self, now: Instant) -> list[tuple[JobId, int, Due]]:
        """Every entry whose time has come, removed."""
        fired = []
        for heap, now_s in ((self.wall, now.wall_s), (self.steady, now.steady_s)):
            while heap and heap[0][0] <= now_s:
                _, job_id, attempt, due = heapq.heappop(heap)
                fired.append((job_id, attempt, due))
        return fired

    def prune(self, current: Callable[[JobId, int], bool]) -> None:
        """Forget the entries of attempts that are over: a job of a second may have had a limit of a month."""
        if len(self.wall) + len(self.steady) <= self._most:
            return
        for heap in (self.wall, self.steady):
            heap[:] = [entry for entry in heap if current(entry[1], entry[2])]
            heapq.heapify(heap)
        self._most = 2 * (len(self.wall) + len(self.steady)) + MOST_STALE

    def next_in_s(self, now: Instant) -> float | None:
        """Seconds until something may be due; None when nothing ever is.

        With a wall-clock entry it is a minute at most: the wall may jump while we sleep.
        """
        waits = []
        if self.wall:
            waits.append(min(self.wall[0][0] - now.wall_s, 60.0))
        if self.steady:
            waits.append(self.steady[0][0] - now.steady_s)
        return max(0.0, min(waits)) if waits else None
