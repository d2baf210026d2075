"""What has ended on this machine, with how long it waited, and the same past with more or fewer arrivals."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from aiosd.errors import FailedPrecondition
from aiosd.simulation.records import Machine, TraceJob
from aiosd.simulation.rows import RawTrace, Row

_DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Past:
    """Jobs by the time from which they could have started, the wait of each, and what was left out, in words."""

    jobs: Sequence[TraceJob]
    waits_s: Sequence[float]
    notes: tuple[str, ...] = ()

    def within(self, machine: Machine) -> "Past":
        """Without the jobs that the machine could not run, and with a note that says so."""
        kept = [(job, wait_s) for job, wait_s in zip(self.jobs, self.waits_s, strict=True) if machine.holds(job)]
        if len(kept) == len(self.jobs):
            return self
        note = f"{len(self.jobs) - len(kept)} of {len(self.jobs)} jobs ask for more than {machine.words}, and are left out"
        return Past([job for job, _ in kept], [wait_s for _, wait_s in kept], (*self.notes, note))

    def newest(self, most: int) -> "Past":
        """The last `most` of them, and a note where there were more."""
        if len(self.jobs) <= most:
            return self
        return Past(self.jobs[-most:], self.waits_s[-most:], (*self.notes, f"of {len(self.jobs)} jobs only the newest {most} are looked at"))


def past_of(raw: RawTrace) -> Past:
    """The past of rows as `history.line_of` writes them. Rows without a wait, without a run, or that ask for nothing are left out.

    raises  FailedPrecondition where nothing is left
    """
    usable = sorted((row for row in raw.rows if _is_usable(row)), key=lambda row: row.submit_s)
    if not usable:
        raise FailedPrecondition("no job has ended yet that could tell how long jobs wait and run", hint="a forecast needs a history: run some jobs first")
    left_out = len(raw.rows) - len(usable)
    notes = (f"{left_out} of {len(raw.rows)} jobs have impossible times (the clock was set?) or never ran, and are left out",) if left_out else ()
    return Past([_job(row) for row in usable], [row.waited_s or 0.0 for row in usable], notes)


def _is_usable(row: Row) -> bool:
    asks = (row.cpu_millis or 0.0) > 0 or (row.gpu_millis or 0.0) > 0
    return asks and row.run_s > 0 and row.waited_s is not None and row.waited_s >= 0


def _job(row: Row) -> TraceJob:
    cpu_millis, memory_bytes, gpu_millis = ceil(row.cpu_millis or 0.0), ceil(row.memory_bytes or 0.0), ceil(row.gpu_millis or 0.0)
    limit_s, queue = max(0.0, row.limit_s), row.queue or "default"
    return TraceJob(row.submit_s, row.run_s, cpu_millis, memory_bytes, gpu_millis, limit_s, row.user, queue, row.group, row.priority, row.qos)


def more_arrivals(jobs: Sequence[TraceJob], factor: float, seed: int) -> Sequence[TraceJob]:
    """The past with `factor` times as many arrivals, over the same time.

    All jobs come again as often as the factor has ones, and by chance as it has parts; every such copy of the past is moved by
    whole days (by any time where the past is shorter than two), what would come after its end at its beginning: so the hours of
    the day stay what they are, and bursts come more often instead of being larger. Less than 1 leaves jobs out by chance.
    """
    from numpy.random import default_rng

    if factor == 1 or not jobs:
        return jobs
    chance, begin_s = default_rng(seed), jobs[0].submit_s
    span_s = jobs[-1].submit_s - begin_s
    made: list[TraceJob] = []
    copy = 0
    while (part := min(1.0, factor - copy)) > 0:
        moved_s = _move_s(chance.random(), span_s) if copy else 0.0
        taken = chance.random(len(jobs)) < part
        for job, is_taken in zip(jobs, taken.tolist(), strict=True):
            if is_taken:
                made.append(job._replace(submit_s=_moved(job.submit_s - begin_s, moved_s, span_s) + begin_s) if moved_s else job)
        copy += 1
    return sorted(made, key=lambda job: job.submit_s)


def _move_s(at_random: float, span_s: float) -> float:
    days = int(span_s // _DAY_S)
    return _DAY_S * (1 + int(at_random * (days - 1))) if days >= 2 else at_random * span_s


def _moved(at_s: float, by_s: float, span_s: float) -> float:
    """Moved in a circle of whole days, so that who comes round to the beginning comes at the same hour; the rest of the last day goes back."""
    circle_s = span_s // _DAY_S * _DAY_S or span_s
    return (at_s + by_s) % circle_s if at_s < circle_s else at_s - by_s
