"""The exit status that `run`, `wait` and `logs --exit-status` give for a job."""

from aios.records import JobRecord, State

STATUSES = (
    "the job's own; 128+N when signal N ended it; where it has none: 124 out of time, 137 out of memory, 130 cancelled before it started, "
    "127 could not be started, 1 lost or skipped, or failed as another user's."
)
_WITHOUT_EXIT = {State.TIMED_OUT: 124, State.OUT_OF_MEMORY: 137, State.CANCELLED: 130}
NOT_STARTED = 127


def job_status(job: JobRecord) -> int:
    """What a shell would show for the job. Never 0 unless it succeeded: a program may exit 0 on the SIGTERM of its time limit."""
    if job.state is State.SUCCEEDED:
        return 0
    if job.outcome is not None and job.outcome.signal is not None:
        return 128 + job.outcome.signal
    if job.outcome is not None and job.outcome.exit_code:
        return job.outcome.exit_code
    if job.state is State.FAILED and not job.redacted and job.outcome is not None and job.outcome.exit_code is None and not job.is_array:
        return NOT_STARTED
    return _WITHOUT_EXIT.get(job.state, 1)


def worst(statuses: list[int]) -> int:
    return max(statuses, default=0)
