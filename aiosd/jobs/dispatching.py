"""The engine asks the policy what to start, and starts it."""

from collections.abc import Sequence

from aiosd.clock import Instant
from aiosd.jobs import limiting, reserving
from aiosd.jobs.actions import Launch
from aiosd.jobs.job import Run
from aiosd.jobs.placing import place
from aiosd.jobs.staging import open_line, recall, stage
from aiosd.jobs.state import State
from aiosd.scheduling.fairshare import dominant_share
from aiosd.scheduling.policy import Plan, Snapshot, Start
from aiosd.scheduling.registry import POLICIES


def dispatch(state: State, now: Instant) -> None:
    """Start what can start, then decide about successors. Costs nothing when nothing has changed since the last."""
    _start_what_can(state, now)
    if recall(state, now):
        _start_what_can(state, now)
    dirty = state.dirty
    stage(state, now)
    state.dirty = dirty  # nothing that was staged makes room


def _start_what_can(state: State, now: Instant) -> None:
    """Passes until nothing more can start."""
    while state.dirty and state.drain_reason is None and not state.held_back:
        state.dirty = False
        plan = _plan(state, now)
        _start_all(state, plan.starts, now)
        state.waits, state.planned = plan.waits, {planned.job_id: planned for planned in plan.reservations}
        state.passes, state.starts = state.passes + 1, state.starts + len(plan.starts)
        limiting.look_again(state, plan.waits, now)
        state.dirty = plan.more and bool(plan.starts)


def _plan(state: State, now: Instant) -> Plan:
    slots = {name: max(0, q.max_running - state.active_in[name]) for name, q in state.queues.items() if q.max_running}
    stopped = {name for name, q in state.queues.items() if not q.started}
    keeper = reserving.keeper(state, now)
    lanes = [lane for lane in state.backlog.lanes.at(now.wall_s) if lane.key.queue not in stopped]
    with state.pool.trial() as pool:
        plan = POLICIES[state.policy].policy(
            Snapshot(
                now_s=now.wall_s,
                lanes=lanes,
                pool=pool,
                slots=slots,
                usage=state.ledger.usage(now.wall_s),
                shares=state.settings.shares,
                budgets=limiting.budgets(state, {lane.key.user for lane in lanes}, now),
                max_starts=state.settings.max_starts_per_pass,
                keeper=keeper,
                rules=state.settings.scheduling,
                queues=state.queues,
                estimate=state.estimate,
            )
        )
    if keeper is not None:
        state.reserved_devices = dict(keeper.chosen)
    return plan


def _start_all(state: State, starts: Sequence[Start], now: Instant) -> None:
    for start in starts:
        state.pool.assign(start.grant)
    for job in place(state, [(start.job_id, Run(start.grant, now.wall_s, state.boot_id)) for start in starts]):
        assert job.run is not None
        share = state.shares[job.id] = dominant_share(job.run.grant, state.pool.inventory)
        state.ledger.begin(job.owner.name, share, now.wall_s)
        state.holdings.begin(job)
        open_line(state, job, now)
        state.actions.append(Launch(job))
