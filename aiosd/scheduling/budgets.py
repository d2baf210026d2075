"""What a user may still start under its limits, and what a request takes of it: integers by dimension."""

from enum import IntEnum
from typing import NamedTuple

from aiosd.access.limits import UserLimits
from aiosd.resources.grant import Grant
from aiosd.resources.inventory import Inventory
from aiosd.resources.request import Request

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
