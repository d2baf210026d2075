"""What the device watch hands to the rules: each GPU as it was seen at one moment, and the runs that may use it."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class GpuProcess:
    """One process on one device. `run` is the key of the run whose it is; `ours`: of the daemon, but of no run."""

    pid: int
    memory_bytes: int = 0  # 0: not known, too
    busy_permille: int | None = None  # of the device; None: not known
    graphics: bool = False  # it only draws, it does not compute
    run: str = ""
    ours: bool = False
    user: str = ""
    program: str = ""


@dataclass(frozen=True, slots=True)
class DeviceLook:
    """One GPU or MIG instance at one moment. `processes` None: it did not say. `name` is what people call it: "gpu 0"."""

    device_id: str
    name: str
    processes: tuple[GpuProcess, ...] | None = ()
    busy_permille: int | None = None
    trouble: str = ""  # what it answered instead; "": it answers
    xids: tuple[int, ...] = ()  # errors that the driver has reported since the look before
    memory_errors: int | None = None  # that ECC could not correct, since its driver was loaded


@dataclass(frozen=True, slots=True)
class GpuRun:
    """A run that lives. `budgets`: bytes of memory by device that it was granted; 0: all of that device's."""

    key: str
    job_id: str
    attempt: int
    shim_pid: int
    budgets: Mapping[str, int] = field(default_factory=dict)
    suspended: bool = False
    queue: str = ""
    idle_gpus: str = "report"  # what its queue does about idle ones: report, requeue or cancel
    idle_gpus_after_s: float = 0.0  # 0: as soon as they are reported


@dataclass(frozen=True, slots=True)
class ForeignUse:
    """A process on a device that AIOS did not start."""

    device_id: str
    pid: int
    user: str
    program: str
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class IdleDevice:
    """A device that a running job holds and does not use."""

    device_id: str
    job_id: str
    idle_s: float


@dataclass(frozen=True, slots=True)
class DeviceSettings:
    """What an operator chooses of the rules."""

    avoid_foreign: bool = True
    foreign_graphics_bytes: int = 512 << 20  # what only draws and has no more than this is no foreign use
    memory_tolerance_permille: int = 50  # of a job's share, beyond which it uses too much
    memory_patience_s: float = 10.0  # from the first look that sees it to the stop
    idle_s: float = 900.0
    period_s: float = 1.0  # between two looks while a job holds a GPU
