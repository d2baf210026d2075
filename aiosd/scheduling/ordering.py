"""The startable jobs of several classes as one line: by rank, then by age, each job looked at only when its turn comes."""

from collections.abc import Callable, Iterable, Iterator
from heapq import heapify, heappop, heapreplace

from aiosd.ids import JobId
from aiosd.scheduling.policy import ClassKey, JobClass


def by_age(key: ClassKey) -> int:
    """Every class has the same rank, so that age alone decides."""
    return 0


def by_priority(key: ClassKey) -> int:
    """The highest priority first. How long a job waits does not raise it: among equals the oldest goes first."""
    return -key.priority


class Line:
    """A heap of the classes' next jobs: a step costs the logarithm of the number of classes, whatever waits in them."""

    def __init__(self, classes: Iterable[JobClass], rank: Callable[[ClassKey], int]) -> None:
        self._keys: list[ClassKey] = []
        self._jobs: list[Iterator[JobId] | None] = []
        self._classes = list(classes)
        self._heads: list[tuple[int, JobId, int]] = []
        for number, job_class in enumerate(self._classes):
            self._keys.append(job_class.key)
            self._jobs.append(None)  # most classes are never iterated: their oldest does not fit
            self._heads.append((rank(job_class.key), job_class.oldest, number))
        heapify(self._heads)

    def __bool__(self) -> bool:
        return bool(self._heads)

    @property
    def head(self) -> tuple[ClassKey, JobId]:
        """Whose turn it is. IndexError when the line is empty."""
        _, job_id, number = self._heads[0]
        return self._keys[number], job_id

    def advance(self) -> None:
        """The head has started: the next job of its class, if there is one, joins the line."""
        rank, _, number = self._heads[0]
        following = next(self._rest_of(number), None)
        if following is None:
            heappop(self._heads)
        else:
            heapreplace(self._heads, (rank, following, number))

    def drop(self) -> None:
        """The head cannot start, and so nobody of its class can: the class leaves the line."""
        heappop(self._heads)

    def _rest_of(self, number: int) -> Iterator[JobId]:
        jobs = self._jobs[number]
        if jobs is None:
            jobs = iter(self._classes[number])
            next(jobs)  # the oldest, which was the head
            self._jobs[number] = jobs
        return jobs
