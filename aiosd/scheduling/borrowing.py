"""Queues that may hold more than their share while nobody else wants it: they are asked a second time, after all others."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from aiosd.ids import JobId
from aiosd.scheduling.lanes import PlainLane
from aiosd.scheduling.policy import ClassKey, JobClass, Lane, Order, Rank, Snapshot

Make = Callable[[Sequence[Lane]], Order]


def in_two_rounds(world: Snapshot, make: Make) -> Order:
    """The order that `make` makes of the lanes; where queues may borrow, what their shares kept waiting comes once more at its end."""
    borrowers = frozenset(name for name, queue in world.queues.items() if queue.borrow and queue.share_permille)
    return TwoRounds(world.lanes, make, borrowers) if borrowers else make(world.lanes)


@dataclass(frozen=True, slots=True)
class Remainder:
    """A class without the first few of its jobs. Implements JobClass."""

    whole: JobClass
    begun: int

    @property
    def key(self) -> ClassKey:
        return self.whole.key

    @property
    def count(self) -> int:
        return self.whole.count - self.begun

    def __iter__(self) -> Iterator[JobId]:
        return islice(self.whole, self.begun, None)

    @property
    def oldest(self) -> JobId:
        return next(iter(self))

    @property
    def eligible_at_s(self) -> float:
        return self.since_s(self.oldest)

    def since_s(self, job_id: JobId) -> float:
        return self.whole.since_s(job_id)


class TwoRounds:
    """All lanes, then once more the classes of borrowers that were dropped. An Order."""

    def __init__(self, lanes: Sequence[Lane], make: Make, borrowers: frozenset[str]) -> None:
        self._lanes = lanes
        self._make = make
        self._borrowers = borrowers
        self._begun: Counter[ClassKey] = Counter()
        self._dropped: set[ClassKey] = set()
        self._again = False
        self._order = make(lanes)

    def __bool__(self) -> bool:
        return bool(self._order)

    @property
    def head(self) -> tuple[ClassKey, JobId]:
        return self._order.head

    def advance(self) -> None:
        key, _ = self._order.head
        if key.queue in self._borrowers:
            self._begun[key] += 1
        self._order.advance()
        self._turn_round()

    def drop(self) -> None:
        key, _ = self._order.head
        if key.queue in self._borrowers:
            self._dropped.add(key)
        self._order.drop()
        self._turn_round()

    def _turn_round(self) -> None:
        if self._order or self._again or not self._dropped:
            return
        self._again = True
        left = [PlainLane(lane.key, self._left(lane)) for lane in self._lanes if lane.key.queue in self._borrowers]
        self._order = self._make([lane for lane in left if lane.classes])

    def _left(self, lane: Lane) -> list[tuple[Rank, JobClass]]:
        return [(rank, Remainder(each, self._begun[each.key])) for rank, each in lane if each.key in self._dropped and each.count > self._begun[each.key]]
