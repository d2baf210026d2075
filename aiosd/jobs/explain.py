"""Why a job waits, as a value; the doors turn it into words for people and programs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from aiosd.clock import Instant
from aiosd.ids import JobId
from aiosd.jobs import reserving
from aiosd.jobs.dependencies import describe
from aiosd.jobs.devices import out_of_use
from aiosd.jobs.job import Job, Phase, RetryCondition
from aiosd.jobs.limiting import Limited, limited
from aiosd.jobs.memory import flag, suggested
from aiosd.resources.request import Request
from aiosd.resources.shortage import CPU, MEMORY, Shortage
from aiosd.scheduling.policy import ClassKey, Rank, Snapshot, Wait, WaitKind
from aiosd.scheduling.registry import POLICIES
from aiosd.scheduling.reservations import Reservation
from aiosd.units import format_bytes, format_millis, format_seconds

if TYPE_CHECKING:
    from aiosd.jobs.state import State

MOST_AHEAD = 20
LEAST_PART = 8  # nobody is told to make do with less than this fraction of what was asked for
MIB = 1 << 20


class WhyKind(StrEnum):
    RESOURCES = "resources"
    BEHIND = "behind"
    QUEUE_LIMIT = "queue-limit"
    RESERVATION = "reservation"
    POLICY_LIMIT = "policy-limit"
    ARRAY_LIMIT = "array-limit"
    DEPENDENCY = "dependency"
    BEGIN_TIME = "begin-time"
    BACKOFF = "backoff"
    HELD = "held"
    DRAINED = "drained"
    QUEUE_STOPPED = "queue-stopped"
    PRESSURE = "pressure"
    NOT_WAITING = "not-waiting"
    OUT_OF_MEMORY = "out-of-memory"  # it has ended so


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


def why(state: State, job_id: JobId, now: Instant) -> Why:
    """The reason as of now. Raises NotFound for a job that does not live."""
    job = state.job(job_id)
    if job.phase is Phase.HELD:
        return _plain(state, job, WhyKind.HELD, f"it is held: {job.reason}", (f"`aiosctl release {job.id.number}` lets it go",))
    if job.phase is Phase.WAITING:
        return _waiting(state, job, now)
    if job.phase is not Phase.QUEUED and not (job.array is not None and job.array.pending):
        return _plain(state, job, WhyKind.NOT_WAITING, f"it does not wait: it is {job.phase}")
    return _queued(state, job, now)


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
    limit = _reached_limit(state, job)
    if limit:
        return _plain(
            state,
            job,
            WhyKind.ARRAY_LIMIT,
            f"its array runs as many elements at once as it may: {limit}",
            (f"`aiosctl update {job.id.number} --array-limit N` changes that",),
        )
    wait = state.waits.get(state.class_key(job))
    shortage = state.pool.shortage(job.request)
    ahead, ahead_count = state.backlog.ahead_of(job.id, MOST_AHEAD, _ranks(state, job, now))
    if wait is not None and wait.blocker is not None and not ahead and wait.blocker.whole != job.id.whole:
        ahead, ahead_count = [wait.blocker], 1
    return _in_line(state, job, wait, shortage, ahead, ahead_count, now)


def _reached_limit(state: State, job: Job) -> int:
    """How many elements of its array may run at once, where as many do; else 0. An element that has begun keeps its place."""
    array = state.jobs.get(job.id.whole) if job.array is not None or job.id not in state.jobs else None
    limit = array.spec.array.limit if array is not None and array.spec.array is not None else 0
    return limit if array is not None and array.array is not None and array.array.active >= limit else 0


def _ranks(state: State, job: Job, now: Instant) -> Callable[[ClassKey], Rank | None]:
    """The policy's order, without the queues of others that start nothing now, and without users who have all that they may."""
    world = Snapshot(now.wall_s, (), state.pool, usage=state.ledger.usage(now.wall_s), shares=state.settings.shares, queues=state.queues)
    rank = POLICIES[state.policy].ranking(world, state.class_key(job))
    full = {name for name, q in state.queues.items() if q.max_running and state.active_in[name] >= q.max_running}
    still = {name for name, q in state.queues.items() if not q.started} | full - {job.spec.queue}
    user = job.owner.name

    def place(key: ClassKey) -> Rank | None:
        wait = state.waits.get(key) if key.user != user else None
        own_limit = wait is not None and wait.kind is WaitKind.USER_LIMIT  # whom only its own limit keeps waiting is in nobody's way
        return None if own_limit or key.queue in still else rank(key)

    return place


def _in_line(state: State, job: Job, wait: Wait | None, shortage: Shortage | None, ahead: list[JobId], ahead_count: int, now: Instant) -> Why:
    reservation = state.reservations.get(wait.reservation) if wait is not None else None
    if reservation is not None and wait is not None:
        return _reserved(state, job, wait, reservation, now)
    kind, text = WhyKind.BEHIND, "it is next: it starts in the next pass"
    if wait is not None and wait.kind is WaitKind.USER_LIMIT:
        return _under_limit(state, job, limited(state, job, wait, now))
    if wait is not None and wait.kind is WaitKind.QUEUE_LIMIT:
        kind, text = WhyKind.QUEUE_LIMIT, f"queue {job.spec.queue!r} runs as many jobs at once as it may"
    elif shortage is not None:
        kind = WhyKind.RESOURCES
        text = shortage.sentence
        unusable = out_of_use(state.pool.inventory, shortage.resource)
        text += f" ({unusable})" if unusable else ""
    elif ahead_count:
        text = f"it would fit, but {_others(ahead_count)} first: job {ahead[0]}"
    if kind is WhyKind.RESOURCES and ahead_count:
        text += f", and {_others(ahead_count)} first"
    return Why(
        job.id,
        kind,
        text,
        state.policy,
        resource=shortage.resource if shortage else "",
        asked=shortage.asked_text if shortage else "",
        free=shortage.free_text if shortage else "",
        machine_has=shortage.total_text if shortage else "",
        ahead=tuple(ahead),
        ahead_count=ahead_count,
        suggestions=(*_suggestions(state, job), *([job.rightsizing] if job.rightsizing and not job.rightsized else [])),
        estimated_start_at_s=_estimate(state, shortage, ahead_count, now),
    )


def _reserved(state: State, job: Job, wait: Wait, reservation: Reservation, now: Instant) -> Why:
    what = f"the {wait.resource} it needs is" if wait.resource else "what it needs is"
    return Why(
        job.id,
        WhyKind.RESERVATION,
        f"{what} kept for {reserving.describe(reservation)}",
        state.policy,
        resource=wait.resource,
        suggestions=reserving.with_latest_start(state, reservation.id, job.spec, now),
        estimated_start_at_s=reservation.until_s,
    )


def _under_limit(state: State, job: Job, limit: Limited) -> Why:
    return Why(
        job.id,
        WhyKind.POLICY_LIMIT,
        limit.sentence,
        state.policy,
        resource=limit.resource,
        asked=limit.asked,
        free=limit.free,
        suggestions=(f"`aiosctl admin user set {job.owner.name} {limit.flag} N` raises the limit, or lifts it with 0; that takes an admin",),
    )


def _others(count: int) -> str:
    return f"{count} other job{'s' if count > 1 else ''} {'go' if count > 1 else 'goes'}"


def _suggestions(state: State, job: Job) -> tuple[str, ...]:
    """What of processors and memory it would get at once: tried, not guessed."""
    smaller = _that_fits(state, job.request)
    if smaller is None or smaller == job.request:
        return ()
    flags = []
    if smaller.cpu_millis != job.request.cpu_millis:
        flags.append(f"--cpus {format_millis(smaller.cpu_millis)}")
    if smaller.memory_bytes != job.request.memory_bytes:
        flags.append(f"--memory {smaller.memory_bytes // MIB}M")
    target = job.id if job.id in state.jobs else job.id.whole  # an element without a record follows its array
    return (f"`aiosctl update {target} {' '.join(flags)}` would let it fit beside what runs now",)


def _that_fits(state: State, request: Request) -> Request | None:
    """As much of the request as is free; None where that would be too little, or something else is short."""
    changed = request
    for _ in range(2):
        shortage = state.pool.shortage(changed)
        if shortage is None:
            return changed
        if shortage.free * LEAST_PART < shortage.asked:
            return None
        if shortage.resource == CPU:
            changed = replace(changed, cpu_millis=shortage.free // 1000 * 1000 or shortage.free)
        elif shortage.resource == MEMORY:
            changed = replace(changed, memory_bytes=shortage.free // MIB * MIB)
        else:
            return None
    return changed if state.pool.shortage(changed) is None else None


def _estimate(state: State, shortage: Shortage | None, ahead_count: int, now: Instant) -> float:
    """When the next running job reaches its time limit, for a job that is first in line; 0 where nobody can say."""
    if shortage is None or ahead_count:
        return 0.0
    ends = [
        now.wall_s + job.run.started_steady_s + job.run.suspended_total_s + job.spec.time_limit_s - now.steady_s
        for job in state.jobs.values()
        if job.run is not None and job.phase is Phase.RUNNING and job.spec.time_limit_s
    ]
    return min(ends, default=0.0)


# In a word, for lists


def told(state: State, job: Job) -> Job:
    """The job with the reason why it is queued, which is not stored: it changes with what others do."""
    if job.phase is not Phase.QUEUED or job.reason:
        return job
    reason = _in_short(state, job)
    return replace(job, reason=reason) if reason else job


def _in_short(state: State, job: Job) -> str:
    """As of the last pass; a few lookups, whatever waits."""
    if state.drain_reason is not None:
        return "node drained"
    if state.held_back:
        return "memory pressure"
    queue = state.queues.get(job.spec.queue)
    if queue is not None and not queue.started:
        return "queue stopped"
    if _reached_limit(state, job):
        return "array limit"
    wait = state.waits.get(state.class_key(job))
    if wait is None:
        return ""
    if wait.kind is WaitKind.QUEUE_LIMIT:
        return "queue limit"
    if wait.kind is WaitKind.RESERVATION:
        return f"reservation {wait.reservation}"
    if wait.kind is WaitKind.USER_LIMIT:
        return f"user limit: {wait.resource}"
    if wait.kind is WaitKind.RESOURCES:
        return f"waits for {wait.resource}"
    if wait.blocker is None or wait.blocker.whole == job.id.whole:
        return "waits for its turn"
    return f"behind job {wait.blocker}"
