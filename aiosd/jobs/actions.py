"""Events go into the engine, actions come out of it; both are plain values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from aiosd.access.limits import UserLimits
from aiosd.ids import JobId
from aiosd.jobs.draft import JobChange, JobDraft, RequestDraft
from aiosd.jobs.job import Environment, Job, Owner, Phase, StopCause
from aiosd.jobs.ports import Launched, LaunchFailed, Resized, RunEnded, Scope, Submission
from aiosd.resources.inventory import Inventory
from aiosd.scheduling.rules import Backfill, BackfillOrder, PreemptMode
from aiosd.scheduling.validator import Fault


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
    groups: frozenset[str] = frozenset()  # the Unix groups of the owner, where anything is for some of them


@dataclass(frozen=True, slots=True)
class SteerJob:
    what: Steer
    job_id: JobId
    reason: str = ""
    force: bool = False


@dataclass(frozen=True, slots=True)
class UpdateJob:
    """`used_bytes`: of memory at present, where it runs; 0: not known."""

    job_id: JobId
    change: JobChange
    groups: frozenset[str] = frozenset()  # of its owner, as in Submit
    used_bytes: int = 0


@dataclass(frozen=True, slots=True)
class QueueChange:
    """None leaves a field as it is."""

    priority: int | None = None
    max_running: int | None = None
    open: bool | None = None
    started: bool | None = None
    default_time_limit_s: float | None = None
    max_time_limit_s: float | None = None
    idle_gpus: str | None = None
    idle_gpus_after_s: float | None = None
    max_queued: int | None = None
    cpu_millis: int | None = None
    memory_bytes: int | None = None
    gpu_millis: int | None = None
    user_running: int | None = None
    user_cpu_millis: int | None = None
    user_gpu_millis: int | None = None
    share_permille: int | None = None
    borrow: bool | None = None
    allowed_users: tuple[str, ...] | None = None
    weights: Mapping[str, float] | None = None
    preempts: tuple[str, ...] | None = None
    preempt_mode: PreemptMode | None = None
    preempt_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class SetQueue:
    name: str
    change: QueueChange


@dataclass(frozen=True, slots=True)
class SetPolicy:
    """Empty, and None, leave it as it is; of the weights those that are named are replaced. What is set goes before the configuration."""

    name: str = ""
    backfill: Backfill | None = None
    backfill_order: BackfillOrder | None = None
    predict: bool | None = None
    weights: Mapping[str, float] = field(default_factory=dict)


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
class WarnRun:
    """Tell a running job's owner something as its reason; "" takes back what was said `before`. Nothing happens when that attempt does not run."""

    job_id: JobId
    attempt: int
    text: str
    before: str = ""


@dataclass(frozen=True, slots=True)
class Amend:
    """Say of a job that has ended what came of it afterwards, in place of its reason."""

    job: Job
    reason: str


@dataclass(frozen=True, slots=True)
class InventoryChanged:
    """What the probes find now. A device that they no longer find is ill; quarantine and foreign use stay as they are known."""

    inventory: Inventory


@dataclass(frozen=True, slots=True)
class HoldBack:
    """Nothing new starts from now on, for this reason; "": it does again. It is not remembered: a new daemon looks for itself."""

    reason: str


@dataclass(frozen=True, slots=True)
class Reserve:
    """Keep a part of the machine for somebody; `members`: the users that `users` ("alice", "@group") means."""

    from_s: float  # wall; what is past means now
    until_s: float
    users: tuple[str, ...]
    members: frozenset[str]
    request: RequestDraft
    reason: str = ""
    created_by: str = ""


@dataclass(frozen=True, slots=True)
class Unreserve:
    id: int


@dataclass(frozen=True, slots=True)
class SetDevice:
    """What is known of one device now; None: as it was. One that falls ill goes into quarantine, too, unless that is said."""

    device_id: str
    health: str | None = None  # "ok", or what is wrong
    quarantined: bool | None = None
    busy: str | None = None  # who uses it whom AIOS did not start; "": nobody
    reason: str = ""


Asked = Submit | SteerJob | UpdateJob | StopRun | WarnRun | Amend
Operated = SetQueue | SetPolicy | SetDrained | SetLimits | InventoryChanged | SetDevice | Reserve | Unreserve | HoldBack
Event = Asked | Operated | Launched | RunEnded | LaunchFailed | Resized


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
class Amended:
    """Remember another reason of a job that is over."""

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
class Resize:
    """Hold the run to the grant that it has now."""

    job: Job


@dataclass(frozen=True, slots=True)
class Forget:
    """The end of this attempt is remembered: the launcher may drop its own record of it."""

    job: Job


@dataclass(frozen=True, slots=True)
class Warn:
    """Tell the log something about a job that goes on as before."""

    job: Job
    text: str


@dataclass(frozen=True, slots=True)
class PolicyFailed:
    """Tell the log, and keep the snapshot (JSON, "" where there is none) that makes it fail."""

    fault: Fault
    snapshot: str


@dataclass(frozen=True, slots=True)
class PolicyRestored:
    """Tell the log that the policy is followed again."""

    policy: str


Action = Save | End | Amended | Withdraw | Remember | Set | Launch | Signal | Resize | Forget | Warn | PolicyFailed | PolicyRestored
