"""Who goes first, with what decides that: shares, usage, priority."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiosd.ids import JobId
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
    """Shares and usage are parts of those of all users who have used something or wait."""
    users = set(world.usage) | {lane.key.user for lane in world.lanes}
    shares = {user: max(0.0, world.shares.get(user, 1.0)) for user in users}
    all_shares, all_usage = sum(shares.values()), sum(world.usage.values())

    def told(job_id: JobId) -> AheadJob:
        job = state.job(job_id)
        user, queue = job.owner.name, state.queues.get(job.spec.queue)
        share = shares.get(user, 1.0) / all_shares if all_shares else 0.0
        usage = world.usage.get(user, 0.0) / all_usage if all_usage else 0.0
        return AheadJob(job_id, user, job.spec.account, share, usage, job.spec.priority + (queue.priority if queue is not None else 0))

    return tuple(map(told, ids))
