"""What a run is charged to: its user under its account, for the largest part of any one resource that it holds."""

from aiosd.clock import Instant
from aiosd.jobs.job import Job
from aiosd.jobs.state import State
from aiosd.resources.grant import Grant
from aiosd.scheduling.fairshare import Association, dominant_share


def association(state: State, job: Job) -> Association:
    """Whom it is charged to; a label that is no configured account is none, for anybody could make a new one for each job."""
    return Association(state.account_of(job.spec), job.owner.name)


def begin(state: State, job: Job, at_s: float) -> None:
    """From its dispatch on a run counts: in the usage of who is charged, times what its QoS costs, and under every limit."""
    assert job.run is not None
    share = state.shares[job.id] = _billed(state, job, job.run.grant)
    whose = state.charged[job.id] = association(state, job)
    state.ledger.begin(whose, share, at_s)
    state.holdings.begin(job)


def change(state: State, job: Job, grant: Grant, since_s: float, now: Instant) -> None:
    """From now on the run is charged for another grant; `since_s`: since when for the one before. What limits count is not changed here."""
    whose = state.charged[job.id]
    state.ledger.finish(whose, state.shares[job.id], since_s, now.wall_s)
    share = state.shares[job.id] = _billed(state, job, grant)
    state.ledger.begin(whose, share, now.wall_s)


def finish(state: State, job: Job, now: Instant) -> None:
    """The grant is given back: what was used stays charged."""
    assert job.run is not None
    state.ledger.finish(state.charged.pop(job.id), state.shares.pop(job.id), job.run.since_s, now.wall_s)
    state.holdings.finish(job, now)


def gpu_seconds(job: Job, now_s: float) -> float:
    """GPUs times seconds that its runs have held so far, until its end at the latest; half a GPU counts half."""
    if job.run is None:
        return job.gpu_s
    until_s = job.outcome.ended_at_s if job.outcome is not None else now_s
    gpus = sum(device.millis for device in job.run.grant.devices if device.kind == "gpu") / 1000
    return job.gpu_s + gpus * max(0.0, until_s - job.run.since_s)


def _billed(state: State, job: Job, grant: Grant) -> float:
    qos = state.settings.scheduling.qos.get(job.spec.qos)
    return dominant_share(grant, state.pool.inventory) * (qos.usage_factor if qos is not None else 1.0)
