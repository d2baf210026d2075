"""Fair Tree: accounts and users ranked level by level, by what they are due over what they have used."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from math import frexp, inf, isfinite, ldexp
from operator import itemgetter
from typing import NamedTuple

from aiosd.scheduling.fairshare import Association
from aiosd.scheduling.rules import AccountSettings

MOST = 1e30  # of shares and of usage: with more, quotients would not be numbers any more
_BITS = 40  # of a quotient that count: what differs by rounding alone is a tie


class Standing(NamedTuple):
    """Of one user: `rank` 1 goes first, those who are tied share one; `factor` is 1 for the first and 1/n for the last of n."""

    rank: int
    factor: float


@dataclass(slots=True, eq=False)
class Node:
    """An account, or a user in one. `usage` of an account is that of all below it."""

    name: str
    parent: "Node | None"
    shares: float = 1.0
    usage: float = 0.0
    is_user: bool = True
    accounts: "dict[str, Node]" = field(default_factory=dict)
    users: "dict[str, Node]" = field(default_factory=dict)
    shares_below: float = 0.0

    @property
    def children(self) -> "Iterator[Node]":
        yield from self.users.values()
        yield from self.accounts.values()

    @property
    def claim(self) -> float:
        """Usage over shares: of siblings, the lowest goes first. Infinite without shares."""
        return rounded(self.usage / self.shares) if self.shares else inf

    @property
    def level_claim(self) -> float:
        """The same, both as parts of what the siblings have together: comparable among cousins. The inverse of Slurm's Level Fairshare."""
        if not self.shares or self.parent is None:
            return inf if not self.shares else 0.0
        return rounded(self.usage * self.parent.shares_below / (self.shares * self.parent.usage)) if self.usage else 0.0


def rounded(value: float) -> float:
    """`value` to 40 bits."""
    mantissa, exponent = frexp(value)
    return ldexp(round(ldexp(mantissa, _BITS)), exponent - _BITS)


class FairTree:
    """Level by level, whose usage is least for its shares goes first with all below it.

    Shares and usage that are no positive finite numbers count as 0. Without shares, one goes after all siblings that have some.
    Where no accounts are configured, or the one of a job is not there any more, its user is one of the root's own.
    Source: https://slurm.schedmd.com/fair_tree.html (R. Cox and L. Morrison, 2014), with ties as it says.
    """

    def __init__(self, accounts: Mapping[str, AccountSettings], shares: Mapping[str, float], usage: Mapping[Association, float]) -> None:
        """`shares` of the root's own users, 1 for who is not named; `usage` by association, see fairshare."""
        self._accounts = accounts
        self._shares = shares
        self._nodes: dict[str, Node] = {}
        self._leaves: dict[Association, Node] = {}
        self.root = Node("", None, is_user=False)
        for name, account in accounts.items():
            node = self._account(name)
            for user in account.users:
                self._user(node, user)
        if accounts:  # else they come with their usage or their jobs, and nothing compares them with those who are not there
            for user in shares:
                self._user(self.root, user)
        for association, used in usage.items():
            self.charge(self.leaf(association), positive(used))

    def leaf(self, association: Association) -> Node:
        """Where usage of this user under this account is charged."""
        found = self._leaves.get(association)
        if found is None:
            account = self._nodes.get(association.account, self.root) if association.account else self.root
            found = self._leaves[association] = self._user(account, association.user)
        return found

    def charge(self, leaf: Node, amount: float) -> None:
        """The user has used so much more, and so have all above it."""
        node: Node | None = leaf
        while node is not None:
            node.usage += amount
            node = node.parent

    def due(self, node: Node) -> float:
        """The part of the machine that it is due, in [0, 1]."""
        part = 1.0
        while node.parent is not None:
            part *= node.shares / node.parent.shares_below if node.parent.shares_below else 0.0
            node = node.parent
        return part

    def used(self, node: Node) -> float:
        """Its part of all usage, in [0, 1]."""
        return node.usage / self.root.usage if self.root.usage else 0.0

    def standings(self) -> dict[Node, Standing]:
        """Of every user in the tree."""
        places: dict[Node, int] = {}
        self._visit(list(self.root.children), places, None)
        total = len(places)
        return {node: Standing(place, (total - place + 1) / total) for node, place in places.items()}

    def _visit(self, siblings: list[Node], places: dict[Node, int], tied_at: int | None) -> None:
        """Rank all below these, which are of one account or of several that are tied. `tied_at`: the place that the first of them shares."""
        claims = sorted([(node.level_claim, node) for node in siblings], key=_claim)
        for _, group in groupby(claims, key=_claim):
            tied = [node for _, node in group]
            place = len(places) + 1 if tied_at is None else tied_at
            users = [node for node in tied if node.is_user]
            places.update(dict.fromkeys(users, place))
            below = [child for node in tied if not node.is_user for child in node.children] if len(users) < len(tied) else []
            if below:
                self._visit(below, places, place if users or tied_at is not None else None)
            if users or below:
                tied_at = None

    def _account(self, name: str, seen: tuple[str, ...] = ()) -> Node:
        """The account's node, made with those above it; a parent that is not there, or below it, is the root."""
        found = self._nodes.get(name)
        if found is None:
            settings = self._accounts[name]
            known = settings.parent in self._accounts and settings.parent not in (*seen, name)
            parent = self._account(settings.parent, (*seen, name)) if known else self.root
            found = self._nodes.get(name)
        if found is None:
            found = self._nodes[name] = parent.accounts[name] = Node(name, parent, positive(settings.shares), is_user=False)
            parent.shares_below += found.shares
        return found

    def _user(self, account: Node, name: str) -> Node:
        found = account.users.get(name)
        if found is None:
            listed = self._shares if account is self.root else self._accounts[account.name].users
            found = account.users[name] = Node(name, account, positive(listed[name]) if name in listed else 1.0)
            account.shares_below += found.shares
        return found


_claim = itemgetter(0)


def positive(amount: float) -> float:
    """`amount`, or 0 for what is none; of what nobody can mean, the most or the least that one may."""
    return min(max(amount, 1 / MOST), MOST) if isfinite(amount) and amount > 0 else 0.0


def preorder(node: Node, depth: int = 0) -> Iterable[tuple[Node, int]]:
    """All below `node` with their depth: accounts before what is in them, users first, each by name."""
    for child in (*(node.users[name] for name in sorted(node.users)), *(node.accounts[name] for name in sorted(node.accounts))):
        yield child, depth
        yield from preorder(child, depth + 1)
