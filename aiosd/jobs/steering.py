"""What the engine does when a user steers a job: cancel, hold, release, suspend, resume, requeue, update."""

from collections.abc import Callable, Collection
from dataclasses import replace

from aiosd.clock import Instant
from aiosd.errors import FailedPrecondition, InvalidArgument
from aiosd.jobs import history, preempting, reserving, resizing, staging
from aiosd.jobs.actions import Signal, Steer, SteerJob, UpdateJob
from aiosd.jobs.admit import check_labels, check_name, check_nice, check_priority, check_seconds, known_qos, open_queue, time_limit
from aiosd.jobs.draft import JobChange
from aiosd.jobs.job import Job, JobSpec, Outcome, Phase, StopCause
from aiosd.jobs.lifecycle import Cue, move
from aiosd.jobs.limiting import check_queue_room, check_request
from aiosd.jobs.permitted import check_permitted
from aiosd.jobs.running import become_eligible, drop_pending, finish, may_not_start_yet, stop, waiting_reason
from aiosd.jobs.state import NOT_BEGUN, State
from aiosd.scheduling.rules import QueueSettings

_HELD, _FREE, _RUNNING, _SUSPENDED = (Phase.HELD,), (Phase.WAITING, Phase.QUEUED), (Phase.RUNNING,), (Phase.SUSPENDED,)
_CAN_REQUEUE = (Phase.STARTING, Phase.RUNNING, Phase.SUSPENDED)


def steer(state: State, event: SteerJob, now: Instant) -> Job:
    """Do it to one job; to an array means to its pending elements and to each that lives. Raises FailedPrecondition."""
    job = _called_back(state, state.job(event.job_id), now)
    if job.id.is_element and job.id not in state.jobs:
        return _steer_pending_element(state, job, event, now)
    return _VERBS[event.what](state, job, event, now)


def _called_back(state: State, job: Job, now: Instant) -> Job:
    """What was dispatched ahead of time waits again, and can be steered like anything that waits."""
    staging.call_back(state, job, now)
    return state.job(job.id)


def _cancel(state: State, job: Job, event: SteerJob, now: Instant) -> Job:
    reason = event.reason or "cancelled"
    if job.array is not None:
        return _cancel_array(state, job, event, now)
    if job.phase in NOT_BEGUN:
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
    job = drop_pending(state, job, Phase.CANCELLED, event.reason or "cancelled", now)
    for element in _elements(state, job):
        _cancel(state, element, event, now)
    return state.latest(job)


def _never_ran(job: Job, reason: str, now: Instant) -> Outcome:
    return Outcome(now.wall_s, reason=reason, wait_s=max(0.0, now.wall_s - job.eligible_at_s) if job.eligible_at_s else 0.0)


def _hold(state: State, job: Job, event: SteerJob, now: Instant) -> Job:
    if job.array is not None:
        return _hold_array(state, job, event, now)
    return state.put(replace(job, phase=move(job.phase, Cue.HOLD), reason=event.reason or "held by its user", eligible_at_s=0.0))


def _hold_array(state: State, job: Job, event: SteerJob, now: Instant) -> Job:
    """Its pending elements, and those that wait to run again; what runs goes on."""
    waiting = _elements(state, job, _FREE)
    if not _pending_array(job) and not waiting:
        move(job.phase, Cue.HOLD)
    for element in waiting:
        _hold(state, element, event, now)
    if _pending_array(job):
        job = state.put(replace(job, phase=Phase.HELD, reason=event.reason or "held by its user", eligible_at_s=0.0))
    return job


def _release(state: State, job: Job, event: SteerJob, now: Instant) -> Job:
    held = _elements(state, job, _HELD) if job.array is not None else []
    for element in held:
        _release(state, element, event, now)
    if held and job.phase is not Phase.HELD:
        return job
    job = replace(job, phase=move(job.phase, Cue.RELEASE))
    if not may_not_start_yet(job, now):
        return become_eligible(state, job, now)
    job = state.put(replace(job, reason=waiting_reason(job)))
    state.arm(job, now)
    return job


def _pending_array(job: Job) -> bool:
    return job.array is not None and bool(job.array.pending) and job.phase in (Phase.WAITING, Phase.QUEUED, Phase.RUNNING)


def _suspend(state: State, job: Job, event: SteerJob, now: Instant) -> Job:
    if job.array is not None:
        return _to_active_elements(state, job, event, now, _RUNNING)
    _check_not_lent(job, "suspended")
    phase = move(job.phase, Cue.SUSPEND)
    assert job.run is not None
    job = state.put(replace(job, phase=phase, reason=event.reason or "suspended by its user", run=replace(job.run, suspended_steady_s=now.steady_s)))
    state.actions.append(Signal(job, "STOP"))
    return job


def _resume(state: State, job: Job, event: SteerJob, now: Instant) -> Job:
    if job.array is not None:
        return _to_active_elements(state, job, event, now, _SUSPENDED)
    _check_not_lent(job, "resumed")
    phase = move(job.phase, Cue.RESUME)
    assert job.run is not None
    paused_s = max(0.0, now.steady_s - job.run.suspended_steady_s)
    run = replace(job.run, suspended_steady_s=0.0, suspended_total_s=job.run.suspended_total_s + paused_s)
    job = state.put(replace(job, phase=phase, reason="", run=run))
    state.arm(job, now)
    history.resumed(state, job)
    state.actions.append(Signal(job, "CONT"))
    return job


def _check_not_lent(job: Job, what: str) -> None:
    if preempting.is_lent(job):
        hint = f"it goes on by itself when that has ended; `aiosctl cancel {job.id}` and `aiosctl requeue {job.id}` do not wait"
        raise FailedPrecondition(f"job {job.id} cannot be {what}: it is {job.reason}", hint=hint, job=job.id)


def _requeue(state: State, job: Job, event: SteerJob, now: Instant) -> Job:
    if job.array is not None:
        return _to_active_elements(state, job, event, now, _CAN_REQUEUE)
    if job.phase in NOT_BEGUN:
        raise FailedPrecondition(f"job {job.id} has nothing to be requeued from: it is {job.phase}", hint="it runs when its turn comes", job=job.id)
    if job.stop is not None and job.stop.cause is StopCause.PREEMPT:
        raise FailedPrecondition(f"job {job.id} is being {job.stop.reason}", hint="it goes back to the queue by itself", job=job.id)
    if job.stop is not None:
        raise FailedPrecondition(f"job {job.id} is being stopped already", hint="wait for its end, then submit it again", job=job.id)
    return stop(state, job, StopCause.REQUEUE, event.reason or "requeued", now, force=event.force)


def _elements(state: State, array: Job, phases: Collection[Phase] = tuple(Phase)) -> list[Job]:
    """Those that have a live record and are in one of `phases`, by index."""
    return [state.jobs[i] for i in sorted(state.elements.get(array.id.number, ())) if state.jobs[i].phase in phases]


def _to_active_elements(state: State, array: Job, event: SteerJob, now: Instant, phases: Collection[Phase]) -> Job:
    fit = [element for element in _elements(state, array, phases) if event.what is not Steer.RESUME or not preempting.is_lent(element)]
    if not fit:
        raise FailedPrecondition(f"no element of array {array.id} is {' or '.join(phases)}", hint=f"see `aiosctl ps --elements {array.id}`", job=array.id)
    for element in fit:
        _VERBS[event.what](state, element, event, now)
    return state.jobs[array.id]


def _steer_pending_element(state: State, element: Job, event: SteerJob, now: Instant) -> Job:
    if event.what is not Steer.CANCEL:
        raise FailedPrecondition(
            f"element {element.id} has not started: it follows its array",
            hint=f"{event.what} the array: `aiosctl {event.what} {element.id.number}`",
            job=element.id,
        )
    reason = event.reason or "cancelled"
    cancelled = state.end(replace(element, phase=Phase.CANCELLED, reason=reason, outcome=_never_ran(element, reason, now)))
    drop_pending(state, state.jobs[element.id.whole], Phase.CANCELLED, reason, now, element.id.index)
    return cancelled


_VERBS: dict[Steer, Callable[[State, Job, SteerJob, Instant], Job]] = {
    Steer.CANCEL: _cancel,
    Steer.HOLD: _hold,
    Steer.RELEASE: _release,
    Steer.SUSPEND: _suspend,
    Steer.RESUME: _resume,
    Steer.REQUEUE: _requeue,
}


def update(state: State, event: UpdateJob, now: Instant) -> Job:
    """Change what was asked, and resize a run. Raises FailedPrecondition for what a run that has begun can no longer change."""
    change, job = event.change, _called_back(state, state.job(event.job_id), now)
    if job.id.is_element and job.id not in state.jobs:
        raise FailedPrecondition(f"element {job.id} has not started: it follows its array", hint=f"update the array: `aiosctl update {job.id.number}`")
    spec = _changed(state, job, change)
    changed = replace(job, spec=spec, memory_bytes=0 if change.memory_bytes is not None else job.memory_bytes)
    if change.cpu_millis is not None or change.memory_bytes is not None:
        changed = replace(changed, rightsizing="", rightsized=changed.rightsized and spec.open_memory)
    if changed.request != job.request:
        state.pool.check_ever_fits(changed.request)
    if (spec.queue, spec.qos) != (job.spec.queue, job.spec.qos):
        check_permitted(state, job.owner.name, event.groups, [spec])
    if (changed.request, spec.queue, spec.qos) != (job.request, job.spec.queue, job.spec.qos):
        check_request(state, job.owner.name, changed.request, spec.queue, spec.qos)
    if spec.queue != job.spec.queue:
        check_queue_room(state, spec.queue, len(job.array.pending) if job.array is not None else 1)
    if spec.time_limit_s != job.spec.time_limit_s:
        reserving.check_longer(state, changed, now)
    if resizing.wants(job, change) and changed.request != job.request:
        changed = resizing.resize(state, job, changed, event.used_bytes, now)
    state.dirty = True
    job = changed
    startable = job.phase is Phase.QUEUED or (_pending_array(job) and job.phase is Phase.RUNNING)
    if job.phase is Phase.WAITING and not may_not_start_yet(job, now):
        job = become_eligible(state, job, now)
    elif startable and change.begin_at_s is not None and change.begin_at_s > now.wall_s:
        job = state.put(replace(job, phase=Phase.WAITING, reason="waits for its begin time", eligible_at_s=0.0))
    else:
        job = state.put(replace(job, reason=waiting_reason(job)) if job.phase is Phase.WAITING else job)
    state.arm(job, now)
    return job


def _changed(state: State, job: Job, change: JobChange) -> JobSpec:
    spec = job.spec
    begun = job.run is not None
    for field in ("begin_at_s", "deadline_at_s", "queue", "qos", "nice"):
        if begun and getattr(change, field) is not None:
            raise FailedPrecondition(
                f"{field} of job {job.id} cannot change: it is {job.phase}", hint="requeue it first, or change it before it starts", field=field
            )
    moved = change.queue is not None and change.queue != spec.queue
    queue = open_queue(change.queue or "", state.queues) if moved else state.queues.get(spec.queue) or QueueSettings(spec.queue)
    qos = known_qos(change.qos, state.settings) if change.qos is not None else spec.qos
    bound_anew = moved or qos != spec.qos or change.time_limit_s is not None
    request = spec.request
    if change.cpu_millis is not None or change.memory_bytes is not None:
        request = replace(
            request,
            cpu_millis=_positive("cpus", change.cpu_millis, request.cpu_millis),
            memory_bytes=_positive("memory", change.memory_bytes, request.memory_bytes),
        )
    open_cpus, open_memory = spec.open_cpus and change.cpu_millis is None, spec.open_memory and change.memory_bytes is None
    array = spec.array
    if change.array_limit is not None:
        if array is None or job.array is None:
            raise InvalidArgument(f"job {job.id} is no array", hint="only an array has a limit")
        array = replace(array, limit=_not_negative("array limit", change.array_limit))
    limit_s = change.time_limit_s if change.time_limit_s is not None else spec.time_limit_s
    labels = {k: v for k, v in {**spec.labels, **change.labels}.items() if v}
    return replace(
        spec,
        request=request,
        open_cpus=open_cpus,
        open_memory=open_memory,
        array=array,
        queue=queue.name,
        qos=qos,
        labels=check_labels(labels),
        name=check_name(change.name) if change.name is not None else spec.name,
        priority=check_priority(change.priority) if change.priority is not None else spec.priority,
        nice=check_nice(change.nice) if change.nice is not None else spec.nice,
        time_limit_s=time_limit(limit_s, queue, state.settings.scheduling.qos.get(qos)) if bound_anew else limit_s,
        begin_at_s=check_seconds("begin_at_s", change.begin_at_s) if change.begin_at_s is not None else spec.begin_at_s,
        deadline_at_s=check_seconds("deadline_at_s", change.deadline_at_s) if change.deadline_at_s is not None else spec.deadline_at_s,
    )


def _positive(name: str, value: int | None, otherwise: int) -> int:
    if value is not None and value <= 0:
        raise InvalidArgument(f"{name} must be more than 0, not {value}")
    return otherwise if value is None else value


def _not_negative(name: str, value: int) -> int:
    if value < 0:
        raise InvalidArgument(f"{name} cannot be negative: {value}")
    return value
