"""In a word why a queued job waits, for lists."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from aiosd.jobs.job import Job, Phase
from aiosd.scheduling.policy import Wait, WaitKind

if TYPE_CHECKING:
    from aiosd.jobs.state import State


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
    if reached_limit(state, job):
        return "array limit"
    wait = state.waits.get(state.class_key(job))
    return _of_wait(job, wait) if wait is not None else ""


def _of_wait(job: Job, wait: Wait) -> str:
    which = f": {wait.resource}" if wait.resource else ""
    match wait.kind:
        case WaitKind.QUEUE_LIMIT:
            return f"queue limit{which}"
        case WaitKind.QOS_LIMIT:
            return f"limit of qos {job.spec.qos}{which}"
        case WaitKind.USER_LIMIT:
            return f"user limit{which}"
        case WaitKind.RESERVATION:
            return f"reservation {wait.reservation}"
        case WaitKind.RESOURCES:
            return f"waits for {wait.resource}"
        case WaitKind.BEHIND:
            alone = wait.blocker is None or wait.blocker.whole == job.id.whole
            return "waits for its turn" if alone else f"behind job {wait.blocker}"


def reached_limit(state: State, job: Job) -> int:
    """How many elements of its array may run at once, where as many do; else 0. An element that has begun keeps its place."""
    array = state.jobs.get(job.id.whole) if job.array is not None or job.id not in state.jobs else None
    limit = array.spec.array.limit if array is not None and array.spec.array is not None else 0
    return limit if array is not None and array.array is not None and array.array.active >= limit else 0
