"""What may still start under the limits of a user, a queue or a QoS, and what a request takes of it: integers by dimension."""

from enum import IntEnum, StrEnum
from typing import NamedTuple

from aiosd.access.limits import UserLimits
from aiosd.resources.grant import Grant
from aiosd.resources.inventory import Inventory
from aiosd.resources.request import Request
from aiosd.scheduling.rules import QosSettings, QueueSettings

UNLIMITED = 1 << 62
GPU = "gpu"


class Dimension(IntEnum):
    """What of a user's running jobs is limited; the value is its place in a `Need`."""

    RUNS = 0
    CPU = 1
    MEMORY = 2
    GPU = 3
    GPU_TIME = 4  # a need of 1 for whatever uses a GPU

    def __str__(self) -> str:
        return ("running jobs", "processors", "memory", "GPUs", "GPU hours")[self]


class Scope(StrEnum):
    """Whose runs a limit is about."""

    USER = "user"
    QUEUE = "queue"
    QOS = "qos"
    SHARE = "share"  # of a queue, which it may exceed while nobody else wants what it takes


class Holder(NamedTuple):
    """Who has a limit: a user, a queue, a QoS; or one user (`user`) in a queue or a QoS."""

    scope: Scope
    name: str
    user: str = ""


class Need(NamedTuple):
    """What one run takes of each dimension."""

    runs: int
    cpu_millis: int
    memory_bytes: int
    gpu_millis: int
    gpu_time: int


class Budget(NamedTuple):
    """`allowed` in all, and `left` of it; UNLIMITED where there is no limit. Either may be exceeded already: limits are lowered, too."""

    allowed: Need
    left: Need


def need_of(request: Request, inventory: Inventory) -> Need:
    """What a run of this request will hold; one that wants the machine for itself holds all of it."""
    if request.exclusive:
        gpus = sum(device.kind == GPU for device in inventory.devices)
        return Need(1, inventory.cpu_millis, inventory.memory_bytes, 1000 * gpus, int(gpus > 0))
    gpu_millis = sum(device.millis for device in request.devices if device.kind == GPU) if request.devices else 0
    return Need(1, request.cpu_millis, request.memory_bytes, gpu_millis, int(gpu_millis > 0))


def held_by(grant: Grant) -> Need:
    """What a run that has this grant holds."""
    gpu_millis = sum(device.millis for device in grant.devices if device.kind == GPU) if grant.devices else 0
    return Need(1, grant.cpu_millis, grant.memory_bytes, gpu_millis, int(gpu_millis > 0))


def allowed_by(limits: UserLimits) -> Need:
    """UNLIMITED where the limit is 0. GPU time is counted elsewhere: here it is whether there is a limit at all."""
    chosen = (limits.running_jobs, limits.cpu_millis, limits.memory_bytes, limits.gpu_millis, 0)
    return Need(*(limit or UNLIMITED for limit in chosen))


def short_of(left: tuple[int, ...] | list[int], need: Need) -> Dimension | None:
    """The first dimension of which too little is left; what takes nothing of a dimension is never short of it."""
    for dimension in Dimension:
        if 0 < need[dimension] > left[dimension]:
            return dimension
    return None


def holders_of(queue: str, user: str, qos: str) -> tuple[Holder, ...]:
    """Everybody whose limits bind a job; the user's own first, for those are what it can do something about."""
    bound = (Holder(Scope.USER, user), Holder(Scope.QUEUE, queue, user), Holder(Scope.QUEUE, queue), Holder(Scope.SHARE, queue))
    return (*bound[:2], Holder(Scope.QOS, qos, user), *bound[2:], Holder(Scope.QOS, qos)) if qos else bound


def allowed_in(settings: QueueSettings | QosSettings, *, each: bool = False) -> Need | None:
    """What runs of a queue or a QoS may hold at once, all together or `each` user's; None: there is no limit."""
    if each:
        chosen = (settings.user_running, settings.user_cpu_millis, 0, settings.user_gpu_millis, 0)
    else:
        chosen = (settings.max_running, settings.cpu_millis, settings.memory_bytes, settings.gpu_millis, 0)
    return Need(*(limit or UNLIMITED for limit in chosen)) if any(chosen) else None


def share_of(settings: QueueSettings, inventory: Inventory) -> Need | None:
    """What a queue's share of the machine comes to; at least one thousandth of each thing. None: all of it."""
    if not settings.share_permille:
        return None
    gpu_millis = 1000 * sum(device.kind == GPU for device in inventory.devices)
    cpu, memory, gpu = (max(1, settings.share_permille * whole // 1000) for whole in (inventory.cpu_millis, inventory.memory_bytes, gpu_millis))
    return Need(UNLIMITED, cpu, memory, gpu, UNLIMITED)


def least(one: Need | None, other: Need | None) -> Need | None:
    """Both limits at once."""
    if one is None or other is None:
        return one if other is None else other
    return Need(*(min(pair) for pair in zip(one, other, strict=True)))
