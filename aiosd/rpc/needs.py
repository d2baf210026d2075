"""What the network door needs, a Protocol for each kind of call; the classes that offer it need not know this file."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from aiosd.findings import BackedUp, Checked
from aiosd.jobs.actions import QueueChange, Steer
from aiosd.jobs.draft import JobChange, JobDraft
from aiosd.jobs.explain import Why
from aiosd.jobs.job import Job, Owner
from aiosd.jobs.ports import JobFilter
from aiosd.jobs.settings import QueueSettings
from aiosd.jobs.views import JobEvent, LogPiece, LogWish, NodeView, Page, QueueState, Steered
from aiosd.monitoring.machine import DaemonInfo, MachineLoad
from aiosd.monitoring.stats import JobStatistics, Progress
from aiosd.resources.grant import Grant
from aiosd.resources.inventory import Inventory
from aiosd.resources.isolation import Isolation


class JobCalls(Protocol):
    """What changes jobs. A `ref` is an id ("42", "42.7") or a name that is unique. Raises any AiosError."""

    async def submit(self, drafts: Sequence[JobDraft], *, owner: Owner, key: str = "", digest: str = "") -> Sequence[Job]: ...

    async def get(self, ref: str) -> Job: ...

    async def steer(self, what: Steer, refs: Sequence[str], reason: str = "", force: bool = False) -> Sequence[Steered]: ...

    async def update(self, ref: str, change: JobChange) -> Job: ...

    async def why(self, ref: str) -> Why: ...

    async def set_queue(self, name: str, change: QueueChange) -> QueueSettings: ...

    async def set_policy(self, name: str) -> str: ...


class JobViews(Protocol):
    """What looks at jobs, once or for as long as the caller likes. Generators are closed when the caller has gone."""

    async def get(self, ref: str) -> Job:
        """By id or by name; a job that is queued says why."""

    async def list(self, job_filter: JobFilter, page_size: int, page_token: str) -> Page: ...

    def watch(self, job_filter: JobFilter, since_revision: int) -> AsyncIterator[JobEvent]: ...

    async def wait(self, ref: str, timeout_s: float) -> Job: ...

    def logs(self, ref: str, wish: LogWish) -> AsyncIterator[LogPiece]: ...

    def queues(self) -> Sequence[QueueState]: ...

    def queue(self, name: str) -> QueueState: ...

    def policy(self) -> str: ...


@dataclass(frozen=True, slots=True)
class NodeReport:
    """The node at one moment. `used` is the sum of all grants, its devices one by one."""

    inventory: Inventory
    used: Grant
    view: NodeView
    daemon: DaemonInfo
    isolation: tuple[Isolation, ...] = ()
    load: MachineLoad = field(default_factory=MachineLoad)


@dataclass(frozen=True, slots=True)
class Reloaded:
    """Names of settings that changed in the configuration: in force now, and only after a restart."""

    applied: tuple[str, ...] = ()
    needs_restart: tuple[str, ...] = ()


class NodeControl(Protocol):
    """The node and its daemon: looked at, drained, reloaded, stopped."""

    async def status(self) -> NodeReport: ...

    async def drain(self, reason: str) -> None: ...

    async def resume(self) -> None: ...

    async def reload(self) -> Reloaded:
        """Read the configuration again, as SIGHUP does. Raises ConfigError; then the old one stays in force."""

    async def stop(self) -> None:
        """Ask the daemon to stop; returns at once, so that the call can be answered."""


class StateCare(Protocol):
    """The daemon's own state, looked after while everything goes on. Raises any AiosError."""

    async def backup(self, path: str) -> BackedUp: ...

    async def check(self, repair: bool) -> Checked: ...


class JobMeter(Protocol):
    async def stats(self, job: Job) -> JobStatistics:
        """What is known of the job's current or last run; empty when there is nothing."""


class ProgressReader(Protocol):
    def __call__(self, job: Job, /) -> Progress | None:
        """What a running job last reported, from memory: called for every job of a list, so it never blocks."""


class InputWriter(Protocol):
    """The standard input of jobs submitted with `stdin_open`. Raises FailedPrecondition when the job takes none (any more)."""

    async def write(self, job: Job, data: bytes) -> None:
        """All of `data`; waits while the job does not read, so that nothing piles up here."""

    async def end(self, job: Job) -> None:
        """The job reads end of file when it has read the rest."""


class Terminal(Protocol):
    """One shell or command on a pseudo-terminal beside a job."""

    async def write(self, data: bytes) -> None: ...

    async def resize(self, rows: int, columns: int) -> None: ...

    def output(self) -> AsyncIterator[bytes]:
        """What it prints, in pieces; ends when the command has ended and all is read. Reads no further than it is asked."""

    async def exit_code(self) -> int:
        """Waits for the command's end; 128+N for signal N."""

    async def close(self) -> None:
        """Hang up: the command is told, and gone when this returns. Nothing happens when it has ended."""


class Terminals(Protocol):
    async def open(self, job: Job, command: Sequence[str], rows: int, columns: int) -> Terminal:
        """A terminal in the job's directory, environment, processors and group; no command: the user's shell.

        rows, columns   0: the usual 24 and 80
        raises          FailedPrecondition when the job is not running
        """
