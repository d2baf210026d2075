"""What the engine does about preemption: runs make room and come back, and whom they made room for goes first."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from aiosd.clock import Instant
from aiosd.ids import JobId
from aiosd.jobs import billing, history, staging
from aiosd.jobs.actions import Signal
from aiosd.jobs.holders import held_runs
from aiosd.jobs.job import Job, Phase, StopCause
from aiosd.jobs.lifecycle import Cue, move
from aiosd.jobs.running import stop
from aiosd.jobs.state import State
from aiosd.resources.grant import CpuGrant, DeviceGrant, Grant
from aiosd.resources.pool import Pool
from aiosd.scheduling.policy import Eviction, Plan, Promise
from aiosd.scheduling.preemption import kept_when_suspended, resumes
from aiosd.scheduling.rules import PreemptMode

UNKEPT_S = 60.0  # for so long nobody makes room again for a job that did not start where it was made
_CAUSES = (StopCause.PREEMPT, StopCause.PREEMPT_CANCEL)

# When a pass is to be made


def in_vain(state: State, now: Instant) -> Sequence[JobId]:
    """For whom room was made a moment ago and did no good, as where the machine has shrunk meanwhile."""
    if state.unkept:
        state.unkept = {job_id: until_s for job_id, until_s in state.unkept.items() if until_s > now.steady_s}
    return tuple(state.unkept)


def promised(state: State) -> Sequence[Promise]:
    """What was promised to those who still wait, as they wait now: one may have been cancelled since, or have asked for something else."""
    found = []
    for promise in state.promises.values():
        place = state.backlog.place_of(promise.job_id)
        if place is not None:
            same = place.key.request == promise.key.request
            found.append(promise if place.key == promise.key else Promise(promise.job_id, place.key, promise.grant if same else None))
    return found


def look_again(state: State, now: Instant) -> None:
    """While anybody waits: when the next run may be preempted, when one should have ended for whom nobody was, and when room may be made again."""
    state.preempt_check_at_s = None
    queues, qos = state.queues.values(), state.settings.scheduling.qos.values()
    exempt = any(q.preempt_after_s for q in queues) or any(q.preempt_after_s for q in qos)
    if not state.backlog.where or not (exempt or state.planned or state.unkept):
        return
    waits_s = [until_s - now.steady_s for until_s in state.unkept.values()]
    runs = held_runs(state, now) if exempt or state.planned else ()
    open_s = [run.preemptible_from_s - now.wall_s for run in runs if run.preempt_mode is not PreemptMode.OFF]
    if open_s:
        waits_s += open_s
        waits_s += [planned.at_s - now.wall_s for planned in state.planned.values() if planned.at_s < now.wall_s + state.settings.scheduling.preempt_min_gain_s]
    waits_s = [wait_s for wait_s in waits_s if wait_s > 0]
    if waits_s:
        state.preempt_check_at_s = now.steady_s + min(waits_s)


def check(state: State, now: Instant) -> None:
    """Whether it is time."""
    due_s = state.preempt_check_at_s
    if due_s is not None and now.steady_s >= due_s:
        state.preempt_check_at_s = None
        state.dirty = True


# What comes of it


def carry_out(state: State, plan: Plan, now: Instant) -> bool:
    """Follow a plan as far as it is about preemption, after its starts. Whether another pass can start somebody at once."""
    given_up = _settle_promises(state, plan, now)
    promises = {promise.job_id: promise for promise in plan.promises}
    for eviction in plan.evictions:
        if eviction.beneficiary in promises:
            _evict(state, eviction, promises[eviction.beneficiary].grant, now)
    for job_id in plan.resumes:
        _resume(state, state.jobs[job_id], now)
    state.promises.update(promises)
    return given_up or bool(promises.keys() - _being_waited_for(state))


def _settle_promises(state: State, plan: Plan, now: Instant) -> bool:
    """A promise is kept when its job has started. Where nobody makes room any more and it still could not, it is over.

    Whether one is over like that: what this pass has kept free for it is for others now.
    """
    if not state.promises:
        return False
    given_up, started, waiting = False, {start.job_id for start in plan.starts}, _being_waited_for(state)
    for job_id in list(state.promises):
        if job_id in started or job_id not in waiting or not _waits(state, job_id):
            del state.promises[job_id]
            if job_id not in started:
                given_up = True
            if _waits(state, job_id):
                state.unkept[job_id] = now.steady_s + UNKEPT_S
    return given_up


def _being_waited_for(state: State) -> set[JobId | None]:
    """Those for whom a run is ending."""
    return {job.made_room_for for job_id in state.shares if (job := state.jobs[job_id]).stop is not None and job.stop.cause in _CAUSES}


def _waits(state: State, job_id: JobId) -> bool:
    job = state.jobs.get(job_id)
    if job is not None:
        return job.phase is Phase.QUEUED
    array = state.jobs.get(job_id.whole)
    return array is not None and array.array is not None and job_id.whole in state.backlog.where and job_id.index in array.array.pending


def restore(state: State) -> None:
    """After a restart: whoever room was made for goes first, as before."""
    for job in state.jobs.values():
        other = job.made_room_for
        if other is not None and other not in state.promises and _waits(state, other):
            state.promises[other] = Promise(other, state.class_key(state.job(other)))


def _evict(state: State, eviction: Eviction, wanted: Grant | None, now: Instant) -> None:
    """`wanted`: what the beneficiary is to get."""
    job = state.jobs[eviction.job_id]
    assert job.run is not None, f"{job.id} does not run"
    staging.leave_alone(state, job.id, now)
    job = replace(state.jobs[job.id], preemptions=job.preemptions + 1, made_room_for=eviction.beneficiary)
    other = named(state, eviction.beneficiary)
    if eviction.mode is PreemptMode.SUSPEND:
        _suspend(state, job, other, wanted, now)
        return
    cancelled = eviction.mode is PreemptMode.CANCEL
    cause = StopCause.PREEMPT_CANCEL if cancelled else StopCause.PREEMPT
    reason = f"{'cancelled' if cancelled else 'preempted'} to make room for {other}"
    checkpoint = eviction.mode is PreemptMode.CHECKPOINT
    stop(state, job, cause, reason, now, checkpoint=checkpoint, most_s=state.settings.scheduling.preempt_grace_max_s)


def _suspend(state: State, job: Job, other: str, wanted: Grant | None, now: Instant) -> None:
    """Freeze it; of what it could do without it lends no more than is needed, so that the rest does not go astray."""
    assert job.run is not None
    whole, frozen = job.run.whole or job.run.grant, job.phase is Phase.SUSPENDED
    job = _holding(state, job, _lent(job.run.grant, wanted), now)
    assert job.run is not None
    since_s = job.run.suspended_steady_s if frozen else now.steady_s
    run = replace(job.run, whole=whole, suspended_steady_s=since_s)
    phase = job.phase if frozen else move(job.phase, Cue.SUSPEND)
    job = state.put(replace(job, phase=phase, reason=f"suspended for {other}", run=run))
    if not frozen:
        state.actions.append(Signal(job, "STOP"))


def _resume(state: State, job: Job, now: Instant) -> None:
    """It has all of its own again."""
    assert job.run is not None
    assert job.run.grant == job.run.whole
    paused_s = max(0.0, now.steady_s - job.run.suspended_steady_s)
    run = replace(job.run, whole=None, suspended_steady_s=0.0, suspended_total_s=job.run.suspended_total_s + paused_s)
    job = state.put(replace(job, phase=move(job.phase, Cue.RESUME), reason="", run=run, made_room_for=None))
    state.arm(job, now)
    history.resumed(state, job)
    state.actions.append(Signal(job, "CONT"))


def take_back(state: State, now: Instant) -> None:
    """Before others are asked, the suspended runs take what is free of what they lent; who has been suspended longest first."""
    if not state.phases[Phase.SUSPENDED]:
        return
    lent = [job for job in _suspended(state) if job.run is not None and job.run.grant != job.run.whole and job.made_room_for not in state.promises]
    for job in sorted(lent, key=lambda job: (job.run.suspended_steady_s if job.run is not None else 0.0, job.id)):
        run = job.run
        if run is not None and run.whole is not None:
            grant = _regained(run.grant, run.whole, _left_by_promises(state))
            if grant != run.grant:
                state.put(_holding(state, job, grant, now))


def go_on(state: State, now: Instant) -> None:
    """Where nothing new may start, what is suspended for another goes on all the same, when that one has ended."""
    if state.dirty and state.phases[Phase.SUSPENDED]:
        take_back(state, now)
        for job_id in resumes(held_runs(state, now)):
            _resume(state, state.jobs[job_id], now)


def _suspended(state: State) -> list[Job]:
    """For others; not by their users."""
    jobs = (state.jobs[job_id] for job_id in state.shares)
    return [job for job in jobs if job.phase is Phase.SUSPENDED and job.run is not None and job.run.whole is not None]


def _left_by_promises(state: State) -> Grant:
    """What is free and promised to nobody."""
    with state.pool.trial() as pool:
        for promise in state.promises.values():
            _keep(pool, promise)
        return pool.free()


def _keep(pool: Pool, promise: Promise) -> None:
    if promise.grant is None or pool.take(promise.key.request) is None:
        pool.hold(promise.key.request)


def _holding(state: State, job: Job, grant: Grant, now: Instant) -> Job:
    """It holds this from now on, and so it is charged; to be put by the caller."""
    assert job.run is not None
    state.pool.give_back(job.run.grant)
    state.pool.adopt(grant)
    billing.change(state, job, grant, job.run.since_s, now)
    state.holdings.finish(job, now)
    job = replace(job, run=replace(job.run, grant=grant, held_since_s=now.wall_s), gpu_s=billing.gpu_seconds(job, now.wall_s))
    state.holdings.begin(job)
    return job


# What of a grant is lent, and comes back


def _lent(grant: Grant, wanted: Grant | None) -> Grant:
    """What is left of a grant of which another gets what it wants; None: all that can be done without."""
    least = kept_when_suspended(grant)
    if wanted is None:
        return least
    cpus, parts = _cpus(wanted), _parts(wanted)
    shared = {part.device_id: part for part in least.devices if not part.millis}
    return Grant(
        tuple(left for cpu in grant.cpus if (left := CpuGrant(cpu.cpu, max(0, cpu.millis - cpus.get(cpu.cpu, 0)))).millis),
        grant.memory_bytes,
        tuple(replace(part, millis=max(0, part.millis - parts.get(part.device_id, 0))) if part.device_id in shared else part for part in grant.devices),
        grant.disk_bytes,
    )


def _regained(grant: Grant, whole: Grant, free: Grant) -> Grant:
    """What a suspended run has when it takes all that is free of its own."""
    had, free_cpus, free_parts = _cpus(grant), _cpus(free), _parts(free)
    cpus = (CpuGrant(cpu.cpu, min(cpu.millis, had.get(cpu.cpu, 0) + free_cpus.get(cpu.cpu, 0))) for cpu in whole.cpus)
    devices = (_nearer(part, own, free_parts.get(part.device_id, 0)) for part, own in zip(grant.devices, whole.devices, strict=True))
    return Grant(tuple(cpu for cpu in cpus if cpu.millis), grant.memory_bytes, tuple(devices), grant.disk_bytes)


def _nearer(part: DeviceGrant, own: DeviceGrant, free_millis: int) -> DeviceGrant:
    return replace(part, millis=min(own.millis, part.millis + free_millis))


def _cpus(grant: Grant) -> Mapping[int, int]:
    return {cpu.cpu: cpu.millis for cpu in grant.cpus}


def _parts(grant: Grant) -> Mapping[str, int]:
    return {part.device_id: part.millis for part in grant.devices}


# What is said of it


def named(state: State, job_id: JobId) -> str:
    """`job 17 of alice`."""
    job = state.jobs.get(job_id) or state.jobs.get(job_id.whole)
    return f"job {job_id} of {job.owner.name}" if job is not None else f"job {job_id}"


def is_lent(job: Job) -> bool:
    """Whether it is suspended for another."""
    return job.phase is Phase.SUSPENDED and job.run is not None and job.run.whole is not None


def why_suspended(job: Job) -> str:
    """Of a job that is suspended for another, one sentence."""
    return f"it is {job.reason}, and goes on when what it lent is free again{how_often(job)}"


def how_often(job: Job) -> str:
    """` (preempted 2 times)`."""
    return f" (preempted {job.preemptions} time{'s' if job.preemptions > 1 else ''})" if job.preemptions else ""


def making_room(state: State, job_id: JobId) -> str:
    """Who makes room for a job that waits, one sentence; "" where nobody does."""
    if job_id not in state.promises:
        return ""
    jobs = [state.jobs[i] for i in sorted(state.shares) if state.jobs[i].made_room_for == job_id]
    names = ", ".join(f"{job.id} of {job.owner.name}" for job in jobs[:5]) + (" …" if len(jobs) > 5 else "")
    return f"job{'s' if len(jobs) > 1 else ''} {names} make{'' if len(jobs) > 1 else 's'} room for it" if jobs else "room has been made for it"
