"""Resources as records: what the machine has, what a job asks for, what it was given."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DeviceRequest:
    """So many thousandths of a device: 2000 is two whole ones, 500 half of one."""

    kind: str
    millis: int
    model: str = ""  # part of the model's name, any case; "": any
    memory_bytes: int = 0  # of each device's memory; 0: in proportion to millis


@dataclass(frozen=True, slots=True)
class Request:
    """What one run of a job needs, all at once; 0 asks for the daemon's default."""

    cpu_millis: int = 0
    memory_bytes: int = 0
    devices: tuple[DeviceRequest, ...] = ()
    disk_bytes: int = 0
    exclusive: bool = False


@dataclass(frozen=True, slots=True)
class CpuGrant:
    cpu: int
    millis: int


@dataclass(frozen=True, slots=True)
class DeviceGrant:
    device_id: str
    kind: str
    index: int
    millis: int
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class Grant:
    """What a run holds."""

    cpus: tuple[CpuGrant, ...] = ()
    memory_bytes: int = 0
    devices: tuple[DeviceGrant, ...] = ()
    disk_bytes: int = 0

    @property
    def cpu_millis(self) -> int:
        return sum(grant.millis for grant in self.cpus)

    def device_millis(self, kind: str) -> int:
        return sum(grant.millis for grant in self.devices if grant.kind == kind)


@dataclass(frozen=True, slots=True)
class Cpu:
    id: int
    core: int
    socket: int
    numa_node: int


@dataclass(frozen=True, slots=True)
class NumaNode:
    id: int
    cpus: tuple[int, ...]
    memory_bytes: int
    distances: tuple[int, ...] = ()  # to every node in the order of their numbers; 10 is itself; (): not known


@dataclass(frozen=True, slots=True)
class Device:
    id: str  # uuid of a GPU; kind-index of others
    kind: str
    index: int
    model: str
    memory_bytes: int
    numa_node: int  # -1: not known
    paths: tuple[str, ...]
    parent_id: str  # of a MIG instance: its GPU
    health: str  # "ok", or what is wrong
    quarantined: bool = False


@dataclass(frozen=True, slots=True)
class DeviceLink:
    a: str
    b: str
    kind: str  # "nvlink", "pix", "pxb", "phb", "node", "sys"
    nvlinks: int = 0  # how many a transfer can use
    bytes_per_s: int = 0  # one way, as the scheduler weighs it; 0: not known


@dataclass(frozen=True, slots=True)
class Inventory:
    """What the machine has. `memory_bytes` is what jobs may have: the total less the reserve."""

    hostname: str
    cpus: tuple[Cpu, ...]
    memory_bytes: int
    memory_total_bytes: int
    numa_nodes: tuple[NumaNode, ...]
    devices: tuple[Device, ...]
    links: tuple[DeviceLink, ...]
    disk_bytes: int
    cpu_model: str
    kernel: str

    def devices_by_kind(self) -> Mapping[str, tuple[Device, ...]]:
        kinds = dict.fromkeys(device.kind for device in self.devices)
        return {kind: tuple(device for device in self.devices if device.kind == kind) for kind in kinds}
