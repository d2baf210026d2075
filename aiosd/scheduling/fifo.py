"""First in, first out: in each queue nobody starts before those that came earlier."""

from collections.abc import Callable

from aiosd.ids import JobId
from aiosd.scheduling.ordering import Line, by_age
from aiosd.scheduling.passes import Pass
from aiosd.scheduling.policy import ClassKey, Plan, Rank, Snapshot


def fifo(world: Snapshot) -> Plan:
    """Strict arrival order within each queue: its first job that does not fit blocks every later one of that queue.

    Queues are served together, by the age of their jobs; priorities do not count. What the first job of a blocked queue
    waits for is withheld from the other queues, so that they use only what it leaves.
    """
    this_pass = Pass(world)
    line = Line(world.classes, by_age)
    blockers: dict[str, JobId] = {}
    while line:
        if this_pass.full:
            return this_pass.plan(more=True)
        key, job_id = line.head
        blocker = blockers.get(key.queue)
        if blocker is not None:
            this_pass.behind(key, blocker)
            line.drop()
        elif not this_pass.has_slot(key):
            line.drop()
        elif this_pass.start(key, job_id):
            line.advance()
        else:
            line.drop()
            if this_pass.kept_out(key):  # strict order would only keep the machine idle until the reservation begins
                if line and this_pass.must_hold(key):
                    this_pass.hold(key, job_id)
                continue
            blockers[key.queue] = job_id
            if line:
                this_pass.hold(key, job_id)
    return this_pass.plan()


def fifo_ranking(world: Snapshot, mine: ClassKey) -> Callable[[ClassKey], Rank | None]:
    """Age alone, among the jobs of the same queue."""
    return lambda key: () if key.queue == mine.queue else None
