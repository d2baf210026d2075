"""The tree of accounts and users as it stands: shares, usage, and who goes first."""

from collections import Counter
from dataclasses import dataclass

from aiosd.clock import Instant
from aiosd.jobs.state import State
from aiosd.scheduling.fairshare import Association
from aiosd.scheduling.fairtree import FairTree, Node, preorder


@dataclass(frozen=True, slots=True)
class ShareNode:
    """An account, or a user in one. `share` and `usage_share` are parts of the whole machine's and of all usage, in [0, 1].

    `usage` is in dominant share-seconds, decayed, with a nominal hour more of what runs. `level_fair_share` is the share among its
    siblings over its part of what they used: above 1 it is owed, infinite without usage. `rank`: of a user, 1 goes first; else 0.
    """

    name: str
    parent: str
    is_user: bool
    shares: float
    share: float
    usage: float
    usage_share: float
    level_fair_share: float
    rank: int
    depth: int
    queued: int
    running: int


def shares(state: State, now: Instant) -> list[ShareNode]:
    """Everybody who has shares, usage or jobs, accounts before what is in them."""
    tree = FairTree(state.settings.scheduling.accounts, state.settings.shares, state.ledger.usage(now.wall_s))
    queued = _below(tree, _queued(state))
    running = _below(tree, Counter(state.charged.values()))
    ranks = {node: standing.rank for node, standing in tree.standings().items()}
    found = []
    for node, depth in preorder(tree.root):
        assert node.parent is not None
        found.append(
            ShareNode(
                name=node.name,
                parent=node.parent.name,
                is_user=node.is_user,
                shares=node.shares,
                share=tree.due(node),
                usage=node.usage,
                usage_share=tree.used(node),
                level_fair_share=1 / node.level_claim if node.level_claim else float("inf"),
                rank=ranks.get(node, 0),
                depth=depth,
                queued=queued[node],
                running=running[node],
            )
        )
    return found


def _queued(state: State) -> Counter[Association]:
    counts: Counter[Association] = Counter()
    for queued in state.backlog.classes.values():
        counts[Association(queued.key.account, queued.key.user)] += queued.count
    return counts


def _below(tree: FairTree, counts: Counter[Association]) -> Counter[Node]:
    """By node of the tree, with all that is below it."""
    found: Counter[Node] = Counter()
    for whose, number in counts.items():
        node: Node | None = tree.leaf(whose)
        while node is not None:
            found[node] += number
            node = node.parent
    return found
