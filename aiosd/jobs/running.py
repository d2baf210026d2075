"""What the engine does as runs begin and end, and as time passes."""

from collections import deque
from collections.abc import Iterable
from dataclasses import replace
from math import inf

from aiosd.clock import Instant
from aiosd.ids import JobId
from aiosd.jobs import arrays, billing, devices, history, limiting, memory, rightsizing, staging
from aiosd.jobs.actions import Forget, Resize, Signal, StopRun, WarnRun
from aiosd.jobs.dependencies import Verdict, describe, on_end
from aiosd.jobs.endings import Ending, ending, outcome, without_run
from aiosd.jobs.job import Dependency, DependencyKind, Job, Outcome, Phase, Stop, StopCause
from aiosd.jobs.lifecycle import Cue, move
from aiosd.jobs.ports import Launched, LaunchFailed, RunEnded
from aiosd.jobs.ranges import IndexRanges
from aiosd.jobs.state import NOT_BEGUN, RELAUNCH_PAUSE_S, State
from aiosd.jobs.timers import Due
from aiosd.units import format_seconds


def launched(state: State, event: Launched, now: Instant) -> None:
    """A run's shim exists. After a restart of the daemon it is said again of runs that are known already."""
    job = state.jobs.get(event.job_id)
    if job is None or job.attempt != event.attempt or job.run is None or not job.phase.active:
        return
    run = replace(job.run, shim_pid=event.shim_pid)
    if run.started_at_s:
        if run != job.run:
            job = state.put(replace(job, run=run))
        _signal_again(state, job)
        return
    run = replace(run, started_at_s=event.at_s, started_steady_s=event.at_steady_s)
    job = state.put(replace(job, phase=move(job.phase, Cue.STARTED), run=run), lazy=True)
    state.arm(job, now)
    state.waited.started(job)
    history.begun(state, job, now)
    if run.resized:
        state.actions.append(Resize(job))
    if job.stop is not None:  # told to stop before there was anything to stop
        send_stop(state, job)
    _settle_after(state, job, now)


def _signal_again(state: State, job: Job) -> None:
    """What was committed and answered may not have been done: the last daemon can have died in between."""
    assert job.run is not None
    if job.run.resized:
        state.actions.append(Resize(job))
    if job.stop is not None:
        send_stop(state, job)
    elif job.phase is Phase.SUSPENDED:
        state.actions.append(Signal(job, "STOP"))
    elif job.run.suspended_total_s:
        state.actions.append(Signal(job, "CONT"))


def run_ended(state: State, event: RunEnded, now: Instant) -> None:
    """A run is over: its grant goes back, and its job ends, waits to be retried, or queues again."""
    job = state.jobs.get(event.job_id)
    if job is None or job.attempt != event.attempt or not job.phase.active:
        return
    staging.note_pace(state, job, event.exit)
    history.ended(state, job, event.exit)
    release(state, job, now)
    end = rightsizing.second_chance(job, ending(job, event.exit, event.reason))
    end = memory.with_advice(job, end, event.exit, state.pool.inventory)
    end = devices.with_illness(state, job, end)
    if end.cue in (Cue.RETRY, Cue.REQUEUE, Cue.PREEMPT):
        _again(state, job, end, now)
        return
    job = replace(job, phase=move(job.phase, end.cue), reason=end.reason, outcome=outcome(job, event.exit, end.reason, now.wall_s))
    finish(state, job, now)


def launch_failed(state: State, event: LaunchFailed, now: Instant) -> None:
    """The run has not begun and never will: its job goes back, after a moment, unless it was to stop anyway."""
    job = state.jobs.get(event.job_id)
    if job is None or job.attempt != event.attempt or not job.phase.active:
        return
    release(state, job, now)
    state.actions.append(Forget(job))
    if job.stop is not None and job.stop.cause is StopCause.CANCEL:
        finish(
            state,
            replace(without_run(job), phase=move(job.phase, Cue.CANCEL), reason=job.stop.reason, outcome=Outcome(now.wall_s, reason=job.stop.reason)),
            now,
        )
        return
    cue = Cue.NEVER_STARTED if job.phase is Phase.STARTING else Cue.RETRY
    job = replace(without_run(job), phase=move(job.phase, cue), reason=f"{event.reason}; tried again in a moment", not_before_s=now.wall_s + RELAUNCH_PAUSE_S)
    _put_back(state, job, now)


def release(state: State, job: Job, now: Instant) -> None:
    """Its grant goes back to the pool, and is charged to its user; who is staged behind it takes it over."""
    assert job.run is not None
    state.pool.give_back(job.run.grant)
    billing.finish(state, job, now)
    if not staging.succeed(state, job, now):
        state.dirty = True


def finish(state: State, job: Job, now: Instant) -> Job:
    """A job is over: out of the live ones, its array and those who wait for it are told."""
    over = _close(state, job, now)
    settle_dependents(state, over, now)
    return over[0][1]


def drop_pending(state: State, array: Job, phase: Phase, reason: str, now: Instant, index: int | None = None) -> Job:
    """One pending element of an array, or all of them, will never start; the array after that, be it ended."""
    over = _drop_pending(state, array, phase, reason, now, index)
    settle_dependents(state, over, now)
    return state.latest(array)


Over = tuple[JobId, Job]  # an id, and the record that says how it ended: its own, or its array's


def _close(state: State, job: Job, now: Instant) -> list[Over]:
    """Take it out; what is over now: it, and perhaps its array."""
    ended = state.end(job)
    over = [(ended.id, ended)]
    array = state.jobs.get(job.id.whole) if job.id.is_element else None
    if array is not None and array.array is not None:
        over += _put_array(state, arrays.with_ended(array, job.phase), now)
    return over


def _put_array(state: State, array: Job, now: Instant, phase: Phase | None = None) -> list[Over]:
    """The array as it is now; it ends with the last of its elements. `phase`: what it then is, whatever they are."""
    if not arrays.finished(array):
        state.put(array)
        return []
    return _close(state, arrays.ended_array(array, now.wall_s, phase), now)


def _drop_pending(state: State, array: Job, phase: Phase, reason: str, now: Instant, index: int | None = None) -> list[Over]:
    assert array.array is not None
    gone = array.array.pending if index is None else IndexRanges((range(index, index + 1),))
    begun = array.array.active + array.array.succeeded + array.array.failed + array.array.cancelled > 0
    left = arrays.with_dropped(array, index)
    over = _put_array(state, replace(left, reason=reason) if index is None else left, now, None if begun or phase is not Phase.SKIPPED else phase)
    dropped = replace(array, phase=phase)
    return [*((target, dropped) for target in state.dependents.get(array.id.number, ()) if target.is_element and target.index in gone), *over]


def settle_dependents(state: State, over: Iterable[Over], now: Instant) -> None:
    """Whoever waits for these goes on, or can never start, and then nor can those who wait for it: a chain may be long."""
    todo = deque(over)
    while todo:
        target, ended = todo.popleft()
        for waiting in _waiting_for(state, target):
            verdicts = {d: on_end(d.kind, ended.phase) for d in waiting.unmet if d.job_id == target}
            impossible = [d for d, verdict in verdicts.items() if verdict is Verdict.IMPOSSIBLE]
            if impossible:
                todo.extend(_skip(state, waiting, f"it waited for {describe(impossible[0])}, which ended {ended.phase}", now))
            else:
                _meet(state, waiting, frozenset(verdicts), now)


def _waiting_for(state: State, target: JobId) -> list[Job]:
    return [state.jobs[waiting] for waiting in sorted(state.dependents.get(target.number, {}).get(target, ()))]


def _settle_after(state: State, started: Job, now: Instant) -> None:
    """`after` dependencies on a job, or on the array of this element, are met by its start."""
    if started.id.number not in state.dependents:
        return
    for target in dict.fromkeys((started.id, started.id.whole)):
        for waiting in _waiting_for(state, target):
            met = frozenset(d for d in waiting.unmet if d.kind is DependencyKind.AFTER and d.job_id == target)
            if met:
                _meet(state, waiting, met, now)


def _meet(state: State, job: Job, met: frozenset[Dependency], now: Instant) -> None:
    unmet = tuple(d for d in job.unmet if d not in met)
    job = replace(job, unmet=unmet)
    if job.phase is Phase.WAITING and not unmet and job.spec.begin_at_s <= now.wall_s:
        become_eligible(state, job, now)
        return
    if job.phase is Phase.WAITING:
        job = replace(job, reason=waiting_reason(job))
    state.arm(state.put(job), now)


def become_eligible(state: State, job: Job, now: Instant) -> Job:
    """From WAITING to the queue."""
    job = replace(job, phase=move(job.phase, Cue.BECOME_ELIGIBLE), reason="", eligible_at_s=now.wall_s, not_before_s=0.0)
    return state.put(arrays.startable(job) if job.array is not None else job)


def may_not_start_yet(job: Job, now: Instant) -> bool:
    return bool(job.unmet) or max(job.spec.begin_at_s, job.not_before_s) > now.wall_s


def waiting_reason(job: Job) -> str:
    """What a WAITING job waits for, of all that it may wait for what comes first."""
    if job.unmet:
        return "waits for " + " and ".join(map(describe, job.unmet))
    return "waits to be tried again" if job.not_before_s else "waits for its begin time"


def skip(state: State, job: Job, reason: str, now: Instant) -> None:
    """It can never start. What an array has already started goes on, and its record ends when they do."""
    settle_dependents(state, _skip(state, job, reason, now), now)


def _skip(state: State, job: Job, reason: str, now: Instant) -> list[Over]:
    if job.array is not None:
        return _drop_pending(state, job, Phase.SKIPPED, reason, now)
    return _close(state, replace(job, phase=move(job.phase, Cue.SKIP), reason=reason, outcome=Outcome(now.wall_s, reason=reason)), now)


def stop(state: State, job: Job, cause: StopCause, reason: str, now: Instant, *, force: bool = False, checkpoint: bool = False, most_s: float = inf) -> Job:
    """Tell a run to end: a signal it can act on, SIGKILL when its grace is over.

    force       SIGKILL at once
    checkpoint  the signal is its checkpoint signal, where it has one
    most_s      of its grace; seconds
    """
    until = now.steady_s if force else now.steady_s + min(job.spec.grace_s, most_s)
    told = Stop(cause, reason, until, killed=force, at_s=now.wall_s, checkpoint=checkpoint)
    job = state.put(replace(job, phase=move(job.phase, Cue.STOP), reason=reason, stop=told))
    if job.run is not None and job.run.started_at_s:  # else it is sent when it has started
        send_stop(state, job)
    state.arm(job, now)
    return job


def on_watch(state: State, event: StopRun | WarnRun, now: Instant) -> None:
    """What monitoring asks for, of a run that goes on."""
    job = state.jobs.get(event.job_id)
    if job is None or job.attempt != event.attempt:
        return
    if isinstance(event, WarnRun):
        _warn(state, job, event)
    elif job.phase in (Phase.RUNNING, Phase.SUSPENDED):
        stop(state, job, event.cause, event.reason, now, force=event.force)


def _warn(state: State, job: Job, event: WarnRun) -> None:
    """What its owner should know; another reason that was set since then stays when this one is over."""
    if job.phase is Phase.RUNNING and (event.text or job.reason == event.before):
        state.put(replace(job, reason=event.text), lazy=True)


def send_stop(state: State, job: Job) -> None:
    assert job.stop is not None
    if job.stop.killed:
        state.actions.append(Signal(job, "KILL"))
        return
    checkpoint = job.stop.checkpoint or job.stop.cause is StopCause.REQUEUE
    state.actions.append(Signal(job, (job.spec.checkpoint_signal if checkpoint else "") or "TERM"))
    state.actions.append(Signal(job, "CONT"))  # a frozen process cannot answer


def _again(state: State, job: Job, end: Ending, now: Instant) -> None:
    state.actions.append(Forget(job))
    retried = end.cue is Cue.RETRY
    again = replace(
        without_run(job),
        phase=move(job.phase, end.cue),
        reason=end.reason,
        retries_used=job.retries_used + retried,
        gpu_s=billing.gpu_seconds(job, now.wall_s),
        not_before_s=now.wall_s + end.retry_in_s if retried else 0.0,
        eligible_at_s=0.0 if retried else job.eligible_at_s if end.cue is Cue.PREEMPT else now.wall_s,  # who made room is as old as it was
    )
    if end.out_of_memory and job.run is not None:
        again = rightsizing.taken_back(state, memory.raised(again, job.run.grant.memory_bytes, limiting.most_memory_bytes(state, job.owner.name)))
    _put_back(state, again, now)


def _put_back(state: State, job: Job, now: Instant) -> None:
    """Among those that wait; an element of a held array is held too."""
    array = state.jobs.get(job.id.whole) if job.id.is_element else None
    if array is not None and array.phase is Phase.HELD:
        job = replace(job, phase=move(job.phase, Cue.HOLD), reason=array.reason, eligible_at_s=0.0)
    state.arm(state.put(job), now)


def fire_timers(state: State, now: Instant) -> None:
    staging.check(state, now)
    limiting.check(state, now)
    state.timers.prune(lambda job_id, attempt: job_id in state.jobs and state.jobs[job_id].attempt == attempt)
    for job_id, attempt, due in state.timers.pop_due(now):
        job = state.jobs.get(job_id)
        if job is not None and due is Due.DEADLINE:
            _on_deadline(state, job, now)
        if job is None or job.attempt != attempt:
            continue
        if due is Due.ELIGIBLE and job.phase is Phase.WAITING and not job.unmet:
            _on_time(state, job, now)
        elif due is Due.PAUSE and job.phase is Phase.WAITING and not job.unmet:
            _on_time(state, replace(job, not_before_s=0.0), now)
        elif due is Due.TIME_LIMIT and job.phase is Phase.RUNNING:
            _on_time_limit(state, job, now)
        elif due is Due.OVERDUE and job.phase is Phase.RUNNING:
            history.overdue(state, job, now)
        elif due is Due.KILL and job.stop is not None and not job.stop.killed:
            job = state.put(replace(job, stop=replace(job.stop, killed=True)))
            if job.run is not None and job.run.started_at_s:
                state.actions.append(Signal(job, "KILL"))


def _on_time(state: State, job: Job, now: Instant) -> None:
    if max(job.spec.begin_at_s, job.not_before_s) > now.wall_s:
        state.arm(job, now)  # its time was moved, or the clock was
    else:
        become_eligible(state, job, now)


def _on_deadline(state: State, job: Job, now: Instant) -> None:
    """Of a job that has not begun; what is staged has another attempt than when the timer was set, and has not begun either."""
    if not job.spec.deadline_at_s:
        return
    if job.spec.deadline_at_s > now.wall_s:
        state.arm(job, now)
        return
    staging.call_back(state, job, now)
    job = state.job(job.id)
    if job.attempt == 0 and (job.phase in NOT_BEGUN or (job.array is not None and job.array.pending)):
        skip(state, job, "its deadline passed before it could start", now)


def _on_time_limit(state: State, job: Job, now: Instant) -> None:
    assert job.run is not None
    over_at_s = job.run.started_steady_s + job.run.suspended_total_s + job.spec.time_limit_s
    if not job.spec.time_limit_s:
        return
    if over_at_s > now.steady_s:  # it was suspended, or its limit was raised
        state.timers.at_steady(over_at_s, job.id, job.attempt, Due.TIME_LIMIT)
        return
    stop(state, job, StopCause.TIME_LIMIT, f"it ran into its time limit of {format_seconds(job.spec.time_limit_s)}", now)
