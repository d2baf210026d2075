"""What an operator chooses about the order of jobs: queues, qualities of service, accounts, weights, backfill."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Backfill(StrEnum):
    """Who may start while an earlier job waits."""

    OFF = "off"  # fifo: nobody of its queue; else whoever takes nothing that it could use
    EASY = "easy"  # whoever does not delay the first that waits
    CONSERVATIVE = "conservative"  # whoever delays none of those that wait


class BackfillOrder(StrEnum):
    ARRIVAL = "arrival"  # as the policy has them
    SHORTEST = "shortest"  # those that are expected to end soonest first (EASY-SJBF)


class PreemptMode(StrEnum):
    """What becomes of a run that makes room for another."""

    OFF = "off"  # it is never preempted
    SUSPEND = "suspend"  # frozen; its memory stays with it
    CHECKPOINT = "checkpoint"  # its checkpoint signal, its grace, then the queue again
    REQUEUE = "requeue"  # SIGTERM, its grace, then the queue again
    CANCEL = "cancel"  # SIGTERM, its grace, and that was it


@dataclass(frozen=True, slots=True)
class Limits:
    """Of what runs at once; 0: no limit. `runs` and amounts are sums over a queue, or over one user's jobs in it."""

    runs: int = 0
    cpu_millis: int = 0
    memory_bytes: int = 0
    gpu_millis: int = 0


@dataclass(frozen=True, slots=True)
class QueueSettings:
    """One queue. Limits of 0, and limits of 0 seconds, mean none; `allowed_users` names users and "@groups", empty: everybody.

    `share_permille` is the part of the machine that its jobs may hold together, thousandths; with `borrow` they may hold more while
    nobody else wants it. `weights` replaces single weights of the policy priority for its jobs. Its jobs may preempt those of the
    queues named in `preempts`; what then becomes of one of its own is `preempt_mode`, `preempt_after_s` after its start at the earliest.
    """

    name: str
    priority: int = 0
    max_running: int = 0
    open: bool = True
    started: bool = True
    default_time_limit_s: float = 0.0
    max_time_limit_s: float = 0.0
    idle_gpus: str = "report"  # or requeue or cancel: what becomes of a job all of whose GPUs are idle
    idle_gpus_after_s: float = 0.0  # 0: as soon as they are reported
    max_queued: int = 0  # jobs that wait in it, elements one by one; more are refused
    cpu_millis: int = 0
    memory_bytes: int = 0
    gpu_millis: int = 0
    user_running: int = 0  # the same, of each user
    user_cpu_millis: int = 0
    user_gpu_millis: int = 0
    share_permille: int = 0
    borrow: bool = False
    allowed_users: tuple[str, ...] = ()
    weights: Mapping[str, float] = field(default_factory=dict)
    preempts: tuple[str, ...] = ()
    preempt_mode: PreemptMode = PreemptMode.OFF
    preempt_after_s: float = 0.0


@dataclass(frozen=True, slots=True)
class QosSettings:
    """A quality of service that a job asks for by name. As in a queue, but across queues; `usage_factor` multiplies what its jobs are billed."""

    name: str
    priority: int = 0
    max_running: int = 0
    cpu_millis: int = 0
    memory_bytes: int = 0
    gpu_millis: int = 0
    user_running: int = 0
    user_cpu_millis: int = 0
    user_gpu_millis: int = 0
    max_time_limit_s: float = 0.0
    usage_factor: float = 1.0
    allowed_users: tuple[str, ...] = ()
    preempts: tuple[str, ...] = ()
    preempt_mode: PreemptMode = PreemptMode.OFF
    preempt_after_s: float = 0.0


@dataclass(frozen=True, slots=True)
class AccountSettings:
    """One node of the tree of shares; `parent` "": below the root. `users`: who may charge it, with their shares; empty: everybody, one each."""

    name: str
    parent: str = ""
    shares: float = 1.0
    users: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PriorityWeights:
    """Of the policy priority: each factor is in [0, 1], and what a job has is their weighted sum.

    A job that has waited `age_max_s` goes before all that have not, the oldest first: nothing starves.
    """

    age: float = 1000.0
    fair_share: float = 1000.0
    size: float = 0.0
    queue: float = 1000.0
    qos: float = 1000.0
    nice: float = 100.0
    explicit: float = 10000.0
    age_max_s: float = 7 * 86400.0
    favor_small: bool = False


@dataclass(frozen=True, slots=True)
class SchedulingRules:
    """The rules that hold for all queues. `backfill_depth`: how many candidates a pass looks at behind the first that waits.

    `predict`: among jobs of equal priority those that are expected to end soonest go first.
    """

    backfill: Backfill = Backfill.OFF
    backfill_order: BackfillOrder = BackfillOrder.ARRIVAL
    backfill_depth: int = 1000
    predict: bool = False
    weights: PriorityWeights = PriorityWeights()
    qos: Mapping[str, QosSettings] = field(default_factory=dict)
    accounts: Mapping[str, AccountSettings] = field(default_factory=dict)
    preempt_min_gain_s: float = 60.0  # nobody is preempted for a job that would start within so many seconds anyway
    preempt_grace_max_s: float = 600.0  # a job that is preempted has its own grace to end in, but no more than this
