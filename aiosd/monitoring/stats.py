"""What is measured of a run: samples over time, totals, and what the job says of itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from aiosd.resources.usage import Usage


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at a whole process tree. Rates are over the interval since the sample before."""

    at_s: float  # wall
    cpu_millis: float
    memory_bytes: int
    read_bytes_per_s: int = 0
    write_bytes_per_s: int = 0
    gpu_permille: int = 0
    gpu_memory_bytes: int = 0
    processes: int = 0


@dataclass(frozen=True, slots=True)
class ReportedSeries:
    """One metric that the job logged by `aios.run().log`; `steps` and `values` have the same length."""

    name: str
    steps: tuple[float, ...]
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class JobStatistics:
    """One run of a job, measured. `usage` is the total so far, or at the end; samples are oldest first."""

    samples: tuple[Sample, ...] = ()
    usage: Usage = field(default_factory=Usage)
    run_s: float = 0.0
    reported: tuple[ReportedSeries, ...] = ()


@dataclass(frozen=True, slots=True)
class Progress:
    """What a job reported of itself by `aios.run()`: the latest of each."""

    done: float = 0.0
    total: float = 0.0  # 0: it did not say
    metrics: Mapping[str, float] = field(default_factory=dict)
    step: int = 0
    at_s: float = 0.0  # wall
