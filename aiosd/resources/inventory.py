"""What the machine has, as the probes found it and the configuration declared it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cpu:
    """One logical processor, by the kernel's number."""

    id: int
    core: int
    socket: int
    numa_node: int


@dataclass(frozen=True, slots=True)
class NumaNode:
    id: int
    cpus: tuple[int, ...]
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class Device:
    """One accelerator or countable thing. `id` is the uuid of a GPU or MIG instance, else `kind-index`."""

    id: str
    kind: str
    index: int
    model: str = ""
    memory_bytes: int = 0
    numa_node: int = -1  # not known
    paths: tuple[str, ...] = ()
    parent_id: str = ""  # of a MIG instance: its GPU
    health: str = "ok"


@dataclass(frozen=True, slots=True)
class DeviceLink:
    """How two devices are connected, best first: nvlink, pix, pxb, phb, node, sys."""

    a: str
    b: str
    kind: str


@dataclass(frozen=True, slots=True)
class Inventory:
    """`memory_bytes` and `disk_bytes` are what jobs may have: the machine's, less what is kept back."""

    hostname: str
    cpus: tuple[Cpu, ...]
    memory_bytes: int
    memory_total_bytes: int
    numa_nodes: tuple[NumaNode, ...] = ()
    devices: tuple[Device, ...] = ()
    links: tuple[DeviceLink, ...] = ()
    disk_bytes: int = 0
    cpu_model: str = ""
    kernel: str = ""

    @property
    def cpu_millis(self) -> int:
        return 1000 * len(self.cpus)
