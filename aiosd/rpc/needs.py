"""What the network door needs, a Protocol for each kind of call; the classes that offer it need not know this file."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from aiosd.access.audit import AuditFilter, AuditRecord, Verdict
from aiosd.access.person import Person
from aiosd.access.principal import Principal, Role
from aiosd.access.tokens import TokenRecord
from aiosd.access.users import UserChange, UserView
from aiosd.findings import BackedUp, Checked
from aiosd.ids import JobId
from aiosd.jobs.actions import QueueChange, Reserve, SetPolicy, Steer
from aiosd.jobs.draft import JobChange, JobDraft
from aiosd.jobs.explain import Why
from aiosd.jobs.job import Job, Owner
from aiosd.jobs.ports import JobFilter
from aiosd.jobs.sharing import ShareNode
from aiosd.jobs.views import JobEvent, LogPiece, LogWish, NodeView, Page, QosState, QueueState, Steered
from aiosd.models.ports import Use
from aiosd.monitoring.looks import ForeignUse, IdleDevice
from aiosd.monitoring.machine import DaemonInfo, MachineLoad
from aiosd.monitoring.stats import JobStatistics, Progress
from aiosd.resources.grant import Grant
from aiosd.resources.inventory import Inventory
from aiosd.resources.isolation import Isolation
from aiosd.scheduling.reservations import Reservation
from aiosd.scheduling.rules import QueueSettings, SchedulingRules


class JobCalls(Protocol):
    """What changes jobs. A `ref` is an id ("42", "42.7") or a name that is unique. Raises any AiosError."""

    async def submit(self, drafts: Sequence[JobDraft], *, owner: Owner, key: str = "", digest: str = "") -> Sequence[Job]: ...

    async def get(self, ref: str, among: Owner | None = None) -> Job:
        """A name is looked for among the jobs of `among`; None: of everybody."""

    async def steer(self, what: Steer, refs: Sequence[str], reason: str = "", force: bool = False) -> Sequence[Steered]: ...

    async def update(self, ref: str, change: JobChange) -> Job: ...

    async def why(self, ref: str) -> Why: ...

    async def set_queue(self, name: str, change: QueueChange) -> QueueSettings: ...

    async def set_policy(self, name: str = "", rules: SetPolicy | None = None) -> str: ...


class UsesReader(Protocol):
    async def uses(self, job_id: JobId) -> Sequence[Use]:
        """What a job has read and made of models and datasets, oldest first."""


class OutputCalls(Protocol):
    async def again(self, job: Job) -> Sequence[str]:
        """Register what a job has left, where that failed: why it still does."""


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

    def rules(self) -> SchedulingRules: ...

    def qos(self) -> Sequence[QosState]: ...

    def shares(self) -> tuple[Sequence[ShareNode], float]:
        """The tree of accounts and users, and the half-life of usage in seconds."""


@dataclass(frozen=True, slots=True)
class NodeReport:
    """The node at one moment. `used` is the sum of all grants, its devices one by one."""

    inventory: Inventory
    used: Grant
    view: NodeView
    daemon: DaemonInfo
    isolation: tuple[Isolation, ...] = ()
    load: MachineLoad = field(default_factory=MachineLoad)
    reservations: tuple[Reservation, ...] = ()
    foreign_use: tuple[ForeignUse, ...] = ()
    idle_devices: tuple[IdleDevice, ...] = ()


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

    async def set_device(self, device_id: str, quarantined: bool, reason: str, by: str) -> None:
        """Into quarantine, or out of it. Raises NotFound."""

    async def reserve(self, wish: Reserve, by: str) -> Reservation:
        """Keep a part of the machine for `wish.users`; whom they mean is found out here. Raises NotFound, NeverFits, Conflict."""

    async def unreserve(self, number: int, by: str) -> Reservation:
        """Raises NotFound."""

    async def reload(self) -> Reloaded:
        """Read the configuration again, as SIGHUP does. Raises ConfigError; then the old one stays in force."""

    async def stop(self) -> None:
        """Ask the daemon to stop; returns at once, so that the call can be answered."""


class AccountCalls(Protocol):
    """Users and their limits, tokens, the audit trail. What changes something is durable when it returns."""

    async def users(self) -> Sequence[UserView]:
        """Who has jobs, or something set; by name."""

    async def user(self, name: str) -> UserView:
        """Raises NotFound for one whom neither the machine nor AIOS knows."""

    async def set_user(self, name: str, change: UserChange, by: Principal) -> UserView: ...

    async def create_token(self, user: str, role: Role | None, lifetime_s: float, comment: str, by: Principal) -> tuple[TokenRecord, str]:
        """The token and its secret. `role` None: the user's own, at most that of `by`; a lifetime of 0 seconds never ends."""

    def tokens(self, *, ended: bool = False) -> Sequence[TokenRecord]: ...

    async def revoke_token(self, token_id: str, by: Principal) -> TokenRecord: ...

    async def audit(self, wanted: AuditFilter) -> Sequence[AuditRecord]: ...

    async def verify_audit(self) -> Verdict: ...


class StateCare(Protocol):
    """The daemon's own state, looked after while everything goes on. Raises any AiosError."""

    async def backup(self, path: str, *, models: bool = True) -> BackedUp: ...

    async def check(self, repair: bool) -> Checked: ...


class SimulationCalls(Protocol):
    """What would have been. A request is a plain mapping, as the simulator takes it; so is every line of an answer."""

    def simulate(self, uid: int, request: Mapping[str, object], trace: AsyncIterator[bytes]) -> AsyncIterator[Mapping[str, object]]: ...

    def forecast(self, uid: int, request: Mapping[str, object]) -> AsyncIterator[Mapping[str, object]]: ...

    def setup(self) -> Mapping[str, object]:
        """As this machine is set up now: policy, rules (backfill, its order, weights ...), queues, shares."""


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


class Trail(Protocol):
    """Who did what. Returns at once; what is recorded is written soon after."""

    def record(self, principal: Principal | None, method: str, object_: str, allowed: bool, detail: str = "") -> None: ...


class AccessCalls(Trail, Protocol):
    """What the door asks about users and their tokens; it answers from memory."""

    def role_of(self, uid: int, gid: int, name: str) -> Role: ...

    def token(self, secret: str) -> Principal | None:
        """Whom a bearer token stands for; None when there is no such token, or it is not active."""


class Directory(Protocol):
    """The users of this machine. `remembered` answers at once; the others may block for as long as a network takes."""

    def remembered(self, uid: int) -> Person | None: ...

    def person(self, uid: int, gid: int) -> Person:
        """The user of that number, also of one without an entry."""

    def named(self, name: str) -> Person | None: ...
