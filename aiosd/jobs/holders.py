"""The runs that hold something of the machine, as the scheduler sees them: since when, and until when it may expect them to."""

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

from aiosd.clock import Instant
from aiosd.jobs.job import Job, Phase
from aiosd.scheduling.policy import HeldRun
from aiosd.scheduling.predict import extended
from aiosd.scheduling.rules import Backfill, PreemptMode

if TYPE_CHECKING:
    from aiosd.jobs.state import State

CLOCK_JUMP_S = 1.0  # the wall clock moved by more against the steady one: all ends are worked out anew


@dataclass(frozen=True, slots=True)
class Seen:
    """A run as it was seen in an earlier pass; it stands while the job's revision does, the clocks keep step and it has not outlived its estimate."""

    revision: int
    wall_less_steady_s: float
    run: HeldRun


def held_runs(state: "State", now: Instant) -> tuple[HeldRun, ...]:
    """All of them; none where nobody asks: then what a pass costs does not depend on how many run."""
    if not _anybody_asks(state):
        state.seen.clear()
        return ()
    if len(state.seen) > 2 * len(state.shares) + 100:
        state.seen = {job_id: seen for job_id, seen in state.seen.items() if job_id in state.shares}
    return tuple(_seen(state, state.jobs[job_id], now) for job_id in state.shares)


def _anybody_asks(state: "State") -> bool:
    rules = state.settings.scheduling
    if rules.backfill is not Backfill.OFF or any(q.preempts for q in state.queues.values()) or any(q.preempts for q in rules.qos.values()):
        return True
    return bool(state.phases[Phase.SUSPENDED]) or any(state.jobs[job_id].spec.preemptible for job_id in state.shares)


def _seen(state: "State", job: Job, now: Instant) -> HeldRun:
    seen, offset_s = state.seen.get(job.id), now.wall_s - now.steady_s
    if seen is None or seen.revision != job.revision or abs(seen.wall_less_steady_s - offset_s) > CLOCK_JUMP_S or seen.run.expected_end_s <= now.wall_s:
        seen = state.seen[job.id] = Seen(job.revision, offset_s, held_run(state, job, now))
    return seen.run


def held_run(state: "State", job: Job, now: Instant) -> HeldRun:
    """A run that holds a grant, as it is now. A prediction that was wrong is extended, and never kills."""
    assert job.run is not None
    latest_s = ends_s(job, now)
    key = state.class_key(job)
    begun = begun_s(job, now)
    suspended = job.phase is Phase.SUSPENDED
    expected_s = latest_s
    if job.stop is None and not suspended and (not job.spec.time_limit_s or state.settings.scheduling.predict):
        estimate = state.estimate(key)
        if estimate is not None:
            expected_s = min(latest_s, begun + extended(estimate, now.wall_s - begun).expected_s)
    return HeldRun(
        job.id,
        key,
        job.run.grant,
        begun,
        expected_s,
        latest_s,
        preempt_mode=_possible(job, mode_of(state, job)),
        preemptible_from_s=begun + _exempt_s(state, job),
        suspended=suspended and job.run.whole is not None,
        stopping=job.stop is not None,
        whole=job.run.whole,
    )


def mode_of(state: "State", job: Job) -> PreemptMode:
    """What becomes of it when it is preempted: as its QoS says, else as its queue, else as it has said itself that it may be."""
    for settings in (state.settings.scheduling.qos.get(job.spec.qos), state.queues.get(job.spec.queue)):
        if settings is not None and settings.preempt_mode is not PreemptMode.OFF:
            return settings.preempt_mode
    if not job.spec.preemptible:
        return PreemptMode.OFF
    return PreemptMode.CHECKPOINT if job.spec.checkpoint_signal else PreemptMode.REQUEUE


def _possible(job: Job, mode: PreemptMode) -> PreemptMode:
    """What has not begun cannot be frozen, and what its user has suspended does not go on by itself."""
    assert job.run is not None
    can_be_frozen = job.phase is Phase.RUNNING or (job.phase is Phase.SUSPENDED and job.run.whole is not None)
    return PreemptMode.OFF if mode is PreemptMode.SUSPEND and not can_be_frozen else mode


def _exempt_s(state: "State", job: Job) -> float:
    """For so long after its start nobody preempts it: what its queue says or its QoS, whichever is longer."""
    known = (state.settings.scheduling.qos.get(job.spec.qos), state.queues.get(job.spec.queue))
    return max((settings.preempt_after_s for settings in known if settings is not None), default=0.0)


def ends_s(job: Job, now: Instant) -> float:
    """When a run that holds a grant has ended at the latest; wall, inf: nobody knows. A suspended one may be for ever."""
    assert job.run is not None
    if job.stop is not None:
        return now.wall_s + max(0.0, job.stop.kill_at_steady_s - now.steady_s)
    if not job.spec.time_limit_s or job.phase is Phase.SUSPENDED:
        return inf
    most_s = job.spec.time_limit_s + job.spec.grace_s
    if not job.run.started_at_s:
        return max(now.wall_s, job.run.dispatched_at_s) + most_s
    return now.wall_s + job.run.started_steady_s + job.run.suspended_total_s + most_s - now.steady_s


def begun_s(job: Job, now: Instant) -> float:
    """When a run that holds a grant began; wall, and as if it had begun later by as long as it was suspended."""
    assert job.run is not None
    if not job.run.started_at_s:
        return min(now.wall_s, job.run.dispatched_at_s)
    return now.wall_s + job.run.started_steady_s + job.run.suspended_total_s - now.steady_s
