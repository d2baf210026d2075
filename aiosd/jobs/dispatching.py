"""The engine asks the policy what to start, and starts it."""

from collections.abc import Sequence
from functools import partial

from aiosd.clock import Instant
from aiosd.jobs import billing, guarding, limiting, preempting, reserving
from aiosd.jobs.actions import Launch
from aiosd.jobs.holders import held_runs
from aiosd.jobs.job import Run
from aiosd.jobs.placing import place
from aiosd.jobs.staging import open_line, recall, stage
from aiosd.jobs.state import State
from aiosd.scheduling.policy import Snapshot, Start, WaitKind

ORDER_CHECK_S = 1.0  # in between others may start or end, and each makes a pass anyway


def dispatch(state: State, now: Instant) -> None:
    """Start what can start, then decide about successors. Costs nothing when nothing has changed since the last."""
    if state.drain_reason is not None or state.held_back:
        preempting.go_on(state, now)
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
        preempting.take_back(state, now)
        plan = guarding.plan_safely(state, now, partial(look, state, now))
        _start_all(state, plan.starts, now)
        at_once = preempting.carry_out(state, plan, now)
        state.waits, state.planned = plan.waits, {planned.job_id: planned for planned in plan.reservations}
        state.passes, state.starts = state.passes + 1, state.starts + len(plan.starts)
        kept = any(wait.kind is not WaitKind.RESOURCES for wait in plan.waits.values())
        limiting.look_again(state, plan.waits if kept else {}, now)  # looks at them all, and there may be a thousand
        preempting.look_again(state, now)
        follows = plan.starts and (kept or (plan.waits and _room_may_be_made(state)))
        state.order_check_at_s = now.steady_s + ORDER_CHECK_S if follows else None
        state.dirty = (plan.more and bool(plan.starts)) or at_once


def _room_may_be_made(state: State) -> bool:
    """Whether anybody may take the place of a run: then who is first matters for those, too, who do not fit."""
    asked_for = any(queue.preempts for queue in state.queues.values()) or any(qos.preempts for qos in state.settings.scheduling.qos.values())
    return asked_for or any(state.jobs[job_id].spec.preemptible for job_id in state.shares)


def check(state: State, now: Instant) -> None:
    """Whether it is time to look again: the last pass started somebody, kept somebody else, and nothing has happened since.

    Who starts is charged for it, so somebody may be first now who was kept behind another, or by what a limit withholds for another.
    A second pass at once would cost as much as the first, after nearly every start.
    """
    due_s = state.order_check_at_s
    if due_s is not None and now.steady_s >= due_s:
        state.order_check_at_s = None
        state.dirty = True


def look(state: State, now: Instant) -> Snapshot:
    """The world as the policy may know it."""
    slots = {name: max(0, q.max_running - state.active_in[name]) for name, q in state.queues.items() if q.max_running}
    stopped = {name for name, q in state.queues.items() if not q.started}
    lanes = [lane for lane in state.backlog.lanes.at(now.wall_s) if lane.key.queue not in stopped]
    return Snapshot(
        now_s=now.wall_s,
        lanes=lanes,
        pool=state.pool,
        slots=slots,
        usage=state.ledger.usage(now.wall_s),
        shares=state.settings.shares,
        budgets=limiting.budgets(state, [lane.key for lane in lanes], now),
        max_starts=state.settings.max_starts_per_pass,
        keeper=reserving.keeper(state, now),
        rules=state.settings.scheduling,
        queues=state.queues,
        runs=held_runs(state, now),
        estimate=state.estimate,
        promised=[p for p in preempting.promised(state) if p.key.queue not in stopped],
        in_vain=preempting.in_vain(state, now),
        can_preempt=True,
    )


def _start_all(state: State, starts: Sequence[Start], now: Instant) -> None:
    for start in starts:
        state.pool.adopt(start.grant)  # that it is free was seen with the plan
    for job in place(state, [(start.job_id, Run(start.grant, now.wall_s, state.boot_id)) for start in starts]):
        billing.begin(state, job, now.wall_s)
        open_line(state, job, now)
        state.actions.append(Launch(job))
