"""The open input of a run: a fifo that its shim keeps open, which the daemon writes to without ever waiting."""

import os

from aiosd.errors import FailedPrecondition
from aiosd.jobs.job import Job


def write(fifo: str, data: bytes, job: Job) -> int:
    """How many bytes the fifo took now; 0 when it is full, or not there yet. Raises FailedPrecondition when nobody reads it any more."""
    try:
        fd = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return 0
    except OSError as error:
        raise _closed(job) from error  # no reader
    try:
        return os.write(fd, data)
    except BlockingIOError:
        return 0
    except BrokenPipeError as error:
        raise _closed(job) from error
    finally:
        os.close(fd)


def check_takes_input(job: Job, live: bool) -> None:
    if not job.spec.stdin_open:
        raise FailedPrecondition(f"job {job.id} was submitted without open input", hint="submit it with its input kept open", job=job.id)
    if not live:
        raise FailedPrecondition(f"job {job.id} is not running, so it takes no input", job=job.id, phase=job.phase)


def _closed(job: Job) -> FailedPrecondition:
    return FailedPrecondition(f"job {job.id} has closed its input", job=job.id)
