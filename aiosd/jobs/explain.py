"""Why a job waits, as a value; the doors turn it into words for people and programs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from math import isfinite
from typing import TYPE_CHECKING

from aiosd.clock import Instant
from aiosd.ids import JobId
from aiosd.jobs import dispatching, preempting, reserving
from aiosd.jobs.ahead import AheadJob, Factor, ahead_jobs, factors_of
from aiosd.jobs.dependencies import describe
from aiosd.jobs.devices import out_of_use
from aiosd.jobs.estimating import Start, end_of, lasts, start_of
from aiosd.jobs.holders import held_run
from aiosd.jobs.job import Job, Phase, RetryCondition
from aiosd.jobs.limiting import Limited, limited
from aiosd.jobs.memory import flag, suggested
from aiosd.jobs.suggesting import suggestions
from aiosd.jobs.telling import reached_limit
from aiosd.jobs.whatif import what_if
from aiosd.resources.grant import describe_grant
from aiosd.resources.shortage import MEMORY, Shortage
from aiosd.scheduling.policy import ClassKey, Rank, Snapshot, Wait, WaitKind
from aiosd.scheduling.registry import POLICIES
from aiosd.scheduling.reservations import Reservation
from aiosd.units import format_bytes, format_seconds

if TYPE_CHECKING:
    from aiosd.jobs.state import State

MOST_AHEAD = 20


class WhyKind(StrEnum):
    RESOURCES = "resources"
    BEHIND = "behind"
    QUEUE_LIMIT = "queue-limit"
    QOS_LIMIT = "qos-limit"
    PRESSURE = "pressure"
    RESERVATION = "reservation"
    POLICY_LIMIT = "policy-limit"
    ARRAY_LIMIT = "array-limit"
    DEPENDENCY = "dependency"
    BEGIN_TIME = "begin-time"
    BACKOFF = "backoff"
    HELD = "held"
    DRAINED = "drained"
    QUEUE_STOPPED = "queue-stopped"
    SUSPENDED = "suspended"  # for another
    NOT_WAITING = "not-waiting"
    OUT_OF_MEMORY = "out-of-memory"  # it has ended so


LIMITS = {WaitKind.USER_LIMIT: WhyKind.POLICY_LIMIT, WaitKind.QUEUE_LIMIT: WhyKind.QUEUE_LIMIT, WaitKind.QOS_LIMIT: WhyKind.QOS_LIMIT}


@dataclass(frozen=True, slots=True)
class Why:
    """`summary` is one sentence; the rest is what it was made from."""

    job_id: JobId
    kind: WhyKind
    summary: str
    policy: str
    resource: str = ""
    asked: str = ""
    free: str = ""
    machine_has: str = ""
    ahead: tuple[JobId, ...] = ()  # nearest first, at most 20
    ahead_count: int = 0
    suggestions: tuple[str, ...] = ()
    estimated_start_at_s: float = 0.0  # 0: cannot be said
    estimated_start_low_s: float = 0.0  # nine times of ten it starts between these; wall
    estimated_start_high_s: float = 0.0
    estimate_basis: str = ""  # what it rests on, in words
    estimate_held_share: float = 0.0  # of the intervals given lately, how many held
    factors: tuple[Factor, ...] = ()  # of policy priority
    ahead_jobs: tuple[AheadJob, ...] = ()
    planned_grant: str = ""  # what backfill keeps for it, in words


def why(state: State, job_id: JobId, now: Instant) -> Why:
    """The reason as of now. Raises NotFound for a job that does not live."""
    job = state.job(job_id)
    if job.phase is Phase.HELD:
        return _plain(state, job, WhyKind.HELD, f"it is held: {job.reason}", (f"`aiosctl release {job.id.number}` lets it go",))
    if job.phase is Phase.WAITING:
        return _waiting(state, job, now)
    if preempting.is_lent(job):
        return _plain(state, job, WhyKind.SUSPENDED, preempting.why_suspended(job))
    if job.phase is not Phase.QUEUED and not (job.array is not None and job.array.pending):
        return _plain(state, job, WhyKind.NOT_WAITING, _started(state, job, now))
    found = _queued(state, job, now)
    return replace(found, summary=found.summary + preempting.how_often(job))


def why_out_of_memory(state: State, job: Job) -> Why:
    """Of a job that has ended so: what it used, and what to ask for next time."""
    ask = suggested(job, state.pool.inventory)
    suggestions = [f"submit it with `--memory {flag(ask)}`"] if ask else []
    if not job.spec.retry.retries or RetryCondition.OOM not in job.spec.retry.conditions:
        suggestions.append("`--retries 2 --retry-on oom` lets it ask for more by itself")
    had = job.run.grant.memory_bytes if job.run is not None else 0
    return Why(
        job.id,
        WhyKind.OUT_OF_MEMORY,
        f"it ended out of memory: {job.reason}",
        state.policy,
        resource=MEMORY,
        asked=format_bytes(had),
        machine_has=format_bytes(state.pool.inventory.memory_bytes),
        suggestions=tuple(suggestions),
    )


def _plain(state: State, job: Job, kind: WhyKind, summary: str, suggestions: tuple[str, ...] = (), start_s: float = 0.0) -> Why:
    return Why(job.id, kind, summary, state.policy, suggestions=suggestions, estimated_start_at_s=start_s)


def _started(state: State, job: Job, now: Instant) -> str:
    """Since when it runs, on what, and until when it is expected to."""
    if job.run is None or not job.run.started_at_s:
        return f"it does not wait: it is {job.phase}"
    run = held_run(state, job, now)
    end_s = end_of(job, run, lasts(dispatching.look(state, now), job, run.key), now)
    frozen = job.phase is Phase.SUSPENDED
    ran_s = max(0.0, now.wall_s - run.begun_s - (now.steady_s - job.run.suspended_steady_s if frozen else 0.0))
    text = f"it does not wait: it is {job.phase}, for {format_seconds(int(ran_s))} so far, on {describe_grant(job.run.grant)}"
    return text + (f"; it is expected to end in {format_seconds(max(1, int(end_s - now.wall_s)))}" if isfinite(end_s) else "")


def _waiting(state: State, job: Job, now: Instant) -> Why:
    if job.unmet:
        return _plain(state, job, WhyKind.DEPENDENCY, "it waits for " + " and ".join(map(describe, job.unmet)))
    if job.not_before_s > now.wall_s:
        return _plain(
            state, job, WhyKind.BACKOFF, f"it is tried again in {format_seconds(job.not_before_s - now.wall_s)}: {job.reason}", start_s=job.not_before_s
        )
    until_s = job.spec.begin_at_s
    return _plain(state, job, WhyKind.BEGIN_TIME, f"it may not begin for another {format_seconds(max(0.0, until_s - now.wall_s))}", start_s=until_s)


def _queued(state: State, job: Job, now: Instant) -> Why:
    queue = state.queues.get(job.spec.queue)
    if state.drain_reason is not None:
        return _plain(
            state, job, WhyKind.DRAINED, f"the node is drained and starts nothing: {state.drain_reason}", ("`aiosctl node resume` lets it start jobs again",)
        )
    if state.held_back:
        return _plain(state, job, WhyKind.PRESSURE, f"the machine is short of memory, and it starts by itself when that is over: {state.held_back}")
    if queue is not None and not queue.started:
        return _plain(
            state, job, WhyKind.QUEUE_STOPPED, f"queue {queue.name!r} is stopped: it starts nothing", (f"`aiosctl queue set {queue.name} --start` starts it",)
        )
    limit = reached_limit(state, job)
    if limit:
        return _plain(
            state,
            job,
            WhyKind.ARRAY_LIMIT,
            f"its array runs as many elements at once as it may: {limit}",
            (f"`aiosctl update {job.id.number} --array-limit N` changes that",),
        )
    room = preempting.making_room(state, job.id)
    if room:
        return _plain(state, job, WhyKind.RESOURCES, f"{room}: it starts as soon as that is done")
    wait = state.waits.get(state.class_key(job))
    rank = _ranks(state, job, now)
    ahead, ahead_count = state.backlog.ahead_of(job.id, MOST_AHEAD, rank)
    if wait is not None and wait.blocker is not None and not ahead and wait.blocker.whole != job.id.whole:
        ahead, ahead_count = [wait.blocker], 1
    why = _waits_in_line(state, job, wait, ahead, ahead_count, now)
    return _looking_ahead(state, job, why, rank, now)


def _waits_in_line(state: State, job: Job, wait: Wait | None, ahead: list[JobId], ahead_count: int, now: Instant) -> Why:
    reservation = state.reservations.get(wait.reservation) if wait is not None else None
    if wait is not None and reservation is not None:
        return _reserved(state, job, wait, reservation)
    if wait is not None and wait.kind in LIMITS and (wait.kind is WaitKind.USER_LIMIT or wait.resource):
        return _under_limit(state, job, LIMITS[wait.kind], limited(state, job, wait, now))
    return _in_line(state, job, wait, state.pool.shortage(job.request), ahead, ahead_count, now)


def _looking_ahead(state: State, job: Job, why: Why, rank: Callable[[ClassKey], Rank | None], now: Instant) -> Why:
    """With what can be said of its start, and what would let it start now: found by asking the policy what if."""
    job = state.jobs.get(job.id) or state.jobs[job.id.whole]  # an element without a record is where its array is
    planned = state.planned.get(job.id)
    if planned is not None:
        why = replace(why, planned_grant=describe_grant(planned.grant))
    try:
        world = dispatching.look(state, now)
        why = replace(why, ahead_jobs=ahead_jobs(state, world, why.ahead), factors=factors_of(state, world, job))
        asking = what_if(state, job, world, rank, now)
        sooner = suggestions(asking, job, now) if asking is not None else ()
        start = start_of(asking, why.ahead_count, now) if asking is not None else None
    except Exception as error:  # noqa: BLE001 - a policy that cannot answer what if must not keep the reason from being told
        return replace(why, estimate_basis=f"nothing: policy {state.policy_in_force} failed when it was asked what if: {error}"[:200])
    return _with_start(state, job, replace(why, suggestions=(*sooner, *why.suggestions, *_learned(job))), start)


def _learned(job: Job) -> tuple[str, ...]:
    """What earlier runs say of its request, where that is not followed yet."""
    return (job.rightsizing,) if job.rightsizing and not job.rightsized else ()


def _with_start(state: State, job: Job, why: Why, start: Start | None) -> Why:
    if start is None:
        return why
    calibration = state.waited.calibration
    if start.high_s:
        calibration.give(job.id, start.low_s, start.high_s)
    return replace(
        why,
        estimated_start_at_s=start.expected_s,
        estimated_start_low_s=start.low_s if start.high_s else 0.0,
        estimated_start_high_s=start.high_s,
        estimate_basis=start.basis,
        estimate_held_share=calibration.share,
    )


def _ranks(state: State, job: Job, now: Instant) -> Callable[[ClassKey], Rank | None]:
    """The policy's order, without the queues of others that start nothing now, and without users who have all that they may."""
    world = Snapshot(
        now.wall_s,
        state.backlog.lanes.at(now.wall_s),
        state.pool,
        usage=state.ledger.usage(now.wall_s),
        shares=state.settings.shares,
        rules=state.settings.scheduling,
        queues=state.queues,
        estimate=state.estimate,
    )
    rank = POLICIES[state.policy_in_force].ranking(world, state.class_key(job))
    full = {name for name, q in state.queues.items() if q.max_running and state.active_in[name] >= q.max_running}
    still = {name for name, q in state.queues.items() if not q.started} | full - {job.spec.queue}
    user = job.owner.name

    def place(key: ClassKey) -> Rank | None:
        wait = state.waits.get(key) if key.user != user else None
        own_limit = wait is not None and wait.kind is WaitKind.USER_LIMIT  # whom only its own limit keeps waiting is in nobody's way
        return None if own_limit or key.queue in still else rank(key)

    return place


def _in_line(state: State, job: Job, wait: Wait | None, shortage: Shortage | None, ahead: list[JobId], ahead_count: int, now: Instant) -> Why:
    kind, text = _reason(state, job, wait, shortage, ahead, ahead_count)
    return Why(
        job.id,
        kind,
        text,
        state.policy_in_force,
        resource=shortage.resource if shortage else "",
        asked=shortage.asked_text if shortage else "",
        free=shortage.free_text if shortage else "",
        machine_has=shortage.total_text if shortage else "",
        ahead=tuple(ahead),
        ahead_count=ahead_count,
    )


def _reason(state: State, job: Job, wait: Wait | None, shortage: Shortage | None, ahead: list[JobId], ahead_count: int) -> tuple[WhyKind, str]:
    waits_for = wait.kind if wait is not None else None
    if waits_for is WaitKind.QUEUE_LIMIT:
        return WhyKind.QUEUE_LIMIT, f"queue {job.spec.queue!r} runs as many jobs at once as it may"
    if shortage is not None:
        unusable = out_of_use(state.pool.inventory, shortage.resource)
        first = f", and {_others(ahead_count)} first" if ahead_count else ""
        return WhyKind.RESOURCES, shortage.sentence + (f" ({unusable})" if unusable else "") + first
    if ahead_count:
        return WhyKind.BEHIND, f"it would fit, but {_others(ahead_count)} first: job {ahead[0]}"
    return WhyKind.BEHIND, "it is next: it starts in the next pass"


def _reserved(state: State, job: Job, wait: Wait, reservation: Reservation) -> Why:
    what = f"the {wait.resource} it needs is" if wait.resource else "what it needs is"
    return Why(
        job.id,
        WhyKind.RESERVATION,
        f"{what} kept for {reserving.describe(reservation)}",
        state.policy,
        resource=wait.resource,
        estimated_start_at_s=reservation.until_s,
    )


def _under_limit(state: State, job: Job, kind: WhyKind, limit: Limited) -> Why:
    return Why(
        job.id,
        kind,
        limit.sentence,
        state.policy_in_force,
        resource=limit.resource,
        asked=limit.asked,
        free=limit.free,
        suggestions=(_raised_by(kind, limit.command),),
    )


def _raised_by(kind: WhyKind, command: str) -> str:
    if kind is WhyKind.QOS_LIMIT:
        return f"{command} has the limit; an admin raises it there, or lifts it with 0"
    return f"`{command}` raises the limit, or lifts it with 0; that takes an {'admin' if kind is WhyKind.POLICY_LIMIT else 'operator'}"


def _others(count: int) -> str:
    return f"{count} other job{'s' if count > 1 else ''} {'go' if count > 1 else 'goes'}"
