"""Which jobs a filter means; the storage door says the same in SQL, and a contract test holds them together."""

from aiosd.jobs.job import ENDED, Job
from aiosd.jobs.ports import JobFilter


def matches(job: Job, job_filter: JobFilter, *, ended_too: bool = False) -> bool:
    """Whether `job` is meant. `ended_too`: its having ended is no reason to leave it out (a watcher wants to see the end)."""
    f = job_filter
    if f.ids:
        if job.id not in f.ids and not (f.include_elements and job.id.whole in f.ids):
            return False
    elif job.id.is_element and not f.include_elements:
        return False
    if job.phase.ended and not (ended_too or searched(f)):
        return False
    return (
        (not f.phases or job.phase in f.phases)
        and (not f.users or job.owner.name in f.users)
        and (not f.queues or job.spec.queue in f.queues)
        and (not f.name or job.spec.name == f.name)
        and all(job.spec.labels.get(key) == value for key, value in f.labels.items())
    )


def searched(job_filter: JobFilter) -> bool:
    """Whether the history is to be searched too: asked for, or named by id or by an ended phase."""
    return job_filter.include_ended or bool(job_filter.ids) or bool(job_filter.phases & ENDED)
