"""A run that the launcher answers for."""

from dataclasses import dataclass

from aiosd.jobs.job import Job
from aiosd.jobs.ports import Launched


@dataclass(slots=True, eq=False)
class Watched:
    """From `launch` or `recover` until its end is told. `pidfd` is -1 while its shim is not known to live."""

    job: Job  # as it was launched
    key: str
    shim_pid: int = 0
    pidfd: int = -1
    launched: Launched | None = None
    tries: int = 0  # how often its plan was sent
