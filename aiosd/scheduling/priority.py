"""The highest priority first, and among equals the oldest."""

from collections.abc import Callable

from aiosd.scheduling.ordering import Line, by_priority
from aiosd.scheduling.passes import Pass
from aiosd.scheduling.policy import ClassKey, Plan, Rank, Snapshot


def priority(world: Snapshot) -> Plan:
    """Jobs in order of priority, then age; one that does not fit is passed by only with what it cannot use.

    For the first job that is short of a resource, all that it asks for is withheld as far as it is free: lower ones
    start beside it, never in its place, and so small jobs do not starve a big one. One hold for each short resource is
    enough: of that resource nothing is left to those behind, and idle processors are not kept for every job that waits
    for a GPU. Waiting does not raise a priority yet.
    """
    this_pass = Pass(world)
    line = Line(world.classes, by_priority)
    while line:
        if this_pass.full:
            return this_pass.plan(more=True)
        key, job_id = line.head
        if this_pass.has_slot(key) and this_pass.start(key, job_id):
            line.advance()
            continue
        line.drop()
        if line and this_pass.must_hold(key):
            this_pass.hold(key, job_id)
    return this_pass.plan()


def priority_ranking(world: Snapshot, mine: ClassKey) -> Callable[[ClassKey], Rank | None]:
    """Priority, whatever the queue."""
    return lambda key: (by_priority(key),)
