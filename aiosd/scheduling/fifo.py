"""First in, first out: in each queue nobody starts before those that came earlier."""

from collections.abc import Callable

from aiosd.scheduling.borrowing import in_two_rounds
from aiosd.scheduling.ordering import Line
from aiosd.scheduling.policy import ClassKey, Plan, Rank, Snapshot
from aiosd.scheduling.walk import walk_strictly


def fifo(world: Snapshot) -> Plan:
    """Strict arrival order within each queue: its first job that does not fit blocks every later one of that queue.

    Queues are served together, by the age of their jobs; priorities do not count. What the first job of a blocked queue
    waits for is withheld from the other queues, so that they use only what it leaves.
    """
    return walk_strictly(world, in_two_rounds(world, Line))


def fifo_ranking(world: Snapshot, mine: ClassKey) -> Callable[[ClassKey], Rank | None]:
    """Age alone, among the jobs of the same queue."""
    return lambda key: () if key.queue == mine.queue else None
