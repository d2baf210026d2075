"""What the end of a run makes of its job: success, failure, another try, or what its stop was for."""

from dataclasses import dataclass, replace

from aiosd.jobs.job import Exit, Job, Outcome, RetryCondition, Stop, StopCause
from aiosd.jobs.lifecycle import Cue
from aiosd.units import format_bytes, format_seconds

_RETRY_ON = {
    Cue.FAIL: RetryCondition.EXIT,
    Cue.RUN_OUT_OF_MEMORY: RetryCondition.OOM,
    Cue.TIME_OUT: RetryCondition.TIMEOUT,
    Cue.LOSE: RetryCondition.LOST,
    Cue.CANCEL: RetryCondition.PREEMPT,  # only of a run that was told to make room: one that its user cancels is never retried
}
_STOPPED = {
    StopCause.TIME_LIMIT: Cue.TIME_OUT,
    StopCause.MEMORY: Cue.RUN_OUT_OF_MEMORY,
    StopCause.OVERUSE: Cue.FAIL,
    StopCause.PREEMPT_CANCEL: Cue.CANCEL,
}
_PREEMPTED = (StopCause.PREEMPT, StopCause.PREEMPT_CANCEL)
GAVE_UP = 75  # EX_TEMPFAIL, the status of aios.Preempted: not done, try again


@dataclass(frozen=True, slots=True)
class Ending:
    cue: Cue
    reason: str
    retry_in_s: float = 0.0  # with Cue.RETRY
    out_of_memory: bool = False  # with Cue.RETRY or Cue.REQUEUE: why


def ending(job: Job, exit_: Exit | None, reason: str) -> Ending:
    """How `job` goes on, now that its run is over; `exit_` None: its end is not known, `reason` says why."""
    if job.stop is not None and job.stop.cause is StopCause.CANCEL:
        return Ending(Cue.CANCEL, job.stop.reason)
    if job.stop is not None and job.stop.cause is StopCause.REQUEUE:
        return Ending(Cue.REQUEUE, job.stop.reason)
    if job.stop is not None and job.stop.cause in _PREEMPTED and _was_over(job.stop, exit_):
        job = replace(job, stop=None)
    if job.stop is not None and job.stop.cause is StopCause.PREEMPT:
        return Ending(Cue.PREEMPT, job.stop.reason)
    cue, why = _plain(job, exit_, reason)
    policy = job.spec.retry
    if cue is not Cue.SUCCEED and job.retries_used < policy.retries and _conditions(cue, exit_) & policy.conditions:
        pause_s = min(policy.backoff_s * 2.0**job.retries_used, policy.backoff_max_s)
        return Ending(Cue.RETRY, f"{why}; retry {job.retries_used + 1} of {policy.retries} in {format_seconds(pause_s)}", pause_s, cue is Cue.RUN_OUT_OF_MEMORY)
    return Ending(cue, why)


def _was_over(stop: Stop, exit_: Exit | None) -> bool:
    """Whether the run had ended by itself before anybody asked it to make room."""
    return exit_ is not None and 0 < exit_.ended_at_s < stop.at_s


def _conditions(cue: Cue, exit_: Exit | None) -> frozenset[RetryCondition]:
    """Any of which makes for a retry. A run that gives itself up says so by its status, whoever asked it to."""
    gave_up = cue is Cue.FAIL and exit_ is not None and exit_.exit_code == GAVE_UP
    return frozenset({_RETRY_ON[cue], RetryCondition.PREEMPT} if gave_up else {_RETRY_ON[cue]})


def _plain(job: Job, exit_: Exit | None, reason: str) -> tuple[Cue, str]:
    if job.stop is not None:
        return _STOPPED[job.stop.cause], job.stop.reason
    if exit_ is None:
        return Cue.LOSE, reason
    if exit_.oom_killed:
        return Cue.RUN_OUT_OF_MEMORY, _used_up(job.run.grant.memory_bytes if job.run else 0, exit_.usage.memory_peak_bytes)
    if exit_.error:
        return Cue.FAIL, exit_.error
    if exit_.signal:
        return Cue.FAIL, f"ended by signal {exit_.signal}" + (", core dumped" if exit_.core_dumped else "")
    if exit_.exit_code:
        return Cue.FAIL, f"exit code {exit_.exit_code}"
    return Cue.SUCCEED, ""


def _used_up(had_bytes: int, peak_bytes: int) -> str:
    return f"it used all of its {format_bytes(had_bytes)} of memory" + (f" (peak {format_bytes(peak_bytes)})" if peak_bytes else "")


def outcome(job: Job, exit_: Exit | None, reason: str, now_s: float) -> Outcome:
    """The record of how it ended, for good."""
    started_s = job.run.started_at_s if job.run is not None else 0.0
    wait_s = max(0.0, (started_s or now_s) - job.eligible_at_s) if job.eligible_at_s else 0.0
    if exit_ is None:
        return Outcome(now_s, reason=reason, wait_s=wait_s, run_s=max(0.0, now_s - started_s) if started_s else 0.0)
    return Outcome(
        ended_at_s=exit_.ended_at_s,
        exit_code=exit_.exit_code,
        signal=exit_.signal,
        core_dumped=exit_.core_dumped,
        oom_killed=exit_.oom_killed,
        reason=reason,
        usage=exit_.usage,
        wait_s=wait_s,
        run_s=exit_.run_s,
    )


def without_run(job: Job) -> Job:
    """Back among those that wait: it holds nothing and nothing is stopping it."""
    return replace(job, run=None, stop=None)
