"""`logs`: what a job printed, and prints."""

import click

from aios.records import Output
from aiosctl import session, stream
from aiosctl.completing import JOB
from aiosctl.failures import WrongUsage, leave
from aiosctl.lazy import verb
from aiosctl.options import patience_option
from aiosctl.status import STATUSES, job_status


@verb("aiosctl logs 42", "aiosctl logs -f --tail 20 42.7", "aiosctl logs -f --exit-status train > out.txt 2> err.txt", epilog=f"With --exit-status: {STATUSES}")
@click.argument("job", type=JOB)
@click.option("-f", "--follow", is_flag=True, help="Until the job has ended and all is printed.")
@click.option("--tail", type=click.IntRange(min=0), metavar="N", help="Begin N lines before the end.")
@click.option("--stdout", "only", flag_value="stdout", help="Only its stdout.")
@click.option("--stderr", "only", flag_value="stderr", help="Only its stderr.")
@click.option("--attempt", type=click.IntRange(min=0), default=0, metavar="N", help="Of this attempt, not the latest.")
@click.option("--exit-status", is_flag=True, help="With -f: exit with the job's status.")
@patience_option
def logs(job: str, follow: bool, tail: int | None, only: str | None, attempt: int, exit_status: bool, patience: float | None) -> None:
    """Print what a job printed: its stdout to stdout, its stderr to stderr, byte for byte."""
    if exit_status and not follow:
        raise WrongUsage("--exit-status needs -f", f"write `aiosctl logs -f --exit-status {job}`")
    with session.connect(patience=patience) as client:
        ended = stream.copy(client.log_chunks(job, follow=follow, tail=tail, output=Output(only) if only else None, attempt=attempt))
        if exit_status:
            leave(job_status(ended or client.wait(job)))
