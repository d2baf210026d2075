"""The user who has used least of its share goes first; within a user priority, then age."""

from collections.abc import Callable, Mapping
from heapq import heapify, heappop, heapreplace
from math import inf

from aiosd.ids import JobId
from aiosd.resources.request import Request
from aiosd.scheduling.fairshare import NOMINAL_S, dominant_share
from aiosd.scheduling.ordering import Line, by_queue_and_rank, queue_rank
from aiosd.scheduling.policy import ClassKey, Lane, Plan, Rank, Snapshot
from aiosd.scheduling.walk import walk


class _Users:
    """Each user's line and what it has used so far, as a heap: the one who is owed most first, then the oldest job. An Order."""

    def __init__(self, world: Snapshot) -> None:
        self._world = world
        self._charged = dict(world.usage)
        across = by_queue_and_rank(world)
        self._lines = {user: Line(lanes, across) for user, lanes in _by_user(world).items()}
        self._heap = [self._entry(user) for user in self._lines]
        self._costs: dict[Request, float] = {}
        heapify(self._heap)

    def __bool__(self) -> bool:
        return bool(self._heap)

    @property
    def head(self) -> tuple[ClassKey, JobId]:
        return self._line.head

    @property
    def _line(self) -> Line:
        return self._lines[self._heap[0][2]]

    def advance(self) -> None:
        """Count the start as a nominal hour, so that a hundred jobs submitted at once do not slip in as free."""
        request = self.head[0].request
        if request not in self._costs:
            self._costs[request] = NOMINAL_S * dominant_share(request, self._world.pool.inventory)
        user = self._heap[0][2]
        self._charged[user] = self._charged.get(user, 0.0) + self._costs[request]
        self._line.advance()
        self._settle(user)

    def drop(self) -> None:
        """The user's turn stays, with the class after it."""
        user = self._heap[0][2]
        self._line.drop()
        self._settle(user)

    def _settle(self, user: str) -> None:
        if self._lines[user]:
            heapreplace(self._heap, self._entry(user))
        else:
            heappop(self._heap)

    def _entry(self, user: str) -> tuple[float, JobId, str]:
        return _claim(self._world, self._charged, user), self._lines[user].head[1], user


def fair(world: Snapshot) -> Plan:
    """Least (usage + what this pass has started) / share first.

    Usage is dominant share-seconds (see fairshare). A user with a share of 0 goes after all who have one.
    """
    return walk(world, _Users(world))


def fair_ranking(world: Snapshot, mine: ClassKey) -> Callable[[ClassKey], Rank | None]:
    """As if nobody's usage changed any more: users with less of it go first with all they have; among equals age decides."""
    claims: dict[str, float] = {}

    def rank(key: ClassKey) -> Rank:
        if key.user not in claims:
            claims[key.user] = _claim(world, world.usage, key.user)
        own = key if key.user == mine.user else mine
        return claims[key.user], queue_rank(world, own.queue) - own.priority

    return rank


def _claim(world: Snapshot, used: Mapping[str, float], user: str) -> float:
    """What the user has had of what it is due: who has the least is owed most."""
    share = world.shares.get(user, 1.0)
    return used.get(user, 0.0) / share if share > 0 else inf


def _by_user(world: Snapshot) -> dict[str, list[Lane]]:
    lanes: dict[str, list[Lane]] = {}
    for lane in world.lanes:
        lanes.setdefault(lane.key.user, []).append(lane)
    return lanes
