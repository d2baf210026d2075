"""Who has used least of its share goes first, account by account and user by user; within a user priority, then age."""

from collections.abc import Callable
from dataclasses import replace
from heapq import heapify, heappop, heapreplace

from aiosd.ids import JobId
from aiosd.resources.request import Request
from aiosd.scheduling.borrowing import in_two_rounds
from aiosd.scheduling.fairshare import NOMINAL_S, Association, dominant_share
from aiosd.scheduling.fairtree import FairTree, Node, positive
from aiosd.scheduling.ordering import OVERDUE, Cursor, Line, Urgency, ages, by_queue_and_rank, queue_rank
from aiosd.scheduling.policy import ClassKey, JobClass, Lane, Plan, Rank, Snapshot
from aiosd.scheduling.walk import walk

Entry = tuple[float, Rank, JobId, Node]  # the claim of a child, the claims below it level by level, the job whose turn it would be


class Standings:
    """The users who have jobs, by Fair Tree, with what this pass starts charged to them. An Order.

    First those with overdue jobs, the oldest first. Then a heap of heaps: each account has one of those below it that have jobs. Who
    is charged stands at the top of each on the way up, so a step costs the depth of the tree times the logarithm of its width.
    """

    def __init__(self, world: Snapshot) -> None:
        self._world = world
        self._tree = FairTree(world.rules.accounts, world.shares, world.usage)
        self._costs: dict[tuple[Request, str], float] = {}
        ranks, across = Urgency(world.basis), by_queue_and_rank(world)

        def again(job_class: JobClass, job_id: JobId) -> Rank:
            return ranks.rank(job_class.key, job_class.since_s(job_id), world.now_s)[0]

        self._lines: dict[Node, Line | Cursor] = {
            leaf: Line(lanes, across, again) if len(lanes) > 1 else Cursor(lanes[0], again) for leaf, lanes in self._by_leaf().items()
        }
        self._overdue = [self._late(leaf) for leaf, line in self._lines.items() if line and line.rank[0] == OVERDUE]
        heapify(self._overdue)
        self._heaps: dict[Node, list[Entry]] = {}
        if not self._overdue:
            self._pile_up()

    def __bool__(self) -> bool:
        return bool(self._overdue or self._heaps.get(self._tree.root))

    @property
    def head(self) -> tuple[ClassKey, JobId]:
        return self._lines[self._leaf].head

    @property
    def _leaf(self) -> Node:
        """Whose turn it is. IndexError, KeyError when nobody is left."""
        if self._overdue:
            return self._overdue[0][2]
        node = self._tree.root
        while not node.is_user:
            node = self._heaps[node][0][3]
        return node

    def advance(self) -> None:
        """Count the start as a nominal hour, so that a hundred jobs submitted at once do not slip in as free."""
        leaf = self._leaf
        self._tree.charge(leaf, self._cost(self._lines[leaf].head[0]))
        self._lines[leaf].advance()
        self._settle(leaf)

    def drop(self) -> None:
        """The user's turn stays, with the class after it."""
        leaf = self._leaf
        self._lines[leaf].drop()
        self._settle(leaf)

    def _cost(self, key: ClassKey) -> float:
        known = key.request, key.qos
        if known not in self._costs:
            self._costs[known] = NOMINAL_S * billed(self._world, key.qos) * dominant_share(key.request, self._world.pool.inventory)
        return self._costs[known]

    def _by_leaf(self) -> dict[Node, list[Lane]]:
        lanes: dict[Node, list[Lane]] = {}
        for lane in self._world.lanes:
            lanes.setdefault(self._tree.leaf(Association(lane.key.account, lane.key.user)), []).append(lane)
        return lanes

    def _settle(self, leaf: Node) -> None:
        if not self._overdue:
            self._sift(leaf)
            return
        line = self._lines[leaf]
        if line and line.rank[0] == OVERDUE:
            heapreplace(self._overdue, self._late(leaf))
        else:
            heappop(self._overdue)
            if not self._overdue:
                self._pile_up()

    def _late(self, leaf: Node) -> tuple[Rank, JobId, Node]:
        line = self._lines[leaf]
        return line.rank, line.job_id, leaf

    # The tree

    def _pile_up(self) -> None:
        """The heaps of all who have jobs left, from the leaves up."""
        above: dict[Node, list[Node]] = {}
        for leaf in (leaf for leaf, line in self._lines.items() if line):
            node = leaf
            while node.parent is not None:
                siblings = above.setdefault(node.parent, [])
                siblings.append(node)
                if len(siblings) > 1:
                    break  # those above are there
                node = node.parent
        self._fill(self._tree.root, above)

    def _fill(self, node: Node, above: dict[Node, list[Node]]) -> None:
        for child in above.get(node, ()):
            if not child.is_user:
                self._fill(child, above)
        self._heaps[node] = [self._entry(child) for child in above.get(node, ())]
        heapify(self._heaps[node])

    def _sift(self, leaf: Node) -> None:
        """The way up from who has been charged, or has dropped a class: it is at the top of each heap."""
        node, left = leaf, bool(self._lines[leaf])
        while node.parent is not None:
            heap = self._heaps[node.parent]
            if left:
                heapreplace(heap, self._entry(node))
            else:
                heappop(heap)
            node, left = node.parent, bool(heap)

    def _entry(self, node: Node) -> Entry:
        if node.is_user:
            return node.claim, (), self._lines[node].job_id, node
        _, below, job_id, child = self._heaps[node][0]
        return node.claim, _significant((child.level_claim, *below)), job_id, node


def _significant(claims: Rank) -> Rank:
    """Without the zeros at its end: accounts without usage are tied with users that have none, and age decides."""
    return claims if any(claims) else ()


def billed(world: Snapshot, qos: str) -> float:
    """What use by jobs of that QoS counts, times."""
    settings = world.rules.qos.get(qos)
    return positive(settings.usage_factor) if settings is not None else 1.0


def fair(world: Snapshot) -> Plan:
    """Fair Tree by (usage + what this pass has started) over shares; an overdue job goes before all that are not.

    Usage is dominant share-seconds (see fairshare). A user with a share of 0 goes after its siblings who have one.
    """
    return walk(world, in_two_rounds(world, lambda lanes: Standings(world if lanes is world.lanes else replace(world, lanes=lanes))))


def fair_ranking(world: Snapshot, mine: ClassKey) -> Callable[[ClassKey], Rank | None]:
    """As if nobody's usage changed any more: users with less of it go first with all they have; among equals age decides."""
    tree, ranks, since_s = FairTree(world.rules.accounts, world.shares, world.usage), Urgency(world.basis), ages(world)
    own_leaf = tree.leaf(Association(mine.account, mine.user))
    for lane in world.lanes:
        tree.leaf(Association(lane.key.account, lane.key.user))
    places: dict[Node, int] = {}

    def rank(key: ClassKey) -> Rank:
        urgency, _ = ranks.rank(key, since_s.get(key, world.now_s), world.now_s)
        if urgency[0] == OVERDUE:
            return urgency
        leaf = tree.leaf(Association(key.account, key.user))
        if leaf not in places:
            places.update((node, standing.rank) for node, standing in tree.standings().items())
        _, first, *further = ranks.rank(key if leaf is own_leaf else mine, world.now_s, world.now_s)[0]
        return (urgency[0], places[leaf], queue_rank(world, (key if leaf is own_leaf else mine).queue) + first, *further)

    return rank
