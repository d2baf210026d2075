"""Events go into the engine, actions come out of it; both are plain values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from aiosd.access.limits import UserLimits
from aiosd.ids import JobId
from aiosd.jobs.draft import JobChange, JobDraft
from aiosd.jobs.job import Environment, Job, Owner, Phase, StopCause
from aiosd.jobs.ports import Launched, LaunchFailed, RunEnded, Scope, Submission
from aiosd.resources.inventory import Inventory


class Steer(StrEnum):
    """What a user can do to a job that exists."""

    CANCEL = "cancel"
    HOLD = "hold"
    RELEASE = "release"
    SUSPEND = "suspend"
    RESUME = "resume"
    REQUEUE = "requeue"


@dataclass(frozen=True, slots=True)
class Submit:
    """`environments` holds one checked environment a draft; `ended`: phases of the dependencies that are history."""

    drafts: Sequence[JobDraft]
    environments: Sequence[Environment]
    owner: Owner
    key: str = ""
    digest: str = ""
    ended: Mapping[JobId, Phase] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SteerJob:
    what: Steer
    job_id: JobId
    reason: str = ""
    force: bool = False


@dataclass(frozen=True, slots=True)
class UpdateJob:
    job_id: JobId
    change: JobChange


@dataclass(frozen=True, slots=True)
class QueueChange:
    """None leaves a field as it is."""

    priority: int | None = None
    max_running: int | None = None
    open: bool | None = None
    started: bool | None = None
    default_time_limit_s: float | None = None
    max_time_limit_s: float | None = None


@dataclass(frozen=True, slots=True)
class SetQueue:
    name: str
    change: QueueChange


@dataclass(frozen=True, slots=True)
class SetPolicy:
    name: str


@dataclass(frozen=True, slots=True)
class SetDrained:
    """Empty reason: the node takes work again."""

    drained: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SetLimits:
    """What a user may have at once from now on; None: the defaults of the configuration. Stored elsewhere, by who keeps the users."""

    user: str
    limits: UserLimits | None


@dataclass(frozen=True, slots=True)
class StopRun:
    """End a run for what monitoring has seen of it; nothing happens when that attempt is over, or is told to stop already."""

    job_id: JobId
    attempt: int
    cause: StopCause
    reason: str
    force: bool = False  # SIGKILL at once


@dataclass(frozen=True, slots=True)
class InventoryChanged:
    inventory: Inventory


Event = Submit | SteerJob | UpdateJob | StopRun | SetQueue | SetPolicy | SetDrained | SetLimits | InventoryChanged | Launched | RunEnded | LaunchFailed


@dataclass(frozen=True, slots=True)
class Save:
    """Remember a live job. `lazy`: the launcher knows it too, so it may wait for the next commit; `moved`: into another phase."""

    job: Job
    lazy: bool = False
    moved: bool = True


@dataclass(frozen=True, slots=True)
class End:
    """Remember that a job is over."""

    job: Job


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Forget the record of an element that is pending again."""

    job: Job


@dataclass(frozen=True, slots=True)
class Remember:
    submission: Submission


@dataclass(frozen=True, slots=True)
class Set:
    """Remember a setting; `value` is JSON."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Launch:
    job: Job


@dataclass(frozen=True, slots=True)
class Signal:
    job: Job
    signal: str
    scope: Scope = Scope.TREE


@dataclass(frozen=True, slots=True)
class Forget:
    """The end of this attempt is remembered: the launcher may drop its own record of it."""

    job: Job


Action = Save | End | Withdraw | Remember | Set | Launch | Signal | Forget
