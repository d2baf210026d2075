"""What the machine has, as the probes found it and the configuration declared it."""

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Cpu:
    """One logical processor, by the kernel's number."""

    id: int
    core: int
    socket: int
    numa_node: int


@dataclass(frozen=True, slots=True)
class NumaNode:
    """`distances`: to every node in the order of their numbers, as the firmware tells them: 10 is itself; () where it does not."""

    id: int
    cpus: tuple[int, ...]
    memory_bytes: int
    distances: tuple[int, ...] = ()


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
    quarantined: bool = False  # by an operator, or because it fell ill; until an operator releases it
    quarantine_reason: str = ""
    busy: str = ""  # who uses it whom AIOS did not start: "python (pid 4242) of bob"

    @property
    def usable(self) -> bool:
        """Whether it may be handed out now."""
        return self.health == "ok" and not self.quarantined and not self.busy

    @property
    def promised(self) -> bool:
        """Whether it counts as what the machine has: it can be used, or it is out of use for a time only."""
        return self.health == "ok" or self.quarantined

    @property
    def name(self) -> str:
        return f"{self.kind} {self.index}"

    @property
    def trouble(self) -> str:
        """Why it is not handed out, to be read after its name; empty when it is."""
        if self.quarantined:
            return "is in quarantine" + (f": {self.quarantine_reason}" if self.quarantine_reason else "")
        if self.health != "ok":
            return f"is ill: {self.health}"
        return f"is used by {self.busy}, which AIOS did not start" if self.busy else ""


@dataclass(frozen=True, slots=True)
class DeviceLink:
    """How two devices are connected, best first: nvlink, pix, pxb, phb, node, sys.

    `nvlinks`: how many NVLinks a transfer between them can use; `bytes_per_s`: its bandwidth, one way; 0: not known.
    """

    a: str
    b: str
    kind: str
    nvlinks: int = 0
    bytes_per_s: int = 0


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

    @property
    def promise(self) -> "Inventory":
        """The machine with all that counts as its own, as if nothing were out of use for a time."""
        mended = (replace(d, health="ok", quarantined=False, busy="") if d.promised else d for d in self.devices)
        return replace(self, devices=tuple(mended))

    def device(self, device_id: str) -> Device | None:
        return next((device for device in self.devices if device.id == device_id), None)
