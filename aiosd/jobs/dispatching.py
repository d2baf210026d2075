"""The engine asks the policy what to start, and starts it."""

from collections import defaultdict
from dataclasses import replace

from aiosd.clock import Instant
from aiosd.ids import JobId
from aiosd.jobs import arrays
from aiosd.jobs.actions import Launch
from aiosd.jobs.job import Job, Phase, Run
from aiosd.jobs.lifecycle import Cue, move
from aiosd.jobs.state import State, pending_element
from aiosd.resources.grant import Grant
from aiosd.scheduling.fairshare import dominant_share
from aiosd.scheduling.policy import Plan, Snapshot, Start
from aiosd.scheduling.registry import POLICIES


def dispatch(state: State, now: Instant) -> None:
    """Passes until nothing more can start. Costs nothing when nothing has changed since the last."""
    while state.dirty and state.drain_reason is None:
        state.dirty = False
        plan = _plan(state, now)
        _start_all(state, plan.starts, now)
        state.waits = plan.waits
        state.dirty = plan.more and bool(plan.starts)


def _plan(state: State, now: Instant) -> Plan:
    slots = {name: max(0, q.max_running - state.active_in[name]) for name, q in state.queues.items() if q.max_running}
    stopped = {name for name, q in state.queues.items() if not q.started}
    with state.pool.trial() as pool:
        return POLICIES[state.policy].policy(
            Snapshot(
                now_s=now.wall_s,
                classes=[c for c in state.backlog.classes.values() if c.count and c.key.queue not in stopped],
                pool=pool,
                slots=slots,
                usage=state.ledger.usage(now.wall_s),
                shares=state.settings.shares,
                max_starts=state.settings.max_starts_per_pass,
            )
        )


def _start_all(state: State, starts: tuple[Start, ...], now: Instant) -> None:
    elements: dict[JobId, list[int]] = defaultdict(list)
    for start in starts:
        state.pool.assign(start.grant)
        whole = start.job_id.whole
        if start.job_id in state.jobs:
            _start(state, state.jobs[start.job_id], start.grant, now)
        else:
            elements[whole].append(start.job_id.index)
            _start(state, pending_element(state.jobs[whole], start.job_id.index), start.grant, now)
    for whole, indices in elements.items():
        state.put(arrays.with_started(state.jobs[whole], indices))


def _start(state: State, job: Job, grant: Grant, now: Instant) -> None:
    share = state.shares[job.id] = dominant_share(grant, state.pool.inventory)
    state.ledger.begin(job.owner.name, share, now.wall_s)
    assert job.phase is Phase.QUEUED, f"{job.id} is {job.phase}"
    job = state.put(
        replace(job, phase=move(job.phase, Cue.DISPATCH), attempt=job.attempt + 1, reason="", not_before_s=0.0, run=Run(grant, now.wall_s, state.boot_id))
    )
    state.actions.append(Launch(job))
