"""The priority of a job as a weighted sum of factors, each in [0, 1]: age, fair share, size, queue, QoS, nice, and what was asked for."""

from collections.abc import Callable, Iterable, Mapping
from math import copysign, inf, isfinite, log1p
from typing import NamedTuple

from aiosd.ids import JobId
from aiosd.scheduling.fairshare import Association, dominant_share
from aiosd.scheduling.fairtree import FairTree
from aiosd.scheduling.ordering import IN_TIME, OVERDUE, UNCERTAIN_S, Cursor, age_max_s, expected_s, waiting_since_s
from aiosd.scheduling.policy import Basis, ClassKey, JobClass, LaneKey, Rank, Snapshot, Within
from aiosd.scheduling.rules import PriorityWeights, SchedulingRules

MOST = 1_000_000  # of what may be asked for; beyond it the factor stays at its end
NICEST, LEAST_NICE = 19, -20
MIDDLE = 0.5  # of a factor that tells nobody from anybody
WEIGHED = ("age", "fair_share", "size", "queue", "qos", "nice", "explicit")


class Factor(NamedTuple):
    """A part of a job's priority: `factor` in [0, 1] times `weight`."""

    name: str
    factor: float
    weight: float


class Weights(NamedTuple):
    """What each factor weighs for the jobs of one queue: finite, and never negative."""

    age: float
    fair_share: float
    size: float
    queue: float
    qos: float
    nice: float
    explicit: float


def weights_of(weights: PriorityWeights, own: Mapping[str, float]) -> Weights:
    """Those of the configuration with the queue's own in their place; one that is no finite number, or negative, is 0."""
    return Weights(*(_sane(own.get(name, getattr(weights, name))) for name in WEIGHED))


def _sane(weight: float) -> float:
    return weight if isfinite(weight) and weight > 0 else 0.0


def explicit_factor(priority: int) -> float:
    """1/2 for the priority 0; strictly rising, steepest there, so that small numbers make a difference, too."""
    height = log1p(min(abs(priority), MOST)) / log1p(MOST)
    return MIDDLE + copysign(height, priority) / 2


def nice_factor(nice: int) -> float:
    """1 for the least nice, 0 for the nicest."""
    return (NICEST - min(max(nice, LEAST_NICE), NICEST)) / (NICEST - LEAST_NICE)


def relative(priority: int, among: Iterable[int]) -> float:
    """Where a priority lies between the lowest and the highest configured; in the middle when they are one."""
    least, most = min(among, default=priority), max(among, default=priority)
    return MIDDLE if least >= most else min(1.0, max(0.0, (priority - least) / (most - least)))


class Points:
    """What a job has, and how it ranks. Within a lane its queue, QoS and standing are the same for all, so they do not count there.

    All that have not waited age_max_s grow at one rate, so that their order within a lane does not change as they wait. From
    then on a job is overdue, and goes before all that are not, whatever they have, the oldest first.
    Source of the factors: https://slurm.schedmd.com/priority_multifactor.html
    """

    def __init__(self, basis: Basis) -> None:
        self._basis = basis
        self.age_max_s = age_max_s(basis.rules)
        self._weights: dict[str, Weights] = {}
        self._queues = [queue.priority for queue in basis.queues.values()]
        self._qos = [0, *(qos.priority for qos in basis.rules.qos.values())]

    def weights(self, queue: str) -> Weights:
        found = self._weights.get(queue)
        if found is None:
            settings = self._basis.queues.get(queue)
            found = self._weights[queue] = weights_of(self._basis.rules.weights, settings.weights if settings is not None else {})
        return found

    def own(self, key: ClassKey) -> tuple[Factor, ...]:
        """The factors that tell the classes of a lane apart."""
        weights = self.weights(key.queue)
        return (
            Factor("size", self._size(key) if weights.size else 0.0, weights.size),
            Factor("nice", nice_factor(key.nice), weights.nice),
            Factor("explicit", explicit_factor(key.priority), weights.explicit),
        )

    def common(self, lane: LaneKey, fair_share: float) -> tuple[Factor, ...]:
        """The factors that all of a lane have; `fair_share` as `standing` says."""
        weights, rules = self.weights(lane.queue), self._basis.rules
        queue, qos = self._basis.queues.get(lane.queue), rules.qos.get(lane.qos)
        return (
            Factor("fair_share", fair_share, weights.fair_share),
            Factor("queue", relative(queue.priority if queue is not None else 0, self._queues), weights.queue),
            Factor("qos", relative(qos.priority if qos is not None else 0, self._qos), weights.qos),
        )

    def age(self, queue: str, since_s: float, now_s: float) -> Factor:
        waited_s = now_s - waiting_since_s(since_s, now_s)
        return Factor("age", min(1.0, waited_s / self.age_max_s), self.weights(queue).age)

    def within(self, job_class: JobClass, rules: SchedulingRules, now_s: float) -> tuple[Rank, float]:
        return self.rank(job_class.key, job_class.eligible_at_s, now_s)

    def rank(self, key: ClassKey, since_s: float, now_s: float) -> tuple[Rank, float]:
        """Within its lane, of a job that waits since then, and until when that holds."""
        since_s = waiting_since_s(since_s, now_s)
        overdue_s = since_s + self.age_max_s
        if overdue_s <= now_s:
            return (OVERDUE, since_s), inf
        own = points(self.own(key))
        if self._basis.rules.predict:
            return (IN_TIME, -own, expected_s(self._basis.estimate, key)), min(overdue_s, now_s + UNCERTAIN_S)
        return (IN_TIME, self._rate(key.queue) * since_s - own), overdue_s

    def aged(self, queue: str, now_s: float) -> float:
        """What makes points of the ranks of a queue's lanes: what one would have who has waited since 1970."""
        return 0.0 if self._basis.rules.predict else self._rate(queue) * now_s

    def _rate(self, queue: str) -> float:
        """What waiting brings, in points a second."""
        return self.weights(queue).age / self.age_max_s

    def _size(self, key: ClassKey) -> float:
        share = min(1.0, dominant_share(key.request, self._basis.inventory))
        return 1.0 - share if self._basis.rules.weights.favor_small else share


def points(factors: Iterable[Factor]) -> float:
    """Their weighted sum."""
    return sum(factor.factor * factor.weight for factor in factors)


def multifactor(basis: Basis) -> Within:
    return Points(basis).within


def standing(world: Snapshot) -> Callable[[str, str], float]:
    """The factor fair share of a user under an account: its rank by Fair Tree over the number of users, as Slurm does it."""
    if not (world.usage or world.shares or world.rules.accounts):
        return lambda account, user: 1.0
    tree = FairTree(world.rules.accounts, world.shares, world.usage)
    waiting = {(lane.key.account, lane.key.user): tree.leaf(Association(lane.key.account, lane.key.user)) for lane in world.lanes}
    standings = tree.standings()
    known = {whose: standings[leaf].factor for whose, leaf in waiting.items()}

    def factor(account: str, user: str) -> float:
        whose = account, user
        if whose not in known:
            known[whose] = tree.standings()[tree.leaf(Association(*whose))].factor  # with it among them
        return known[whose]

    return factor


class Ranks:
    """The order of the policy priority in one pass: lanes by what their heads have now."""

    def __init__(self, world: Snapshot) -> None:
        self._now_s = world.now_s
        self._points = Points(world.basis)
        self._standing = standing(world)
        self._shared: dict[tuple[str, str], tuple[float, float]] = {}

    def across(self, cursor: Cursor) -> Rank:
        return self._among_all(cursor.rank, cursor.lane.key)

    def again(self, job_class: JobClass, job_id: JobId) -> Rank:
        return self._points.rank(job_class.key, job_class.since_s(job_id), self._now_s)[0]

    def of(self, key: ClassKey, since_s: float) -> Rank:
        """Among all jobs, of one that waits since then."""
        rank, _ = self._points.rank(key, since_s, self._now_s)
        return self._among_all(rank, LaneKey(key.queue, key.user, key.account, key.qos))

    def _among_all(self, rank: Rank, lane: LaneKey) -> Rank:
        if rank[0] == OVERDUE:
            return rank
        shared = self._shared.get((lane.queue, lane.qos))
        if shared is None:
            shared = self._shared[lane.queue, lane.qos] = self._of_queue_and_qos(lane)
        gained, weight = shared
        if weight:
            gained += weight * self._standing(lane.account, lane.user)
        return (rank[0], rank[1] - gained, *rank[2:])

    def _of_queue_and_qos(self, lane: LaneKey) -> tuple[float, float]:
        """What all have of that queue and QoS, and what a standing weighs there."""
        fair_share, queue, qos = self._points.common(lane, 1.0)
        return points((queue, qos)) + self._points.aged(lane.queue, self._now_s), fair_share.weight


def factors_in(world: Snapshot) -> Callable[[ClassKey, float], tuple[Factor, ...]]:
    """As `factors`, for many jobs of one world: everybody's standing is worked out once."""
    shared, standings = Points(world.basis), standing(world)

    def of(key: ClassKey, since_s: float) -> tuple[Factor, ...]:
        lane = LaneKey(key.queue, key.user, key.account, key.qos)
        return (shared.age(key.queue, since_s, world.now_s), *shared.common(lane, standings(key.account, key.user)), *shared.own(key))

    return of


def factors(world: Snapshot, key: ClassKey, since_s: float) -> tuple[Factor, ...]:
    """All of a job that waits since then (wall), as the policy priority sees it: the highest sum goes first, unless one is overdue."""
    return factors_in(world)(key, since_s)
