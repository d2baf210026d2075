"""The most points first, for waiting, fair share, size, queue, QoS, niceness and what was asked for; who is overdue before all."""

from collections.abc import Callable

from aiosd.scheduling.borrowing import in_two_rounds
from aiosd.scheduling.multifactor import Ranks
from aiosd.scheduling.ordering import Line, ages
from aiosd.scheduling.policy import ClassKey, Plan, Rank, Snapshot
from aiosd.scheduling.walk import walk


def priority(world: Snapshot) -> Plan:
    """Jobs in order of their points (see multifactor), then age. Fair shares count as they stood when the pass began."""
    ranks = Ranks(world)
    return walk(world, in_two_rounds(world, lambda lanes: Line(lanes, ranks.across, ranks.again)))


def priority_ranking(world: Snapshot, mine: ClassKey) -> Callable[[ClassKey], Rank | None]:
    """Points, whatever the queue. A class stands where its oldest does; one that is in no lane has just come."""
    ranks, since_s = Ranks(world), ages(world)
    return lambda key: ranks.of(key, since_s.get(key, world.now_s))
