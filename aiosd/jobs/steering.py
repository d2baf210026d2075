"""What the engine does when a user steers a job: cancel, hold, release, suspend, resume, requeue, update."""

from collections.abc import Callable
from dataclasses import replace

from aiosd.clock import Instant
from aiosd.errors import FailedPrecondition, InvalidArgument, NotFound
from aiosd.ids import JobId
from aiosd.jobs import arrays
from aiosd.jobs.actions import Signal, Steer, SteerJob
from aiosd.jobs.admit import check_labels, check_nice, check_priority, time_limit
from aiosd.jobs.draft import JobChange
from aiosd.jobs.job import Job, JobSpec, Outcome, Phase, StopCause
from aiosd.jobs.lifecycle import Cue, move
from aiosd.jobs.running import finish, stop
from aiosd.jobs.state import State
from aiosd.jobs.submitting import waiting_reason

_NOT_BEGUN = (Phase.HELD, Phase.WAITING, Phase.QUEUED)


def steer(state: State, event: SteerJob, now: Instant) -> Job:
    """Do it to one job; to an array means to its pending elements and to each that lives. Raises FailedPrecondition."""
    job = state.job(event.job_id)
    if job.id.is_element and job.id not in state.jobs:
        return _steer_pending_element(state, job, event, now)
    return _VERBS[event.what](state, job, event, now)


def _cancel(state: State, job: Job, event: SteerJob, now: Instant) -> Job:
    reason = event.reason or "cancelled"
    if job.array is not None:
        return _cancel_array(state, job, event, now)
    if job.phase in _NOT_BEGUN:
        return finish(state, replace(job, phase=move(job.phase, Cue.CANCEL), reason=reason, outcome=_never_ran(job, reason, now)), now)
    if job.stop is None:
        return stop(state, job, StopCause.CANCEL, reason, now, force=event.force)
    already = replace(job.stop, cause=StopCause.CANCEL, reason=reason, killed=job.stop.killed or event.force)
    newly_killed = already.killed and not job.stop.killed
    job = state.put(replace(job, stop=already, reason=reason))
    if newly_killed and job.run is not None and job.run.started_at_s:
        state.actions.append(Signal(job, "KILL"))
    return job


def _cancel_array(state: State, job: Job, event: SteerJob, now: Instant) -> Job:
    reason = event.reason or "cancelled"
    job = arrays.with_dropped(job)
    if arrays.finished(job):
        return finish(state, arrays.ended_array(job, now.wall_s, Phase.CANCELLED, reason), now)
    job = state.put(replace(job, reason=reason))
    _to_elements(state, job, event, now)
    return state.jobs.get(job.id, job)


def _never_ran(job: Job, reason: str, now: Instant) -> Outcome:
    return Outcome(now.wall_s, reason=reason, wait_s=max(0.0, now.wall_s - job.eligible_at_s) if job.eligible_at_s else 0.0)


def _hold(state: State, job: Job, event: SteerJob, now: Instant) -> Job:
    held = replace(job, phase=Phase.HELD if _pending_array(job) else move(job.phase, Cue.HOLD), reason=event.reason or "held by its user", eligible_at_s=0.0)
    return state.put(held)


def _release(state: State, job: Job, event: SteerJob, now: Instant) -> Job:
    phase = move(job.phase, Cue.RELEASE)
    waits = bool(job.unmet) or max(job.spec.begin_at_s, job.not_before_s) > now.wall_s
    if waits:
        job = state.put(replace(job, phase=phase, reason=waiting_reason(phase, job.unmet, job.spec.begin_at_s)))
        state.arm(job)
        return job
    job = replace(job, phase=move(phase, Cue.BECOME_ELIGIBLE), reason="", eligible_at_s=now.wall_s)
    if job.array is not None and job.array.active:
        job = replace(job, phase=Phase.RUNNING)
    return state.put(job)


def _pending_array(job: Job) -> bool:
    return job.array is not None and bool(job.array.pending) and job.phase in (Phase.WAITING, Phase.QUEUED, Phase.RUNNING)


def _suspend(state: State, job: Job, event: SteerJob, now: Instant) -> Job:
    if job.array is not None:
        return _to_running_elements(state, job, event, now, Phase.RUNNING)
    phase = move(job.phase, Cue.SUSPEND)
    assert job.run is not None
    job = state.put(replace(job, phase=phase, reason=event.reason or "suspended by its user", run=replace(job.run, suspended_steady_s=now.steady_s)))
    state.actions.append(Signal(job, "STOP"))
    return job


def _resume(state: State, job: Job, event: SteerJob, now: Instant) -> Job:
    if job.array is not None:
        return _to_running_elements(state, job, event, now, Phase.SUSPENDED)
    phase = move(job.phase, Cue.RESUME)
    assert job.run is not None
    paused_s = max(0.0, now.steady_s - job.run.suspended_steady_s)
    run = replace(job.run, suspended_steady_s=0.0, suspended_total_s=job.run.suspended_total_s + paused_s)
    job = state.put(replace(job, phase=phase, reason="", run=run))
    state.arm(job)
    state.actions.append(Signal(job, "CONT"))
    return job


def _requeue(state: State, job: Job, event: SteerJob, now: Instant) -> Job:
    if job.array is not None:
        return _to_running_elements(state, job, event, now, Phase.RUNNING)
    if job.stop is not None:
        raise FailedPrecondition(f"job {job.id} is being stopped already", hint="wait for its end, then submit it again", job=job.id)
    return stop(state, job, StopCause.REQUEUE, event.reason or "requeued", now, force=event.force)


def _to_elements(state: State, array: Job, event: SteerJob, now: Instant) -> None:
    for element_id in sorted(state.elements.get(array.id.number, ())):
        element = state.jobs[element_id]
        if not element.phase.ended:
            _VERBS[event.what](state, element, event, now)


def _to_running_elements(state: State, array: Job, event: SteerJob, now: Instant, phase: Phase) -> Job:
    fit = [i for i in sorted(state.elements.get(array.id.number, ())) if state.jobs[i].phase is phase]
    if not fit:
        raise FailedPrecondition(f"no element of array {array.id} is {phase}", hint=f"see `aiosctl ps --elements {array.id}`", job=array.id)
    for element_id in fit:
        _VERBS[event.what](state, state.jobs[element_id], event, now)
    return state.jobs[array.id]


def _steer_pending_element(state: State, element: Job, event: SteerJob, now: Instant) -> Job:
    if event.what is not Steer.CANCEL:
        raise FailedPrecondition(
            f"element {element.id} has not started: it follows its array",
            hint=f"{event.what} the array: `aiosctl {event.what} {element.id.number}`",
            job=element.id,
        )
    reason = event.reason or "cancelled"
    array = state.jobs[element.id.whole]
    dropped = arrays.with_dropped(array, element.id.index)
    cancelled = state.end(replace(element, phase=Phase.CANCELLED, reason=reason, outcome=_never_ran(element, reason, now)))
    if arrays.finished(dropped):
        finish(state, arrays.ended_array(dropped, now.wall_s), now)
    else:
        state.put(dropped)
    return cancelled


_VERBS: dict[Steer, Callable[[State, Job, SteerJob, Instant], Job]] = {
    Steer.CANCEL: _cancel,
    Steer.HOLD: _hold,
    Steer.RELEASE: _release,
    Steer.SUSPEND: _suspend,
    Steer.RESUME: _resume,
    Steer.REQUEUE: _requeue,
}


def update(state: State, job_id: JobId, change: JobChange, now: Instant) -> Job:
    """Change what was asked. Raises FailedPrecondition for what a run that has begun can no longer change."""
    job = state.job(job_id)
    if job.id.is_element and job.id not in state.jobs:
        raise FailedPrecondition(f"element {job.id} has not started: it follows its array", hint=f"update the array: `aiosctl update {job.id.number}`")
    spec = _changed(state, job, change)
    if spec.request != job.spec.request:
        state.pool.check_ever_fits(spec.request)
    state.dirty = True
    job = state.put(replace(job, spec=spec))
    if job.phase is Phase.WAITING and not job.unmet and max(spec.begin_at_s, job.not_before_s) <= now.wall_s:
        job = state.put(replace(job, phase=move(job.phase, Cue.BECOME_ELIGIBLE), reason="", eligible_at_s=now.wall_s))
    elif job.phase is Phase.QUEUED and job.array is None and spec.begin_at_s > now.wall_s:
        job = state.put(replace(job, phase=Phase.WAITING, reason="waits for its begin time", eligible_at_s=0.0))
    state.arm(job)
    return job


def _changed(state: State, job: Job, change: JobChange) -> JobSpec:
    spec = job.spec
    begun = job.run is not None
    for field in ("cpu_millis", "memory_bytes", "begin_at_s", "deadline_at_s", "queue", "nice"):
        if begun and getattr(change, field) is not None:
            raise FailedPrecondition(
                f"{field} of job {job.id} cannot change: it is {job.phase}", hint="requeue it first, or change it before it starts", field=field
            )
    queue = state.queues.get(change.queue if change.queue is not None else spec.queue)
    if queue is None:
        raise NotFound(f"there is no queue {change.queue!r}", hint=f"queues: {', '.join(sorted(state.queues))}")
    request = spec.request
    if change.cpu_millis is not None or change.memory_bytes is not None:
        request = replace(
            request,
            cpu_millis=_positive("cpus", change.cpu_millis, request.cpu_millis),
            memory_bytes=_positive("memory", change.memory_bytes, request.memory_bytes),
        )
    array = spec.array
    if change.array_limit is not None:
        if array is None or job.array is None:
            raise InvalidArgument(f"job {job.id} is no array", hint="only an array has a limit")
        array = replace(array, limit=_not_negative("array limit", change.array_limit))
    labels = {k: v for k, v in {**spec.labels, **change.labels}.items() if v}
    return replace(
        spec,
        request=request,
        array=array,
        queue=queue.name,
        labels=check_labels(labels),
        name=change.name if change.name is not None else spec.name,
        priority=check_priority(change.priority) if change.priority is not None else spec.priority,
        nice=check_nice(change.nice) if change.nice is not None else spec.nice,
        time_limit_s=time_limit(change.time_limit_s, queue) if change.time_limit_s is not None else spec.time_limit_s,
        begin_at_s=change.begin_at_s if change.begin_at_s is not None else spec.begin_at_s,
        deadline_at_s=change.deadline_at_s if change.deadline_at_s is not None else spec.deadline_at_s,
    )


def _positive(name: str, value: int | None, otherwise: int) -> int:
    if value is not None and value <= 0:
        raise InvalidArgument(f"{name} must be more than 0, not {value}")
    return otherwise if value is None else value


def _not_negative(name: str, value: int) -> int:
    if value < 0:
        raise InvalidArgument(f"{name} cannot be negative: {value}")
    return value
