"""What the configuration says about the machine's resources."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DeclaredDevice:
    """Countable things that no probe finds: `count` of them, or one for every device file that `paths` match."""

    kind: str
    count: int = 0
    paths: tuple[str, ...] = ()  # absolute; * ? and [] match
    model: str = ""
    memory_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceSettings:
    state_directory: str
    memory_reserve_bytes: int | None = None  # None: by the size of the machine
    cpus_reserved: int = 0
    cpu_oversubscription_permille: int = 1000  # none
    disk_reserve_bytes: int = 0
    devices: tuple[DeclaredDevice, ...] = ()
