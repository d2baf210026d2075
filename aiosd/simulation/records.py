"""What a simulation is about: jobs that arrive, and the machine that they arrive at."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from aiosd.units import format_bytes, format_millis

ONE = 1000  # thousandths of a processor or a GPU


class TraceJob(NamedTuple):
    """One job: when it was submitted, how long it runs, and what it asks for.

    Times in seconds since the first submission. `limit_s` is the run time that was asked for; 0: none was.
    """

    submit_s: float
    run_s: float
    cpu_millis: int
    memory_bytes: int = 0
    gpu_millis: int = 0
    limit_s: float = 0.0
    user: str = ""
    queue: str = "default"
    account: str = ""
    priority: int = 0
    qos: str = ""
    work: str = ""  # what is run: jobs of the same work of a user are expected to last alike


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine without a topology. What is 0 it has without end, and jobs are not held to it."""

    cpu_millis: int = 0
    memory_bytes: int = 0
    gpus: int = 0

    def holds(self, job: TraceJob) -> bool:
        """Whether it could run the job if it were idle."""
        return (
            (not self.cpu_millis or job.cpu_millis <= self.cpu_millis)
            and (not self.memory_bytes or job.memory_bytes <= self.memory_bytes)
            and (not self.gpus or job.gpu_millis <= ONE * self.gpus)
        )

    @property
    def words(self) -> str:
        """`100 processors, 8 GPUs and 64 GiB of memory`."""
        parts = [f"{format_millis(self.cpu_millis)} processor{'' if self.cpu_millis == 1000 else 's'}"] if self.cpu_millis else []
        parts += [f"{self.gpus} GPU{'' if self.gpus == 1 else 's'}"] if self.gpus else []
        parts += [f"{format_bytes(self.memory_bytes)} of memory"] if self.memory_bytes else []
        return " and ".join([", ".join(parts[:-1]), *parts[-1:]] if len(parts) > 1 else parts) or "a machine without end"


@dataclass(frozen=True, slots=True)
class Trace:
    """Jobs in the order of their arrival, and what of the source was left out or changed, in words."""

    jobs: Sequence[TraceJob]
    notes: tuple[str, ...] = ()
