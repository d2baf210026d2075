"""What a job that ran out of memory asks for next: by itself when it is retried, or by its user."""

from dataclasses import replace

from aiosd.jobs.endings import Ending
from aiosd.jobs.job import Exit, Job
from aiosd.jobs.lifecycle import Cue
from aiosd.resources.inventory import Inventory
from aiosd.units import format_bytes

MIB, GIB = 1 << 20, 1 << 30
HEADROOM = 1.5  # what a user is told to ask for, beside what was used


def raised(job: Job, had_bytes: int, most_bytes: int) -> Job:
    """The job with a larger request for its next attempt, but for one that has the whole machine anyway.

    most_bytes  what the machine has, or less where its user may not have that
    """
    retry = job.spec.retry
    job = replace(job, ran_out=(*job.ran_out, had_bytes))
    if job.spec.request.exclusive:
        return job
    most = min(most_bytes, retry.oom_memory_max_bytes or most_bytes)
    now = job.request.memory_bytes
    wanted = _rounded(int(now * retry.oom_memory_factor), MIB) if retry.oom_memory_factor > 1 else now
    new = max(now, min(wanted, most))
    more = f" with {format_bytes(new)} of memory" if new > now else " with as much memory as before" + (": it may not ask for more" if wanted > now else "")
    return replace(job, memory_bytes=new if new != job.spec.request.memory_bytes else 0, reason=job.reason + more)


def told(job: Job) -> str:
    """Why an attempt has more memory than was asked for at first; empty when it has not."""
    return f"attempts before ran out of {_listed(job.ran_out)} of memory; this one has {format_bytes(job.request.memory_bytes)}" if job.ran_out else ""


def with_advice(job: Job, end: Ending, exit_: Exit | None, inventory: Inventory) -> Ending:
    """An end for good says what each attempt had, and what to ask for next time where it was not enough."""
    if end.cue in (Cue.RETRY, Cue.REQUEUE) or job.run is None or not (job.ran_out or end.cue is Cue.RUN_OUT_OF_MEMORY):
        return end
    parts = [end.reason] if end.reason else []
    if job.ran_out:
        parts.append(f"its attempts had {_listed((*job.ran_out, job.run.grant.memory_bytes))} of memory")
    if end.cue is Cue.RUN_OUT_OF_MEMORY:
        ask = _suggested(job.run.grant.memory_bytes, exit_.usage.memory_peak_bytes if exit_ is not None else 0, inventory)
        parts.append(f"ask for --memory {flag(ask)} next time" if ask else f"jobs of this machine can have no more than {format_bytes(inventory.memory_bytes)}")
    return replace(end, reason="; ".join(parts))


def suggested(job: Job, inventory: Inventory) -> int:
    """What a job that ended out of memory should ask for; 0 where the machine has no more."""
    had = job.run.grant.memory_bytes if job.run is not None else job.request.memory_bytes
    return _suggested(had, job.outcome.usage.memory_peak_bytes if job.outcome is not None else 0, inventory)


def _suggested(had_bytes: int, peak_bytes: int, inventory: Inventory) -> int:
    wanted = int(max(had_bytes, peak_bytes) * HEADROOM)
    rounded = _rounded(wanted, GIB if wanted >= 4 * GIB else 256 * MIB if wanted >= GIB else 32 * MIB)
    if rounded > inventory.memory_bytes:
        rounded = inventory.memory_bytes // MIB * MIB
    return rounded if rounded > had_bytes else 0


def flag(memory_bytes: int) -> str:
    """As the command line takes it: `6G`, `1280M`."""
    return f"{memory_bytes // GIB}G" if memory_bytes % GIB == 0 else f"{memory_bytes // MIB}M"


def _rounded(amount: int, unit: int) -> int:
    return -(-amount // unit) * unit


def _listed(sizes: tuple[int, ...]) -> str:
    *first, last = (format_bytes(size) for size in sizes)
    return f"{', '.join(first)} and {last}" if first else last
