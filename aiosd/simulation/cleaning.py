"""From the rows of a trace to the jobs of a simulation: which rules make a row usable, and a note for each that was not."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, inf
from operator import attrgetter

from aiosd.errors import InvalidArgument
from aiosd.simulation.records import ONE, Machine, Trace, TraceJob
from aiosd.simulation.rows import RawTrace, Row

NEVER_RAN = "never ran"
_LEFT_OUT = {
    NEVER_RAN: "never ran (no run time, or pending)",
    "asks for nothing": "ask for no processor and no GPU",
    "too large": "ask for more than the machine has",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The usual rules of the Parallel Workloads Archive, and what can be chosen about them.

    cut        a job is killed at its limit: one that is said to have run longer ran so long
    strict     a row that would be left out is an error
    scale      gaps between arrivals are so many times as long; > 0
    until_s    what is submitted later than this after the first is left out
    most       so many jobs at most; 0: all
    """

    cut: bool = True
    strict: bool = False
    scale: float = 1.0
    until_s: float = inf
    most: int = 0


def clean(raw: RawTrace, machine: Machine, unit: str, rules: Rules) -> Trace:
    """The usable jobs, by their arrival. `unit` says what `req` counts: "cpu" or "gpu".

    raises    InvalidArgument when nothing is left, or `rules.strict` and a row would be left out
    """
    left_out: Counter[str] = Counter()
    cut = 0
    jobs: list[TraceJob] = []
    for row in raw.rows:
        job = _job(row, unit)
        why = _unusable(row, job, machine, rules)
        if why:
            _refuse_when_strict(raw.name, row, why, rules)
            left_out[why] += 1
            continue
        if rules.cut and 0 < job.limit_s < job.run_s:
            cut += 1
            job = job._replace(run_s=job.limit_s)
        jobs.append(job)
    if not jobs:
        raise InvalidArgument(f"{raw.name} has no job that {machine.words} could run", hint="give it more by --cpus, --gpus or --memory", trace=raw.name)
    chosen = _chosen(jobs, rules)
    return Trace(chosen, tuple(_notes(len(raw.rows), left_out, cut, len(jobs) - len(chosen))))


def _job(row: Row, unit: str) -> TraceJob:
    """A part of a GPU is one GPU's; more than one comes in whole ones."""
    size = row.size or 0.0
    gpu = row.gpu_millis if row.gpu_millis is not None else size * ONE if unit == "gpu" else 0.0
    cpu = row.cpu_millis if row.cpu_millis is not None else size * ONE if unit != "gpu" else 0.0
    gpu_millis = ceil(gpu) if gpu <= ONE else ONE * ceil(gpu / ONE)
    memory = int(row.memory_bytes or 0)
    who = row.user or row.group
    limit_s = max(0.0, row.limit_s)
    return TraceJob(
        row.submit_s, row.run_s, ceil(cpu), memory, gpu_millis, limit_s, who, row.queue or "default", row.group, row.priority, row.qos, row.work
    )  # fmt: skip


def _unusable(row: Row, job: TraceJob, machine: Machine, rules: Rules) -> str:
    """Why a row is left out; empty when it is not."""
    if job.run_s <= 0 or row.status == "pending":
        return NEVER_RAN
    if job.cpu_millis <= 0 and job.gpu_millis <= 0:
        return "asks for nothing"
    if job.cpu_millis < 0 or job.gpu_millis < 0 or job.memory_bytes < 0:
        return "asks for nothing"
    if not machine.holds(job):
        return "too large"
    return ""


def _refuse_when_strict(name: str, row: Row, why: str, rules: Rules) -> None:
    if rules.strict:
        raise InvalidArgument(f"{name}, line {row.line}: {_SINGULAR[why]}", hint="without --strict such lines are left out", trace=name, line=row.line)


_SINGULAR = {
    NEVER_RAN: "this job never ran",
    "asks for nothing": "this job asks for no processor and no GPU",
    "too large": "this job asks for more than the machine has",
}


def _chosen(jobs: list[TraceJob], rules: Rules) -> Sequence[TraceJob]:
    """By arrival (equal ones as they stood), from time 0 on, stretched, and cut off."""
    jobs.sort(key=attrgetter("submit_s"))
    begin_s = jobs[0].submit_s
    if begin_s or rules.scale != 1.0:
        jobs = [job._replace(submit_s=(job.submit_s - begin_s) * rules.scale) for job in jobs]
    if rules.until_s < inf:
        jobs = [job for job in jobs if job.submit_s <= rules.until_s]
    return jobs[: rules.most] if rules.most else jobs


def _notes(rows: int, left_out: Counter[str], cut: int, beyond: int) -> list[str]:
    notes = [f"{count} of {rows} jobs {_LEFT_OUT[why]}, and are left out" for why, count in left_out.items()]
    if cut:
        notes.append(f"{cut} of {rows} jobs ran longer than they had asked for, and are cut at their limit")
    if beyond:
        notes.append(f"{beyond} later jobs are left out, as was asked")
    return notes
