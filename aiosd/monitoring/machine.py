"""The machine and the daemon at one moment, as far as nobody else keeps it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MachineLoad:
    """`cpu_busy_permille` is of the whole machine, since the look before."""

    load_average_1m: float = 0.0
    memory_available_bytes: int = 0
    cpu_busy_permille: float = 0.0


@dataclass(frozen=True, slots=True)
class DaemonInfo:
    version: str
    pid: int
    started_at_s: float  # wall
    state_directory: str
    config_file: str = ""  # none was found
    database: str = ""  # its URL, without a password
    memory_bytes: int = 0  # resident
    log_file: str = ""
