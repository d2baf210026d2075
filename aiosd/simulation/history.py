"""This machine's own past as a trace: a line for each run that ended, in the form of our CSV."""

from aiosd.jobs.history import work_of
from aiosd.jobs.job import Job

TITLES = "submit_s,run_s,user,group,queue,priority,qos,walltime_req_s,cpu_milli,mem_mib,gpus,orig_wait_s,work\n"
GPU = "gpu"


def line_of(job: Job) -> str:
    """The line of a job that has ended; empty for one that never ran, or is an array's own record.

    A job counts from when it could have started: what it waited for before was not the machine.
    """
    if job.run is None or job.outcome is None or job.array is not None or job.outcome.run_s <= 0:
        return ""
    request, spec, outcome, grant = job.request, job.spec, job.outcome, job.run.grant
    begin_s = max(job.submitted_at_s, job.eligible_at_s)
    started_s = job.run.started_at_s or outcome.ended_at_s - outcome.run_s
    asked = grant if request.exclusive else request  # all of the machine, as it was then
    gpus = sum(part.millis for part in asked.devices if part.kind == GPU) / 1000
    limit_s = spec.time_limit_s + spec.grace_s if spec.time_limit_s else 0.0  # what the scheduler counts on
    cells = (
        f"{begin_s:.3f}", f"{outcome.run_s:.3f}", _plain(job.owner.name), _plain(spec.account), _plain(spec.queue), str(spec.priority), _plain(spec.qos),
        f"{limit_s:.3f}", str(asked.cpu_millis), f"{asked.memory_bytes / (1 << 20):.3f}", f"{gpus:g}", f"{max(0.0, started_s - begin_s):.3f}",
        _plain(work_of(spec)),
    )  # fmt: skip
    return ",".join(cells) + "\n"


def _plain(name: str) -> str:
    """A name without what would be more than a cell."""
    return "".join(c if c.isprintable() and c not in ',"' else "_" for c in name)
