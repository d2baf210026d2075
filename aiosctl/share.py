"""`share`: the tree of accounts and users, with what each is due and has used."""

from aios.queues import Share
from aiosctl import session
from aiosctl.lazy import verb
from aiosctl.options import output_options
from aiosctl.output import Column, Shape, print_rows

HOUR_S = 3600.0


def _due(node: Share) -> str:
    """Its part among its siblings over its part of what they used: below 1 it has had more than it is due."""
    return "-" if node.level_fair_share is None else f"{node.level_fair_share:.2f}"


COLUMNS: list[Column[Share]] = [
    Column("ACCOUNT/USER", lambda n: "  " * n.depth + (n.name if n.is_user else f"{n.name}/"), cut=True),
    Column("SHARES", lambda n: f"{n.shares:g}", right=True),
    Column("DUE", lambda n: f"{100 * n.share:.1f}%", right=True),
    Column("USED", lambda n: f"{100 * n.usage_share:.1f}%", right=True),
    Column("HOURS", lambda n: f"{n.usage / HOUR_S:.2f}", right=True),
    Column("LEVEL", _due, right=True),
    Column("RANK", lambda n: str(n.rank or ""), right=True),
    Column("QUEUED", lambda n: str(n.queued), right=True, wide=True),
    Column("RUNNING", lambda n: str(n.running), right=True, wide=True),
]


@verb("aiosctl share", "aiosctl share -o wide", "aiosctl share -o json")
@output_options
def share(shape: Shape) -> None:
    """What each account and user is due of the machine, what it has used of it, and who goes first under policy fair.

    HOURS are hours of the whole machine, by the largest part of any one resource that jobs held; they fade with the half-life
    scheduler.usage_half_life_s, and what runs counts an hour more. LEVEL is what one is due beside its siblings over what it has used
    beside them: above 1 it is owed something. RANK 1 goes first; under policy priority it makes the factor fair_share.
    """
    with session.connect() as client:
        print_rows(client.shares().nodes, COLUMNS, lambda node: node.name, shape, nothing="nobody has used anything yet")
