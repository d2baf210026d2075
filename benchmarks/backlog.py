"""Many jobs that are over, and many that wait: what must not slow the hot path."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import aios
from aiosd.ids import JobId, parse_job_id
from aiosd.jobs.job import Job, Outcome
from aiosd.jobs.ports import Changes
from aiosd.storage.journal import SqlJournal
from benchmarks.daemon import PrivateDaemon

PARKED = "parked"
_CHUNK = 5000


def fill_history(daemon: PrivateDaemon, count: int) -> None:
    """`count` finished jobs in the database of a daemon that is down: copies of one that really ran, written by its own journal.

    They have rows as every finished job has; only their output files are missing.
    """
    daemon.start()
    with daemon.client() as client:
        example = client.submit(["/bin/true"], name="earlier").wait().id
    daemon.stop()
    job_id = parse_job_id(example)
    assert job_id is not None, example
    asyncio.run(_copy(daemon.database_url, job_id, count))


async def _copy(url: str, example: JobId, count: int) -> None:
    journal = await SqlJournal.open(url)
    try:
        loaded = await journal.load()
        job = await journal.get(example)
        assert job is not None, f"job {example} is not in the history"
        for first in range(0, count, _CHUNK):
            few = range(first, min(count, first + _CHUNK))
            await journal.commit(Changes(ended=[_copied(job, loaded.next_number + at, loaded.revision + 1 + at, at) for at in few]))
    finally:
        await journal.close()


def _copied(job: Job, number: int, revision: int, at: int) -> Job:
    assert job.outcome is not None
    outcome: Outcome = replace(job.outcome, ended_at_s=job.outcome.ended_at_s + at * 1e-3)
    return replace(job, id=JobId(number), revision=revision, outcome=outcome)


def park(client: aios.Client, count: int, *, queue: str = PARKED, priority: int = 0) -> None:
    """`count` plain jobs in a queue that is not started."""
    client.set_queue(queue, started=False)
    spec = aios.JobSpec(["/bin/true"], name="waits", queue=queue, priority=priority)
    for size in chunks(count):
        client.submit_many([spec] * size)


def chunks(count: int) -> Sequence[int]:
    """`count` in pieces as large as one call takes at ease."""
    return [min(_CHUNK, count - first) for first in range(0, count, _CHUNK)]
