"""The verbs that steer a selection of jobs: cancel, hold, release, suspend, resume, requeue."""

import click

from aios.jobs import Steer
from aiosctl import session
from aiosctl.completing import LIVE_JOB
from aiosctl.failures import leave, status_of, tell
from aiosctl.lazy import verb
from aiosctl.output import escaped
from aiosctl.status import worst

_jobs = click.argument("jobs", nargs=-1, required=True, type=LIVE_JOB, metavar="JOB...")
_reason = click.option("--reason", default="", metavar="TEXT", help="Kept with the job, for whoever looks.")
_quiet = click.option("-q", "--quiet", is_flag=True, help="Only ids.")


def _steer(what: Steer, jobs: tuple[str, ...], quiet: bool, *, reason: str = "", force: bool = False) -> None:
    """Do it to each job; print those it was done to, tell each error, and exit with the worst."""
    statuses = [0]
    with session.connect() as client:
        for result in client.steer(what, jobs, reason=reason, force=force):
            if result.error is not None:
                tell(str(result.error), result.error.hint)
                statuses.append(status_of(result.error))
                continue
            shown = result.job.id if result.job else escaped(result.ref)
            print(shown if quiet or not result.job else f"{shown}  {result.job.state.value}")
    leave(worst(statuses))


@verb("aiosctl cancel 42", "aiosctl cancel 42.7 43 --reason 'wrong data'", "aiosctl cancel --force 42")
@_jobs
@click.option("--force", is_flag=True, help="SIGKILL at once.")
@_reason
@_quiet
def cancel(jobs: tuple[str, ...], force: bool, reason: str, quiet: bool) -> None:
    """End jobs: SIGTERM, their grace period, SIGKILL. A job that waits is only taken off."""
    _steer(Steer.CANCEL, jobs, quiet, reason=reason, force=force)


@verb("aiosctl hold 42", "aiosctl hold 42 43 --reason 'data not ready'")
@_jobs
@_reason
@_quiet
def hold(jobs: tuple[str, ...], reason: str, quiet: bool) -> None:
    """Keep waiting jobs from starting until they are released."""
    _steer(Steer.HOLD, jobs, quiet, reason=reason)


@verb("aiosctl release 42")
@_jobs
@_quiet
def release(jobs: tuple[str, ...], quiet: bool) -> None:
    """Let held jobs start when their turn comes."""
    _steer(Steer.RELEASE, jobs, quiet)


@verb("aiosctl suspend 42")
@_jobs
@_reason
@_quiet
def suspend(jobs: tuple[str, ...], reason: str, quiet: bool) -> None:
    """Stop all processes of running jobs where they are; they keep what they hold."""
    _steer(Steer.SUSPEND, jobs, quiet, reason=reason)


@verb("aiosctl resume 42")
@_jobs
@_quiet
def resume(jobs: tuple[str, ...], quiet: bool) -> None:
    """Continue suspended jobs."""
    _steer(Steer.RESUME, jobs, quiet)


@verb("aiosctl requeue 42", "aiosctl requeue 42 --reason 'new driver'")
@_jobs
@_reason
@_quiet
def requeue(jobs: tuple[str, ...], reason: str, quiet: bool) -> None:
    """Stop jobs if they run, and queue them again from the beginning."""
    _steer(Steer.REQUEUE, jobs, quiet, reason=reason)
