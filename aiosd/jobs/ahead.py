"""Who goes first, with what decides that: shares, usage, priority."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiosd.ids import JobId
from aiosd.jobs.billing import association
from aiosd.jobs.job import Job
from aiosd.scheduling.fairshare import Association
from aiosd.scheduling.fairtree import FairTree
from aiosd.scheduling.multifactor import factors
from aiosd.scheduling.policy import Snapshot

if TYPE_CHECKING:
    from aiosd.jobs.state import State


@dataclass(frozen=True, slots=True)
class Factor:
    """A part of a job's priority: `factor` is in [0, 1]."""

    name: str
    factor: float
    weight: float

    @property
    def points(self) -> float:
        return self.factor * self.weight


@dataclass(frozen=True, slots=True)
class AheadJob:
    """Who goes first, with what decides: what its user is due and has used, in [0, 1], and its priority."""

    job_id: JobId
    user: str
    account: str = ""
    share: float = 0.0
    usage: float = 0.0
    priority: float = 0.0


def ahead_jobs(state: State, world: Snapshot, ids: Sequence[JobId]) -> tuple[AheadJob, ...]:
    """Shares and usage are parts of the whole tree's; the priority is in points under the policy priority, else what was asked for."""
    tree = FairTree(world.rules.accounts, world.shares, world.usage)
    for lane in world.lanes:
        tree.leaf(Association(lane.key.account, lane.key.user))

    def told(job_id: JobId) -> AheadJob:
        job = state.job(job_id)
        leaf = tree.leaf(association(state, job))
        return AheadJob(job_id, job.owner.name, job.spec.account, tree.due(leaf), tree.used(leaf), _priority(state, world, job))

    return tuple(map(told, ids))


def _priority(state: State, world: Snapshot, job: Job) -> float:
    if state.policy_in_force == "priority":
        return sum(factor.points for factor in factors_of(state, world, job))
    queue = state.queues.get(job.spec.queue)
    return job.spec.priority + (queue.priority if queue is not None else 0)


def factors_of(state: State, world: Snapshot, job: Job) -> tuple[Factor, ...]:
    """What the priority of a job that waits is made of; nothing under any other policy."""
    if state.policy_in_force != "priority":
        return ()
    return tuple(Factor(*factor) for factor in factors(world, state.class_key(job), job.eligible_at_s))
