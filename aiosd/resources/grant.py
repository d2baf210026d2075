"""What a job was given: exactly which processors, how much memory, which devices."""

from dataclasses import dataclass


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
    """Held from dispatch until the run has ended; `Pool.give_back` takes exactly this value."""

    cpus: tuple[CpuGrant, ...]
    memory_bytes: int
    devices: tuple[DeviceGrant, ...] = ()
    disk_bytes: int = 0

    @property
    def cpu_millis(self) -> int:
        return sum(cpu.millis for cpu in self.cpus)
