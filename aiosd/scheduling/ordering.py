"""Several lanes as one line: by rank, then by age, each job looked at only when its turn comes."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from heapq import heapify, heappop, heappush, heapreplace
from math import inf, isfinite

from aiosd.ids import JobId
from aiosd.scheduling.policy import Basis, ClassKey, JobClass, Lane, Rank, Snapshot, Within
from aiosd.scheduling.rules import PriorityWeights, SchedulingRules

OVERDUE, IN_TIME = 0.0, 1.0  # the first number of a rank, where jobs that have waited for long go before all others
UNCERTAIN_S = 600.0  # how long a rank that rests on a prediction holds
_DEFAULTS = PriorityWeights()


def by_age(job_class: JobClass, rules: SchedulingRules, now_s: float) -> tuple[Rank, float]:
    """Every class has the same rank, so that age alone decides."""
    return (), inf


def age_alone(basis: Basis) -> Within:
    return by_age


def age_max_s(rules: SchedulingRules) -> float:
    """After which a job is overdue; what is no time is the default."""
    chosen = rules.weights.age_max_s
    return chosen if isfinite(chosen) and chosen > 0 else _DEFAULTS.age_max_s


def waiting_since_s(since_s: float, now_s: float) -> float:
    """No job has waited since a moment that is yet to come, though the wall clock may have gone back, nor since none."""
    return min(since_s, now_s) if isfinite(since_s) else now_s


class Urgency:
    """Ranks within a lane: who has waited for age_max_s first, the oldest before all; then the highest priority.

    With `predict`, among equals whoever is expected to end soonest; then age. An overdue job goes before all that are not, so that
    nothing starves: a stream of others, however urgent they are, passes by a job only until then.
    """

    def __init__(self, basis: Basis) -> None:
        self._estimate = basis.estimate
        self._predict = basis.rules.predict
        self._age_max_s = age_max_s(basis.rules)

    def within(self, job_class: JobClass, rules: SchedulingRules, now_s: float) -> tuple[Rank, float]:
        return self.rank(job_class.key, job_class.eligible_at_s, now_s)

    def rank(self, key: ClassKey, since_s: float, now_s: float) -> tuple[Rank, float]:
        """Of a job of this class that waits since then, and until when it holds."""
        since_s = waiting_since_s(since_s, now_s)
        overdue_s = since_s + self._age_max_s
        if overdue_s <= now_s:
            return (OVERDUE, since_s), inf
        if not self._predict:
            return (IN_TIME, float(-key.priority)), overdue_s
        return (IN_TIME, float(-key.priority), expected_s(self._estimate, key)), min(overdue_s, now_s + UNCERTAIN_S)


def urgency(basis: Basis) -> Within:
    return Urgency(basis).within


def expected_s(estimate: Callable[[ClassKey], object], key: ClassKey) -> float:
    """How long a run of the class is expected to take; infinite where nobody can say."""
    found = getattr(estimate(key), "expected_s", inf)
    return found if found >= 0 else inf  # false for NaN


Again = Callable[[JobClass, JobId], Rank]
"""The rank of a job that has come to the head of its class."""


class Cursor:
    """One lane, job by job. Classes of equal rank are merged by age; those further back are not looked at."""

    __slots__ = ("_again", "_coming", "_following", "_open", "_read", "lane")

    def __init__(self, lane: Lane, again: Again | None = None) -> None:
        self.lane = lane
        self._again = again
        self._coming = iter(lane)
        self._following: tuple[Rank, JobClass] | None = None
        self._read = False  # whether `_following` is known: of most lanes only the first class is ever looked at
        first = next(self._coming, None)
        self._open: list[tuple[Rank, JobId, ClassKey, JobClass, Iterator[JobId] | None]] = []
        if first is not None:
            rank, job_class = first
            self._open.append((rank, job_class.oldest, job_class.key, job_class, None))

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
    def job_id(self) -> JobId:
        return self._open[0][1]

    @property
    def job_class(self) -> JobClass:
        """The class of the head."""
        return self._open[0][3]

    def advance(self) -> None:
        """The head has started: the next job of its class, if there is one, stays in line; where rank depends on age, by its own."""
        rank, _, key, job_class, jobs = self._open[0]
        if jobs is None:
            jobs = iter(job_class)  # most classes are never iterated: their oldest does not fit
            next(jobs)
        following = next(jobs, None)
        if following is None:
            heappop(self._open)
        else:
            if self._again is not None:
                rank = self._again(job_class, following)
            heapreplace(self._open, (rank, following, key, job_class, jobs))
        self._admit()

    def drop(self) -> None:
        """The head cannot start, and so nobody of its class can: the class leaves the line."""
        heappop(self._open)
        self._admit()

    def _admit(self) -> None:
        """Open every class that goes before the present head."""
        if not self._read:
            self._read = True
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
    """The priority of a queue counts for all of its jobs, unless they are overdue. For lanes that are ordered by urgency."""

    def across(cursor: Cursor) -> Rank:
        band, first, *further = cursor.rank
        return cursor.rank if band == OVERDUE else (band, queue_rank(world, cursor.lane.key.queue) + first, *further)

    return across


def queue_rank(world: Snapshot, queue: str) -> float:
    """Lower ones go first."""
    settings = world.queues.get(queue)
    return -settings.priority if settings is not None else 0.0


def ages(world: Snapshot) -> Mapping[ClassKey, float]:
    """Since when the oldest of each class waits, for a ranking."""
    return {job_class.key: job_class.eligible_at_s for lane in world.lanes for _, job_class in lane}


class Line:
    """A heap of the lanes' heads: a step costs the logarithm of the number of lanes, whatever waits in them. An Order."""

    def __init__(self, lanes: Iterable[Lane], across: Across = by_rank, again: Again | None = None) -> None:
        """`across`: the rank of a lane's head among those of all lanes; then age decides. `again`: where rank depends on age."""
        self._across = across
        self._cursors = [Cursor(lane, again) for lane in lanes]
        self._heads = [self._entry(number) for number, cursor in enumerate(self._cursors) if cursor]
        heapify(self._heads)

    def __bool__(self) -> bool:
        return bool(self._heads)

    @property
    def head(self) -> tuple[ClassKey, JobId]:
        return self._cursors[self._heads[0][2]].head

    @property
    def job_id(self) -> JobId:
        return self._heads[0][1]

    @property
    def rank(self) -> Rank:
        """Of the head, among those of all lanes. IndexError when nobody is left."""
        return self._heads[0][0]

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
        return self._across(cursor), cursor.job_id, number
