"""Several lanes as one line: by rank, then by age, each job looked at only when its turn comes."""

from collections.abc import Callable, Iterable, Iterator
from heapq import heapify, heappop, heappush, heapreplace
from math import inf

from aiosd.ids import JobId
from aiosd.scheduling.policy import ClassKey, JobClass, Lane, Rank, Snapshot
from aiosd.scheduling.rules import SchedulingRules


def by_age(job_class: JobClass, rules: SchedulingRules, now_s: float) -> tuple[Rank, float]:
    """Every class has the same rank, so that age alone decides."""
    return (), inf


def by_priority(job_class: JobClass, rules: SchedulingRules, now_s: float) -> tuple[Rank, float]:
    """The highest priority first. How long a job waits does not raise it: among equals the oldest goes first."""
    return (-job_class.key.priority,), inf


class Cursor:
    """One lane, job by job. Classes of equal rank are merged by age; those further back are not looked at.

    Of most lanes only the first class is ever asked for: there are as many as users.
    """

    __slots__ = ("_coming", "_following", "_open", "lane")

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        rank, job_class = lane.first
        self._open: list[tuple[Rank, JobId, ClassKey, JobClass, Iterator[JobId] | None]] = [(rank, job_class.oldest, job_class.key, job_class, None)]
        self._coming: Iterator[tuple[Rank, JobClass]] | None = None  # None: not begun
        self._following: tuple[Rank, JobClass] | None = None

    def __bool__(self) -> bool:
        return bool(self._open)

    @property
    def rank(self) -> Rank:
        return self._open[0][0]

    @property
    def head(self) -> tuple[ClassKey, JobId]:
        """Whose turn it is. IndexError when the lane is empty."""
        _, job_id, key, *_ = self._open[0]
        return key, job_id

    @property
    def job_class(self) -> JobClass:
        """The class of the head."""
        return self._open[0][3]

    def advance(self) -> None:
        """The head has started: the next job of its class, if there is one, stays in line."""
        rank, _, key, job_class, jobs = self._open[0]
        if jobs is None:
            jobs = iter(job_class)  # most classes are never iterated: their oldest does not fit
            next(jobs)
        following = next(jobs, None)
        if following is None:
            heappop(self._open)
        else:
            heapreplace(self._open, (rank, following, key, job_class, jobs))
        self._admit()

    def drop(self) -> None:
        """The head cannot start, and so nobody of its class can: the class leaves the line."""
        heappop(self._open)
        self._admit()

    def _admit(self) -> None:
        """Open every class that goes before the present head."""
        if self._coming is None:
            self._coming = iter(self.lane)
            next(self._coming)
            self._following = next(self._coming, None)
        while self._following is not None:
            rank, job_class = self._following
            oldest = job_class.oldest
            if self._open and (self._open[0][0], self._open[0][1]) < (rank, oldest):
                return
            heappush(self._open, (rank, oldest, job_class.key, job_class, None))
            self._following = next(self._coming, None)


Across = Callable[[Cursor], Rank]


def by_rank(cursor: Cursor) -> Rank:
    """Ranks of different lanes mean the same."""
    return cursor.rank


def by_queue_and_rank(world: Snapshot) -> Across:
    """The priority of a queue counts for all of its jobs. For lanes that are ordered by priority."""
    return lambda cursor: (queue_rank(world, cursor.lane.key.queue) + cursor.rank[0],)


def queue_rank(world: Snapshot, queue: str) -> float:
    """Lower ones go first."""
    settings = world.queues.get(queue)
    return -settings.priority if settings is not None else 0.0


class Line:
    """A heap of the lanes' heads: a step costs the logarithm of the number of lanes, whatever waits in them. An Order."""

    def __init__(self, lanes: Iterable[Lane], across: Across = by_rank) -> None:
        """`across`: the rank of a lane's head among those of all lanes; then age decides."""
        self._across = across
        self._cursors = [Cursor(lane) for lane in lanes]
        self._heads = [self._entry(number) for number, cursor in enumerate(self._cursors) if cursor]
        heapify(self._heads)

    def __bool__(self) -> bool:
        return bool(self._heads)

    @property
    def head(self) -> tuple[ClassKey, JobId]:
        return self._cursors[self._heads[0][2]].head

    @property
    def first(self) -> Cursor:
        """The lane of the head."""
        return self._cursors[self._heads[0][2]]

    def advance(self) -> None:
        self.first.advance()
        self._settle()

    def drop(self) -> None:
        self.first.drop()
        self._settle()

    def _settle(self) -> None:
        number = self._heads[0][2]
        if self._cursors[number]:
            heapreplace(self._heads, self._entry(number))
        else:
            heappop(self._heads)

    def _entry(self, number: int) -> tuple[Rank, JobId, int]:
        cursor = self._cursors[number]
        return self._across(cursor), cursor.head[1], number
