"""What a run has used, as the kernel counted it; totals since its start."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Usage:
    cpu_user_s: float = 0.0
    cpu_system_s: float = 0.0
    memory_peak_bytes: int = 0
    read_bytes: int = 0
    write_bytes: int = 0
    voluntary_switches: int = 0
    involuntary_switches: int = 0
    major_faults: int = 0
    cpu_pressure_s: float = 0.0  # how long some process of it waited for a processor, memory or a disk; 0 where no kernel counts it
    memory_pressure_s: float = 0.0
    io_pressure_s: float = 0.0
    oom_kills: int = 0  # processes that the kernel killed because memory was used up
