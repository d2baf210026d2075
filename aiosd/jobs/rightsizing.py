"""Requests learned from earlier runs: shown or applied where a job leaves them open, and taken back where they were too small."""

from dataclasses import dataclass, replace

from aiosd.clock import Instant
from aiosd.jobs.endings import Ending
from aiosd.jobs.history import command_of, work_of
from aiosd.jobs.job import Job, JobSpec
from aiosd.jobs.lifecycle import Cue
from aiosd.jobs.limiting import limits_of, most_memory_bytes
from aiosd.jobs.memory import MIB
from aiosd.jobs.peaks import Size
from aiosd.jobs.settings import Rightsize
from aiosd.jobs.state import State
from aiosd.resources.defaults import memory_share
from aiosd.scheduling.predict import Traits
from aiosd.units import format_bytes, format_millis

WORTH_PERMILLE = 800  # of what it gets: who needs less than that is told


@dataclass(frozen=True, slots=True)
class Sized:
    """A specification as it is to run. `told`: in a sentence, what was learned; `applied`: and it asks for that."""

    spec: JobSpec
    told: str = ""
    applied: bool = False


def sized(state: State, user: str, spec: JobSpec) -> Sized:
    """What such jobs used before, applied or told as the settings want it. What a user asked for is never changed."""
    how = state.settings.rightsize
    if how is Rightsize.OFF or not (spec.open_memory or spec.open_cpus) or spec.request.exclusive:
        return Sized(spec)
    known = state.history.peaks.size(Traits(user, work_of(spec), spec.request, 0.0, command_of(spec)), state.settings.rightsize_margin_permille)
    if not known.runs:
        return Sized(spec)
    return _applied(state, user, spec, known) if how is Rightsize.APPLY else Sized(spec, _suggestion(spec, known))


def _applied(state: State, user: str, spec: JobSpec, known: Size) -> Sized:
    """Never more than the machine has, or its user may have."""
    request = spec.request
    memory, cpus = request.memory_bytes, request.cpu_millis
    if spec.open_cpus and known.cpu_millis:
        cpus = min(known.cpu_millis, state.pool.inventory.cpu_millis, limits_of(state, user).cpu_millis or known.cpu_millis)
    if spec.open_memory and known.memory_bytes:
        memory = min(known.memory_bytes, most_memory_bytes(state, user))
    if (memory, cpus) == (request.memory_bytes, request.cpu_millis):
        return Sized(spec)
    words = [f"{format_bytes(memory)} of memory in place of {format_bytes(request.memory_bytes)}"] if memory != request.memory_bytes else []
    words += [f"{_cpus(cpus)} in place of {format_millis(request.cpu_millis)}"] if cpus != request.cpu_millis else []
    told = f"it asks for {' and '.join(words)}, learned from {known.runs} earlier runs"
    return Sized(replace(spec, request=replace(request, memory_bytes=memory, cpu_millis=cpus)), told, applied=True)


def _suggestion(spec: JobSpec, known: Size) -> str:
    flags = []
    if spec.open_cpus and known.cpu_millis and _differs(known.cpu_millis, spec.request.cpu_millis):
        flags.append(f"--cpus {format_millis(known.cpu_millis)}")
    if spec.open_memory and known.memory_bytes and _differs(known.memory_bytes, spec.request.memory_bytes):
        flags.append(f"--memory {known.memory_bytes // MIB}M")
    return f"by {known.runs} earlier runs, `{' '.join(flags)}` would fit it" if flags else ""


def _differs(known: int, asked: int) -> bool:
    """Whether it needs clearly less than it gets, or more."""
    return known * 1000 < asked * WORTH_PERMILLE or known > asked


def _cpus(millis: int) -> str:
    return f"{format_millis(millis)} processor{'s' if millis > 1000 else ''}"


def note(state: State, job: Job, found: Sized, now: Instant) -> None:
    """Among the adjustments."""
    if found.applied:
        state.history.note(now.wall_s, found.told, job)


# Where what was learned was not enough


def second_chance(job: Job, end: Ending) -> Ending:
    """A run that ran out of memory that its user did not choose is tried again, once, and it costs none of the job's retries."""
    if end.cue is not Cue.RUN_OUT_OF_MEMORY or not job.rightsized or job.ran_out:
        return end
    return Ending(Cue.REQUEUE, f"{end.reason}; what was learned from earlier runs was too little, and it is tried again", out_of_memory=True)


def taken_back(state: State, job: Job) -> Job:
    """With at least the memory that it would have had without what was learned."""
    if not job.rightsized:
        return job
    usual = min(memory_share(job.request.cpu_millis, state.pool.inventory), most_memory_bytes(state, job.owner.name))
    return replace(job, memory_bytes=usual) if usual > job.request.memory_bytes else job
