"""The five steps of dynamic scheduling as the daemon has them, as records: demand, availability, policy, execution, adjustment."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Demand:
    """Of what waits; processors and devices in thousandths, memory and disk in bytes."""

    resource: str
    asked: int
    learned: int  # what such jobs used before, where that is known; else as asked
    total: int  # of the machine
    jobs: int


@dataclass(frozen=True, slots=True)
class Availability:
    """In the same units. `pressure`: of the last ten seconds, the part in which some process waited for it (PSI)."""

    resource: str
    total: int
    granted: int
    used: int  # measured
    pressure: float
    idle: int  # granted, and not used


@dataclass(frozen=True, slots=True)
class Expected:
    """A start that backfill keeps room for; Unix time."""

    job_id: str
    at_s: float
    grant: str


@dataclass(frozen=True, slots=True)
class Adjustment:
    at_s: float
    what: str
    job_id: str  # empty: of no job


@dataclass(frozen=True, slots=True)
class Calibration:
    """Of predictions that rest on runs so much alike: how many were checked, which part of their intervals held."""

    level: str
    predictions: int
    held: float


@dataclass(frozen=True, slots=True)
class Schedule:
    demand: tuple[Demand, ...]
    availability: tuple[Availability, ...]
    policy: str
    backfill: str
    backfill_order: str
    predict: bool
    rightsize: str
    passes: int
    pass_p50_s: float
    pass_p99_s: float
    starts: int
    reservations: tuple[Expected, ...]
    adjustments: tuple[Adjustment, ...]  # newest first
    held_back: str  # why nothing new starts; empty: it does
    policy_fault: str  # the policy failed, and fifo stands in: what it did
    predictions: int
    predictions_held: float
    calibration: tuple[Calibration, ...]
    runs_learned: int
