"""What a run is charged to: its user under its account, for the largest part of any one resource that it holds."""

from aiosd.clock import Instant
from aiosd.jobs.job import Job
from aiosd.jobs.state import State
from aiosd.resources.grant import Grant
from aiosd.scheduling.fairshare import Association, dominant_share


def association(job: Job) -> Association:
    return Association(job.spec.account, job.owner.name)


def begin(state: State, job: Job, at_s: float) -> None:
    """From its dispatch on a run counts: in the usage of who is charged, times what its QoS costs, and under every limit."""
    assert job.run is not None
    share = state.shares[job.id] = _billed(state, job, job.run.grant)
    state.ledger.begin(association(job), share, at_s)
    state.holdings.begin(job)


def change(state: State, job: Job, grant: Grant, since_s: float, now: Instant) -> None:
    """From now on the run is charged for another grant; `since_s`: since when for the one before. What limits count is not changed here."""
    state.ledger.finish(association(job), state.shares[job.id], since_s, now.wall_s)
    share = state.shares[job.id] = _billed(state, job, grant)
    state.ledger.begin(association(job), share, now.wall_s)


def finish(state: State, job: Job, now: Instant) -> None:
    """The grant is given back: what was used stays charged."""
    assert job.run is not None
    state.ledger.finish(association(job), state.shares.pop(job.id), job.run.since_s, now.wall_s)
    state.holdings.finish(job, now)


def _billed(state: State, job: Job, grant: Grant) -> float:
    qos = state.settings.scheduling.qos.get(job.spec.qos)
    return dominant_share(grant, state.pool.inventory) * (qos.usage_factor if qos is not None else 1.0)
