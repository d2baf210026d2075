"""What the engine does as runs begin and end, and as time passes."""

from dataclasses import replace

from aiosd.clock import Instant
from aiosd.jobs import arrays
from aiosd.jobs.actions import Forget, Signal
from aiosd.jobs.dependencies import Verdict, describe, on_end
from aiosd.jobs.endings import Ending, ending, outcome, without_run
from aiosd.jobs.job import Dependency, DependencyKind, Job, Outcome, Phase, Stop, StopCause
from aiosd.jobs.lifecycle import Cue, move
from aiosd.jobs.ports import Launched, LaunchFailed, RunEnded
from aiosd.jobs.state import State
from aiosd.jobs.timers import Due
from aiosd.scheduling.fairshare import dominant_share
from aiosd.units import format_seconds

RELAUNCH_PAUSE_S = 1.0  # before a launch that failed for want of something is tried again


def launched(state: State, event: Launched, now: Instant) -> None:
    """A run's shim exists. After a restart of the daemon it is said again of runs that are known already."""
    job = state.jobs.get(event.job_id)
    if job is None or job.attempt != event.attempt or job.run is None or not job.phase.active:
        return
    if job.run.started_at_s:
        if job.run.shim_pid != event.shim_pid:
            state.put(replace(job, run=replace(job.run, shim_pid=event.shim_pid)))
        return
    run = replace(job.run, shim_pid=event.shim_pid, started_at_s=event.at_s, started_steady_s=event.at_steady_s)
    job = state.put(replace(job, phase=move(job.phase, Cue.STARTED), run=run), lazy=True)
    state.arm(job)
    if job.stop is not None:  # told to stop before there was anything to stop
        send_stop(state, job)
    _settle_after(state, job, now)


def run_ended(state: State, event: RunEnded, now: Instant) -> None:
    """A run is over: its grant goes back, and its job ends, waits to be retried, or queues again."""
    job = state.jobs.get(event.job_id)
    if job is None or job.attempt != event.attempt or not job.phase.active:
        return
    release(state, job, now)
    end = ending(job, event.exit, event.reason)
    if end.cue in (Cue.RETRY, Cue.REQUEUE):
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
    state.arm(state.put(job))


def release(state: State, job: Job, now: Instant) -> None:
    """Its grant goes back to the pool and is charged to its user."""
    assert job.run is not None
    state.pool.give_back(job.run.grant)
    share = dominant_share(job.run.grant, state.pool.inventory)
    state.ledger.finish(job.owner.name, share, job.run.dispatched_at_s, now.wall_s)
    state.dirty = True


def finish(state: State, job: Job, now: Instant) -> Job:
    """A job is over: out of the live ones, its array and those who wait for it are told."""
    ended = state.end(job)
    array = state.jobs.get(job.id.whole) if job.id.is_element else None
    if array is not None and array.array is not None:
        array = arrays.with_ended(array, job.phase)
        if arrays.finished(array):
            finish(state, arrays.ended_array(array, now.wall_s), now)
        else:
            state.put(array)
    settle_dependents(state, ended, now)
    return ended


def settle_dependents(state: State, ended: Job, now: Instant) -> None:
    """Whoever waits for this job goes on, or can never start."""
    for waiting_id in sorted(state.dependents.get(ended.id.number, ())):
        waiting = state.jobs.get(waiting_id)
        if waiting is None:
            continue
        verdicts = {d: on_end(d.kind, ended.phase) for d in waiting.unmet if d.job_id == ended.id}
        impossible = [d for d, verdict in verdicts.items() if verdict is Verdict.IMPOSSIBLE]
        if impossible:
            skip(state, waiting, f"it waited for {describe(impossible[0])}, which ended {ended.phase}", now)
        elif verdicts:
            _meet(state, waiting, frozenset(verdicts), now)


def _settle_after(state: State, started: Job, now: Instant) -> None:
    """`after` dependencies on a job, or on the array of this element, are met by its start."""
    for waiting_id in sorted(state.dependents.get(started.id.number, ())):
        waiting = state.jobs.get(waiting_id)
        met = {d for d in waiting.unmet if d.kind is DependencyKind.AFTER and d.job_id in (started.id, started.id.whole)} if waiting is not None else ()
        if waiting is not None and met:
            _meet(state, waiting, frozenset(met), now)


def _meet(state: State, job: Job, met: frozenset[Dependency], now: Instant) -> None:
    unmet = tuple(d for d in job.unmet if d not in met)
    job = replace(job, unmet=unmet)
    if job.phase is Phase.WAITING and not unmet and job.spec.begin_at_s <= now.wall_s:
        become_eligible(state, job, now)
        return
    if job.phase is Phase.WAITING:
        job = replace(job, reason="waits for " + " and ".join(map(describe, unmet)) if unmet else "waits for its begin time")
    state.arm(state.put(job))


def become_eligible(state: State, job: Job, now: Instant) -> Job:
    """From WAITING to the queue."""
    return state.put(replace(job, phase=move(job.phase, Cue.BECOME_ELIGIBLE), reason="", eligible_at_s=now.wall_s, not_before_s=0.0))


def skip(state: State, job: Job, reason: str, now: Instant) -> None:
    """It can never start. What an array has already started goes on, and its record ends when they do."""
    if job.array is not None and job.array.active:
        state.put(arrays.with_dropped(replace(job, reason=reason)))
    elif job.array is not None:
        finish(state, arrays.ended_array(arrays.with_dropped(job), now.wall_s, Phase.SKIPPED, reason), now)
    else:
        finish(state, replace(job, phase=move(job.phase, Cue.SKIP), reason=reason, outcome=Outcome(now.wall_s, reason=reason)), now)


def stop(state: State, job: Job, cause: StopCause, reason: str, now: Instant, *, force: bool = False) -> Job:
    """Tell a run to end: a signal it can act on, SIGKILL when its grace is over; `force`: SIGKILL at once."""
    until = now.steady_s if force else now.steady_s + job.spec.grace_s
    job = state.put(replace(job, phase=move(job.phase, Cue.STOP), reason=reason, stop=Stop(cause, reason, until, killed=force)))
    if job.run is not None and job.run.started_at_s:  # else it is sent when it has started
        send_stop(state, job)
    state.arm(job)
    return job


def send_stop(state: State, job: Job) -> None:
    assert job.stop is not None
    if job.stop.killed:
        state.actions.append(Signal(job, "KILL"))
        return
    polite = job.spec.checkpoint_signal if job.stop.cause is StopCause.REQUEUE and job.spec.checkpoint_signal else "TERM"
    state.actions.append(Signal(job, polite))
    state.actions.append(Signal(job, "CONT"))  # a frozen process cannot answer


def _again(state: State, job: Job, end: Ending, now: Instant) -> None:
    state.actions.append(Forget(job))
    retried = end.cue is Cue.RETRY
    again = replace(
        without_run(job),
        phase=move(job.phase, end.cue),
        reason=end.reason,
        retries_used=job.retries_used + retried,
        not_before_s=now.wall_s + end.retry_in_s if retried else 0.0,
        eligible_at_s=0.0 if retried else now.wall_s,
    )
    state.arm(state.put(again))


def fire_timers(state: State, now: Instant) -> None:
    for job_id, attempt, due in state.timers.pop_due(now):
        job = state.jobs.get(job_id)
        if job is None or job.attempt != attempt:
            continue
        if due is Due.ELIGIBLE and job.phase is Phase.WAITING and not job.unmet:
            _on_time(state, job, now)
        elif due is Due.DEADLINE and job.spec.deadline_at_s:
            _on_deadline(state, job, now)
        elif due is Due.TIME_LIMIT and job.phase is Phase.RUNNING:
            _on_time_limit(state, job, now)
        elif due is Due.KILL and job.stop is not None and not job.stop.killed:
            job = state.put(replace(job, stop=replace(job.stop, killed=True)))
            if job.run is not None and job.run.started_at_s:
                state.actions.append(Signal(job, "KILL"))


def _on_time(state: State, job: Job, now: Instant) -> None:
    if max(job.spec.begin_at_s, job.not_before_s) > now.wall_s:
        state.arm(job)  # its time was moved
    else:
        become_eligible(state, job, now)


def _on_deadline(state: State, job: Job, now: Instant) -> None:
    if job.spec.deadline_at_s > now.wall_s:
        state.arm(job)
    elif job.phase in (Phase.HELD, Phase.WAITING, Phase.QUEUED) or (job.array is not None and job.array.pending):
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
