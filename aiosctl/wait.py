"""`wait`: until jobs have ended."""

from time import monotonic

import click

from aios.errors import AiosError
from aiosctl import describe, session
from aiosctl.completing import JOB
from aiosctl.failures import leave, status_of, tell
from aiosctl.lazy import verb
from aiosctl.options import DURATION
from aiosctl.output import escaped
from aiosctl.status import STATUSES, job_status, worst


@verb("aiosctl wait 42", "aiosctl wait --timeout 10m 42 43", epilog=f"Exit status: {STATUSES} Of several jobs: the largest.")
@click.argument("jobs", nargs=-1, required=True, type=JOB, metavar="JOB...")
@click.option("--timeout", type=DURATION, help="Give up after so long; the jobs go on.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing.")
def wait(jobs: tuple[str, ...], timeout: float | None, quiet: bool) -> None:
    """Wait until every JOB has ended; print how, and exit with the job's own status."""
    until = None if timeout is None else monotonic() + timeout
    statuses = []
    with session.connect() as client:
        for ref in jobs:
            try:
                job = client.wait(ref, timeout=None if until is None else max(0.001, until - monotonic()))
            except AiosError as error:
                tell(str(error), error.hint)
                statuses.append(status_of(error))
                continue
            statuses.append(job_status(job))
            if not quiet:
                print("  ".join(part for part in (job.id, job.state.value, escaped(describe.ending(job))) if part), flush=True)
    leave(worst(statuses))
