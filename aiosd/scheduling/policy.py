"""What a policy sees and what it answers: `Policy = Snapshot -> Plan`."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, Protocol

from aiosd.ids import JobId
from aiosd.resources.grant import Grant
from aiosd.resources.pool import Pool
from aiosd.resources.request import Request
from aiosd.scheduling.reservations import Keeper


class ClassKey(NamedTuple):
    """Jobs that a policy cannot tell apart but by age. `priority` is the job's and its queue's together."""

    queue: str
    user: str
    account: str
    priority: int
    request: Request
    lasts_s: float = 0.0  # a run ends after so long at the latest; 0: nobody knows, or nobody asks while nothing is reserved


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


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The world as a policy may know it. `pool` is a trial: what a policy takes from it is undone after the pass."""

    now_s: float
    classes: Sequence[JobClass]  # each with count >= 1
    pool: Pool
    slots: Mapping[str, int] = field(default_factory=dict)  # starts a queue may still make; absent: no limit
    usage: Mapping[str, float] = field(default_factory=dict)  # decayed dominant share-seconds by user, see fairshare
    shares: Mapping[str, float] = field(default_factory=dict)  # by user; absent: 1.0
    max_starts: int = 1000  # a pass may stop there; the engine asks again at once
    keeper: Keeper | None = None  # of what is reserved; None: nothing is


class WaitKind(StrEnum):
    RESOURCES = "resources"  # it does not fit beside what runs
    BEHIND = "behind"  # it would fit, but another goes first
    QUEUE_LIMIT = "queue-limit"
    RESERVATION = "reservation"  # what it needs is kept for others


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
class Plan:
    """`waits` has a reason for every class of which not all start. Evictions and reservations come with backfill."""

    starts: tuple[Start, ...]
    waits: Mapping[ClassKey, Wait] = field(default_factory=dict)
    more: bool = False  # stopped at max_starts


Policy = Callable[[Snapshot], Plan]
Rank = tuple[float, ...]
Ranking = Callable[[Snapshot, ClassKey], Callable[[ClassKey], Rank | None]]
"""For one class, the places of all as they stand now: lower ones go first, then the older job; None: not in the same line."""
