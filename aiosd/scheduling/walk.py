"""The walk along an order: who starts, and what is kept from those behind for whoever cannot."""

from aiosd.ids import JobId
from aiosd.scheduling.backfill import backfill
from aiosd.scheduling.passes import MOST_TOLD, Pass
from aiosd.scheduling.policy import Order, Plan, Snapshot
from aiosd.scheduling.rules import Backfill


def walk(world: Snapshot, order: Order) -> Plan:
    """A job that does not fit is passed by only with what it cannot use.

    For the first job that is short of a resource, all that it asks for is withheld as far as it is free: later ones start beside
    it, never in its place, and so small jobs do not starve a big one. One hold for each short resource is enough: of that resource
    nothing is left to those behind, and idle processors are not kept for every job that waits for a GPU. Behind the first that
    waits no more than `backfill_depth` are looked at.
    """
    if world.rules.backfill is not Backfill.OFF:
        return backfill(world, order)
    this_pass = Pass(world)
    left = world.rules.backfill_depth
    while order and left:
        if this_pass.full:
            return this_pass.plan(more=True)
        key, job_id = order.head
        if not this_pass.has_slot(key):
            order.drop()
            continue
        left = min(left, MOST_TOLD) - 1 if this_pass.exhausted else left - this_pass.holds
        if this_pass.start(key, job_id):
            order.advance()
            continue
        order.drop()
        if order and this_pass.must_hold(key):
            this_pass.hold(key, job_id)
    return this_pass.plan()


def walk_strictly(world: Snapshot, order: Order) -> Plan:
    """In each queue nobody passes by a job that does not fit; what it waits for is withheld from the other queues, too."""
    if world.rules.backfill is not Backfill.OFF:
        return backfill(world, order)
    this_pass = Pass(world)
    blockers: dict[str, JobId] = {}
    queues = {lane.key.queue for lane in world.lanes}
    told = 0
    while order and told < MOST_TOLD:
        if this_pass.full:
            return this_pass.plan(more=True)
        key, job_id = order.head
        blocker = blockers.get(key.queue)
        if blocker is not None:
            this_pass.behind(key, blocker)
            order.drop()
            told += len(blockers) == len(queues)
        elif not this_pass.has_slot(key):
            order.drop()
        elif this_pass.start(key, job_id):
            order.advance()
        else:
            order.drop()
            if this_pass.kept_out(key):  # strict order would only keep the machine idle until the reservation begins
                if order and this_pass.must_hold(key):
                    this_pass.hold(key, job_id)
                continue
            blockers[key.queue] = job_id
            if order:
                this_pass.hold(key, job_id)
    return this_pass.plan()
