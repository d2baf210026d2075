"""A run that the launcher answers for, and the shim that it watches for it."""

from dataclasses import dataclass

from aiosd.jobs.job import Job
from aiosd.jobs.ports import Launched


@dataclass(slots=True, eq=False)
class Shim:
    """A live shim; `run` is None while it waits for another one."""

    pid: int
    pidfd: int
    run: "Watched | None" = None
    last: str = ""  # the key of its run before, whose empty scratch directory it may keep


@dataclass(slots=True, eq=False)
class Watched:
    """From `launch` or `recover` until its end is told. `pidfd` is its shim's, -1 while none is known to live."""

    job: Job  # as it was launched
    key: str
    shim_pid: int = 0
    pidfd: int = -1
    launched: Launched | None = None
    tries: int = 0  # how often its plan was sent
