"""The node and its daemon as records: what the machine has and holds, what is enforced."""

from collections.abc import Mapping
from dataclasses import dataclass

from aios.resources import Grant, Inventory, Request


@dataclass(frozen=True, slots=True)
class Isolation:
    resource: str
    state: str  # "enforced by …", "watched", "not enforced"
    detail: str


@dataclass(frozen=True, slots=True)
class ForeignUse:
    """A process on a device that AIOS did not start."""

    device_id: str
    pid: int
    user: str
    program: str  # "": it is not for you to know
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class IdleDevice:
    """A device that a running job holds and does not use."""

    device_id: str
    job_id: str
    idle_s: float


@dataclass(frozen=True, slots=True)
class DaemonStatus:
    version: str
    pid: int
    started_at_s: float
    state_directory: str
    config_file: str  # "": none was found
    database: str
    memory_bytes: int
    log_file: str


@dataclass(frozen=True, slots=True)
class Reservation:
    """A part of the machine that is kept for somebody for some time."""

    id: int
    from_s: float
    until_s: float
    users: tuple[str, ...]  # "@group" is a Unix group
    request: Request
    reason: str = ""
    created_by: str = ""


@dataclass(frozen=True, slots=True)
class NodeStatus:
    inventory: Inventory
    used: Grant
    isolation: tuple[Isolation, ...]
    drained: bool
    drain_reason: str
    policy: str
    daemon: DaemonStatus
    jobs_by_state: Mapping[str, int]
    load_average_1m: float
    memory_available_bytes: int
    warnings: tuple[str, ...]
    cpu_busy_permille: float
    reservations: tuple[Reservation, ...] = ()
    foreign_use: tuple[ForeignUse, ...] = ()
    idle_devices: tuple[IdleDevice, ...] = ()


@dataclass(frozen=True, slots=True)
class Reloaded:
    """What a reload of the configuration changed, and which settings need a restart."""

    applied: tuple[str, ...]
    needs_restart: tuple[str, ...]
