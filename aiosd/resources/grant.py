"""What a job was given: exactly which processors, how much memory, which devices."""

from dataclasses import dataclass

from aiosd.units import format_bytes, format_millis


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

    def __hash__(self) -> int:
        """By some of it: a grant is looked up several times in each pass, and one of 64 processors would be hashed 64-fold."""
        cpus, devices = self.cpus, self.devices
        return hash((self.memory_bytes, cpus[0].cpu if cpus else -1, devices[0].device_id if devices else "", len(cpus)))

    @property
    def cpu_millis(self) -> int:
        return sum(cpu.millis for cpu in self.cpus)


def describe_grant(grant: Grant) -> str:
    """`4 processors, 16 GiB of memory, gpu 0, gpu 1 (0.5)`."""
    one = grant.cpu_millis == 1000
    parts = [f"{format_millis(grant.cpu_millis)} processor{'' if one else 's'}", f"{format_bytes(grant.memory_bytes)} of memory"]
    parts += [f"{part.kind} {part.index}" + (f" ({format_millis(part.millis)})" if part.millis % 1000 else "") for part in grant.devices]
    return ", ".join(parts)
