"""Queues, qualities of service, shares, and the policy that orders jobs, as records."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Queue:
    """Limits of 0 are none. `share_permille`: thousandths of the machine that its jobs may hold together; 0: all of it."""

    name: str
    priority: int
    max_running: int
    open: bool  # takes submissions
    started: bool  # starts jobs
    default_time_limit_s: float
    max_time_limit_s: float
    queued: int
    running: int
    oldest_wait_s: float
    max_queued: int = 0
    cpu_millis: int = 0  # of what runs at once, as the following
    memory_bytes: int = 0
    gpu_millis: int = 0
    user_running: int = 0  # of each user, as the following
    user_cpu_millis: int = 0
    user_gpu_millis: int = 0
    share_permille: int = 0
    borrow: bool = False  # more than its share while nobody else wants it
    allowed_users: tuple[str, ...] = ()  # names and "@group"; empty: everybody
    weights: Mapping[str, float] = field(default_factory=dict)  # of policy priority, where they differ
    preempts: tuple[str, ...] = ()  # queues whose jobs its own may preempt
    preempt_mode: str = "off"  # of its own jobs: off, suspend, checkpoint, requeue, cancel
    preempt_after_s: float = 0.0
    idle_gpus: str = "report"  # or requeue, cancel
    idle_gpus_after_s: float = 0.0
    mean_wait_s: float = 0.0  # of those that started lately; 0: none did


@dataclass(frozen=True, slots=True)
class Qos:
    """A quality of service that jobs ask for by name. Limits of 0 are none, and hold across queues."""

    name: str
    priority: int
    max_running: int
    cpu_millis: int
    memory_bytes: int
    gpu_millis: int
    user_running: int
    user_cpu_millis: int
    user_gpu_millis: int
    max_time_limit_s: float
    usage_factor: float  # what its jobs are billed, times
    allowed_users: tuple[str, ...]
    preempts: tuple[str, ...]
    preempt_mode: str
    preempt_after_s: float
    queued: int
    running: int


@dataclass(frozen=True, slots=True)
class Share:
    """An account, or a user in one. `share` and `usage_share` are parts of the machine and of all usage, in [0, 1]."""

    name: str
    parent: str  # account; empty: the root
    is_user: bool
    shares: float  # as configured
    share: float
    usage: float  # dominant share-seconds, decayed
    usage_share: float
    level_fair_share: float | None  # above 1 it is owed, beside its siblings; None: it has used nothing
    rank: int  # of a user: 1 goes first
    depth: int
    queued: int
    running: int


@dataclass(frozen=True, slots=True)
class Shares:
    """The tree, accounts before what is in them; after `half_life_s` past use counts half."""

    nodes: tuple[Share, ...]
    half_life_s: float


@dataclass(frozen=True, slots=True)
class PolicyChoice:
    name: str
    summary: str


@dataclass(frozen=True, slots=True)
class Policy:
    name: str
    summary: str
    choices: tuple[PolicyChoice, ...]
    backfill: str = ""  # off, easy, conservative
    backfill_order: str = ""  # arrival, shortest
    predict: bool = False
    weights: Mapping[str, float] = field(default_factory=dict)  # of policy priority
