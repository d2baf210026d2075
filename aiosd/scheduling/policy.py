"""What a policy sees and what it answers: `Policy = Snapshot -> Plan`."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from math import inf
from typing import NamedTuple, Protocol

from aiosd.ids import JobId
from aiosd.resources.grant import Grant
from aiosd.resources.inventory import Inventory
from aiosd.resources.pool import Pool
from aiosd.resources.request import Request
from aiosd.scheduling.budgets import Budget, Holder
from aiosd.scheduling.fairshare import Association
from aiosd.scheduling.reservations import Keeper
from aiosd.scheduling.rules import PreemptMode, QueueSettings, SchedulingRules


class ClassKey(NamedTuple):
    """Jobs that a policy cannot tell apart but by age. `priority` is the job's own; its queue and its QoS have theirs in the rules."""

    queue: str
    user: str
    account: str
    priority: int
    request: Request
    lasts_s: float = 0.0  # a run ends after so long at the latest; 0: nobody knows, or nobody asks
    qos: str = ""
    nice: int = 0
    work: str = ""  # jobs of the same work are expected to last alike; "" while nobody predicts
    preemptible: bool = False  # asked for by the job itself


class LaneKey(NamedTuple):
    """Classes whose order among themselves does not depend on what others use."""

    queue: str
    user: str
    account: str
    qos: str


Rank = tuple[float, ...]


class JobClass(Protocol):
    """The startable jobs of one class, oldest first; an array's elements one by one, as many as its limit allows."""

    @property
    def key(self) -> ClassKey: ...

    @property
    def count(self) -> int:
        """How many could start now if resources were endless."""

    def __iter__(self) -> Iterator[JobId]: ...

    @property
    def oldest(self) -> JobId:
        """The first that __iter__ yields."""

    @property
    def eligible_at_s(self) -> float:
        """Since when the oldest could have started; wall."""

    def since_s(self, job_id: JobId) -> float:
        """The same of any of its jobs."""


class Lane(Protocol):
    """The classes of one queue, user, account and QoS, kept between passes in the order that the policy in force gave them."""

    @property
    def key(self) -> LaneKey: ...

    @property
    def count(self) -> int:
        """How many jobs could start now if resources were endless."""

    def __iter__(self) -> Iterator[tuple[Rank, JobClass]]:
        """The first to go first, each with its rank; equal ranks by age of the oldest."""


class Order(Protocol):
    """Who is next, job by job; made by a policy for one pass."""

    def __bool__(self) -> bool:
        """Whether anybody is left."""

    @property
    def head(self) -> tuple[ClassKey, JobId]:
        """Whose turn it is. IndexError when nobody is left."""

    def advance(self) -> None:
        """The head has started: the next one's turn."""

    def drop(self) -> None:
        """The head cannot start, and so nobody of its class can: the class leaves the order."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """How long a run is expected to take, from its beginning; seconds. It ends between `low_s` and `high_s` nine times of ten."""

    expected_s: float
    low_s: float
    high_s: float
    samples: int = 0  # ended runs that it was learned from; 0: it is the time limit
    basis: str = ""  # in words: "12 runs of train.py by alice"


def no_estimate(key: ClassKey) -> Estimate | None:
    """Where nothing is known of runs like these."""
    return None


@dataclass(frozen=True, slots=True)
class Basis:
    """What the rank of a class depends on beside the class."""

    rules: SchedulingRules
    queues: Mapping[str, QueueSettings]
    inventory: Inventory
    estimate: Callable[[ClassKey], Estimate | None] = no_estimate


@dataclass(frozen=True, slots=True)
class HeldRun:
    """A run that holds a grant. Times are wall; `expected_end_s` inf: nobody can say; `latest_end_s` inf: no limit ends it."""

    job_id: JobId
    key: ClassKey
    grant: Grant
    begun_s: float
    expected_end_s: float = inf
    latest_end_s: float = inf
    preempt_mode: PreemptMode = PreemptMode.OFF  # what may be done to it now, by its queue, its QoS and itself
    preemptible_from_s: float = 0.0
    suspended: bool = False  # for another: `grant` is what it keeps
    stopping: bool = False  # told to end: it makes room by itself
    whole: Grant | None = None  # suspended for another: what it is to have again before it goes on


@dataclass(frozen=True, slots=True)
class Promise:
    """A job that others make room for: it starts before all others, and until then what is free of `grant` is kept for it."""

    job_id: JobId
    key: ClassKey
    grant: Grant | None = None  # what it was found to get; None: no longer known


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The world as a policy may know it. `pool` is a trial: what a policy takes from it is undone after the pass."""

    now_s: float
    lanes: Sequence[Lane]  # each with count >= 1
    pool: Pool
    slots: Mapping[str, int] = field(default_factory=dict)  # starts a queue may still make; absent: no limit
    usage: Mapping[Association, float] = field(default_factory=dict)  # decayed dominant share-seconds, see fairshare
    shares: Mapping[str, float] = field(default_factory=dict)  # of the root's own users; absent: 1.0
    max_starts: int = 1000  # a pass may stop there; the engine asks again at once
    keeper: Keeper | None = None  # of what is reserved; None: nothing is
    budgets: Mapping[Holder, Budget] = field(default_factory=dict)  # absent: no limit
    rules: SchedulingRules = SchedulingRules()
    queues: Mapping[str, QueueSettings] = field(default_factory=dict)
    runs: Sequence[HeldRun] = ()
    estimate: Callable[[ClassKey], Estimate | None] = no_estimate
    promised: Sequence[Promise] = ()  # the oldest promise first
    in_vain: Sequence[JobId] = ()  # for whom room was made lately and did no good: none is made now
    can_preempt: bool = False  # whoever follows the plan carries out its evictions, and keeps its promises

    @property
    def basis(self) -> Basis:
        return Basis(self.rules, self.queues, self.pool.inventory, self.estimate)


class WaitKind(StrEnum):
    RESOURCES = "resources"  # it does not fit beside what runs
    BEHIND = "behind"  # it would fit, but another goes first
    QUEUE_LIMIT = "queue-limit"
    RESERVATION = "reservation"  # what it needs is kept for others
    USER_LIMIT = "user-limit"  # it is its own user's other jobs that keep it waiting
    QOS_LIMIT = "qos-limit"


@dataclass(frozen=True, slots=True)
class Wait:
    """Why a class waits. `blocker`: the oldest job of the class that goes first; `resource`: the one that is short."""

    kind: WaitKind
    resource: str = ""
    blocker: JobId | None = None
    reservation: int = 0


@dataclass(frozen=True, slots=True)
class Start:
    job_id: JobId
    grant: Grant


@dataclass(frozen=True, slots=True)
class Eviction:
    """A run that makes room: `mode` says how, `beneficiary` for whom."""

    job_id: JobId
    mode: PreemptMode
    beneficiary: JobId


@dataclass(frozen=True, slots=True)
class Planned:
    """What backfill keeps for a job that waits: it is expected to start at `at_s` (wall) with `grant`."""

    job_id: JobId
    at_s: float
    grant: Grant


@dataclass(frozen=True, slots=True)
class Plan:
    """`waits` has a reason for every class that was looked at and of which not all start: who is absent waits behind those."""

    starts: tuple[Start, ...]
    waits: Mapping[ClassKey, Wait] = field(default_factory=dict)
    more: bool = False  # stopped at max_starts
    evictions: tuple[Eviction, ...] = ()
    resumes: tuple[JobId, ...] = ()  # suspended runs whose whole grant is free again
    reservations: tuple[Planned, ...] = ()
    promises: tuple[Promise, ...] = ()  # to the beneficiaries of the evictions


Policy = Callable[[Snapshot], Plan]
Within = Callable[[JobClass, SchedulingRules, float], tuple[Rank, float]]
"""The rank of a class within its lane (lower ones go first) as of a moment (wall), and until when it holds (wall; inf: until the class changes)."""
Ranking = Callable[[Snapshot, ClassKey], Callable[[ClassKey], Rank | None]]
"""For one class, the places of all as they stand now: lower ones go first, then the older job; None: not in the same line."""
