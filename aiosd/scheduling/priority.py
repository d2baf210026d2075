"""The highest priority first, and among equals the oldest."""

from collections.abc import Callable

from aiosd.scheduling.ordering import Line, by_queue_and_rank, queue_rank
from aiosd.scheduling.policy import ClassKey, Plan, Rank, Snapshot
from aiosd.scheduling.walk import walk


def priority(world: Snapshot) -> Plan:
    """Jobs in order of priority, then age. Waiting does not raise a priority yet."""
    return walk(world, Line(world.lanes, by_queue_and_rank(world)))


def priority_ranking(world: Snapshot, mine: ClassKey) -> Callable[[ClassKey], Rank | None]:
    """Priority, whatever the queue."""
    return lambda key: (queue_rank(world, key.queue) - key.priority,)
