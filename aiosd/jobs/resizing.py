"""A run that goes on with more or less of the machine: its grant, its record and the pool change as one; then the kernel is told.

What is committed is applied after the commit, and again when a new daemon finds the run alive: a crash in between loses nothing.
"""

from dataclasses import replace

from aiosd.clock import Instant
from aiosd.errors import Exhausted, FailedPrecondition
from aiosd.jobs import billing, reserving, staging
from aiosd.jobs.actions import Resize
from aiosd.jobs.draft import JobChange
from aiosd.jobs.holders import ends_s
from aiosd.jobs.job import Job, Phase
from aiosd.jobs.limiting import amount, budgets_of, describe, raised_by
from aiosd.jobs.ports import Resized
from aiosd.jobs.state import State
from aiosd.resources.grant import Grant
from aiosd.resources.request import Request
from aiosd.resources.resizing import resized as resized_grant
from aiosd.scheduling.budgets import UNLIMITED, Dimension, Scope
from aiosd.units import format_bytes, format_millis

ROOM_PERMILLE = 1050  # of what a run uses must be left to it


def wants(job: Job, change: JobChange) -> bool:
    """Whether this is about the size of a run that has begun."""
    return job.run is not None and (change.cpu_millis is not None or change.memory_bytes is not None)


def resize(state: State, before: Job, job: Job, used_bytes: int, now: Instant) -> Job:
    """`job`, whose request is another than `before`'s, with the grant for it; to be put by the caller.

    used_bytes  of memory at present; 0: not known
    raises      FailedPrecondition and Exhausted, and then nothing has changed
    """
    assert before.run is not None
    if before.phase not in (Phase.STARTING, Phase.RUNNING, Phase.SUSPENDED):
        raise FailedPrecondition(f"job {job.id} is {before.phase}: it cannot be resized any more", hint="submit it again with what it needs", job=job.id)
    if before.run.after is not None:
        raise FailedPrecondition(f"job {job.id} takes over what another run holds just now", hint="try again in a moment", job=job.id)
    if before.run.whole is not None:
        raise FailedPrecondition(
            f"job {job.id} is suspended for another job, and keeps only its memory", hint="resize it when it runs again, or before it starts", job=job.id
        )
    if job.request.exclusive:
        raise FailedPrecondition(f"job {job.id} has the whole machine for itself: it cannot be resized", hint="submit it without --exclusive", job=job.id)
    _check_use(job, used_bytes)
    _check_limits(state, before, job, now)
    grant = _grant(state, before, job, now)
    _take_over(state, before, grant, now)
    staging.close(state, job.id, now)
    state.history.note(now.wall_s, f"has {_amounts(grant)} now, in place of {_amounts(before.run.grant)}", job)
    gpu_s = billing.gpu_seconds(before, now.wall_s)
    job = replace(job, run=replace(before.run, grant=grant, resized=True, held_since_s=now.wall_s), gpu_s=gpu_s)
    if before.run.started_at_s:  # else it is applied when it has started
        state.actions.append(Resize(job))
    return job


def _check_use(job: Job, used_bytes: int) -> None:
    asked = job.request.memory_bytes
    if used_bytes * ROOM_PERMILLE > asked * 1000:
        raise FailedPrecondition(
            f"job {job.id} uses {format_bytes(used_bytes)} of memory, which does not fit into {format_bytes(asked)}",
            hint=f"leave it at least {format_bytes(used_bytes * ROOM_PERMILLE // 1000)}: with less it would be killed",
            job=job.id,
            used=used_bytes,
            asked=asked,
        )


def _check_limits(state: State, before: Job, job: Job, now: Instant) -> None:
    """What its user, its queue and its QoS may have at once holds for what a run grows by, too. A share that may be passed binds nobody here."""
    growth = (
        (Dimension.CPU, job.request.cpu_millis - before.request.cpu_millis),
        (Dimension.MEMORY, job.request.memory_bytes - before.request.memory_bytes),
    )
    for holder, budget in budgets_of(state, job, now):
        for dimension, more in growth:
            left = budget.left[dimension]
            if more > left and more > 0 and budget.allowed[dimension] != UNLIMITED and holder.scope is not Scope.SHARE:
                who, most, command = describe(holder), budget.allowed[dimension], raised_by(holder, dimension)
                raise Exhausted(
                    f"job {job.id} would get {amount(dimension, more)} more, and of the {amount(dimension, most)} that {who} may have at once "
                    f"{amount(dimension, max(0, left))} are left",
                    hint=f"`{command}` raises the limit; that takes an admin" if holder.scope is not Scope.QOS else f"{command} has the limit",
                    user=job.owner.name,
                    asked=more,
                    allowed=most,
                )


def _grant(state: State, before: Job, job: Job, now: Instant) -> Grant:
    """Beside what is reserved for others."""
    assert before.run is not None
    held, wanted = before.run.grant, job.request
    keeper = reserving.keeper(state, now)
    with state.pool.trial() as pool:
        if keeper is not None:
            pool.keep(keeper.kept(keeper.binding(job.owner.name, _left_s(state, job, now))))
        free = pool.free()
        found = resized_grant(pool, held, wanted.cpu_millis, wanted.memory_bytes)
    if found is None:
        more = Request(max(0, wanted.cpu_millis - held.cpu_millis), max(0, wanted.memory_bytes - held.memory_bytes))
        raise Exhausted(
            f"job {job.id} needs {_amounts(more)} more, and {_amounts(free)} are free",
            hint="wait for other jobs to end, or ask for less",
            job=job.id,
            asked=_amounts(more),
            free=_amounts(free),
        )
    return found


def _left_s(state: State, job: Job, now: Instant) -> float:
    """Until the run ends at the latest; 0: nobody knows."""
    return max(1.0, ends_s(job, now) - now.wall_s) if job.spec.time_limit_s else 0.0


def _take_over(state: State, before: Job, grant: Grant, now: Instant) -> None:
    """The new grant in the old one's place, in every book."""
    assert before.run is not None
    state.pool.give_back(before.run.grant)
    state.pool.adopt(grant)
    billing.change(state, before, grant, before.run.since_s, now)
    state.holdings.resize(before, grant)
    state.dirty = True


def _amounts(held: Grant | Request) -> str:
    return f"{format_millis(held.cpu_millis)} processors and {format_bytes(held.memory_bytes)} of memory"


def resized(state: State, event: Resized, now: Instant) -> None:
    """The kernel was told. What it refused is told to whoever looks: the grant is as it was committed."""
    job = state.jobs.get(event.job_id)
    if event.error and job is not None and job.attempt == event.attempt and job.phase.active:
        state.history.note(now.wall_s, f"could not be resized as it was granted: {event.error}", job)
        state.put(replace(job, reason=f"it could not be resized as it was granted: {event.error}"), lazy=True)
