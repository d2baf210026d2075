"""Why a job waits, as a value; the doors turn it into words for people and programs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from aiosd.clock import Instant
from aiosd.ids import JobId
from aiosd.jobs.dependencies import describe
from aiosd.jobs.job import Job, Phase
from aiosd.resources.shortage import Shortage
from aiosd.scheduling.policy import Wait, WaitKind
from aiosd.units import format_seconds

if TYPE_CHECKING:
    from aiosd.jobs.state import State

MOST_AHEAD = 20


class WhyKind(StrEnum):
    RESOURCES = "resources"
    BEHIND = "behind"
    QUEUE_LIMIT = "queue-limit"
    ARRAY_LIMIT = "array-limit"
    DEPENDENCY = "dependency"
    BEGIN_TIME = "begin-time"
    BACKOFF = "backoff"
    HELD = "held"
    DRAINED = "drained"
    QUEUE_STOPPED = "queue-stopped"
    NOT_WAITING = "not-waiting"


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
    if queue is not None and not queue.started:
        return _plain(
            state, job, WhyKind.QUEUE_STOPPED, f"queue {queue.name!r} is stopped: it starts nothing", (f"`aiosctl queue set {queue.name} --start` starts it",)
        )
    array = state.jobs.get(job.id.whole) if job.array is not None or job.id not in state.jobs else None  # an element that has begun keeps its place
    limit = array.spec.array.limit if array is not None and array.spec.array is not None else 0
    if array is not None and array.array is not None and limit and array.array.active >= limit:
        return _plain(
            state,
            job,
            WhyKind.ARRAY_LIMIT,
            f"its array runs as many elements at once as it may: {limit}",
            (f"`aiosctl update {array.id} --array-limit N` changes that",),
        )
    wait = state.waits.get(state.class_key(job))
    shortage = state.pool.shortage(job.spec.request)
    ahead, ahead_count = state.backlog.ahead_of(job.id, MOST_AHEAD)
    if wait is not None and wait.blocker is not None and wait.blocker not in ahead and wait.blocker != job.id:
        ahead, ahead_count = [*ahead, wait.blocker][:MOST_AHEAD], ahead_count + 1
    return _in_line(state, job, wait, shortage, ahead, ahead_count, now)


def _in_line(state: State, job: Job, wait: Wait | None, shortage: Shortage | None, ahead: list[JobId], ahead_count: int, now: Instant) -> Why:
    kind, text = WhyKind.BEHIND, "it is next: it starts in the next pass"
    if wait is not None and wait.kind is WaitKind.QUEUE_LIMIT:
        kind, text = WhyKind.QUEUE_LIMIT, f"queue {job.spec.queue!r} runs as many jobs at once as it may"
    elif shortage is not None:
        kind = WhyKind.RESOURCES
        text = f"it needs {shortage.asked_text} of {shortage.resource}; {shortage.free_text} of {shortage.total_text} is free"
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
        suggestions=_suggestions(job, shortage),
        estimated_start_at_s=_estimate(state, shortage, ahead_count, now),
    )


def _others(count: int) -> str:
    return f"{count} other job{'s' if count > 1 else ''} {'go' if count > 1 else 'goes'}"


def _suggestions(job: Job, shortage: Shortage | None) -> tuple[str, ...]:
    flags = {"cpu": "--cpus", "memory": "--memory"}
    if shortage is None or shortage.free <= 0 or shortage.resource not in flags:
        return ()
    return (f"`aiosctl update {job.id} {flags[shortage.resource]} …` with at most {shortage.free_text} would fit beside what runs now",)


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
