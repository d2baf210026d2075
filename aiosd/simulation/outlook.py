"""What a forecast is asked, and what it answers, as records."""

from dataclasses import dataclass
from math import inf

from aiosd.errors import InvalidArgument
from aiosd.simulation.fitting import Check

RESOURCES = {"gpu": "GPUs", "cpu": "processors"}
"""What can be counted as servers, and the word for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """resource          "gpu" or "cpu", the unit that is counted as a server; "": the scarcer of those that the machine has
    queue, user       replay and measurement are shown for these jobs only; everybody's jobs are on the machine all the same
    servers_delta     what if there were so many more or fewer of it
    arrivals_factor   what if so many times as many jobs came; 1: as many as now
    target_wait_s     how many would a mean wait of so long take; 0: not asked
    """

    resource: str = ""
    queue: str = ""
    user: str = ""
    servers_delta: int = 0
    arrivals_factor: float = 1.0
    target_wait_s: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.resource not in ("", *RESOURCES):
            raise InvalidArgument(f"there is no resource {self.resource[:40]!r} to count", hint=f"allowed: {', '.join(RESOURCES)}")
        if not 0 < self.arrivals_factor <= 100:
            raise InvalidArgument(f"arrivals cannot be {self.arrivals_factor:g} times as many", hint="allowed: more than 0 and at most 100, for example 1.5")
        if not 0 <= self.target_wait_s < inf:
            raise InvalidArgument(f"a target wait of {self.target_wait_s:g} s is not possible", hint="allowed: more than 0, for example 10m")

    @property
    def is_what_if(self) -> bool:
        return self.servers_delta != 0 or self.arrivals_factor != 1.0


@dataclass(frozen=True, slots=True)
class Figures:
    """One way to know the waits. Seconds; inf where the queue grows without end. `delayed`: the part that waits for more than a second."""

    by: str
    wait_mean_s: float
    wait_p50_s: float
    wait_p95_s: float
    delayed: float
    queue_mean: float
    utilisation: float


@dataclass(frozen=True, slots=True)
class WhatIf:
    """The same with another number of units or of arrivals."""

    units: float
    arrivals_factor: float
    load: float
    figures: tuple[Figures, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Target:
    """How many units a mean wait of `wait_s` takes, by each way to know; None: many times the machine, or no number of them."""

    wait_s: float
    arrivals_factor: float
    by: dict[str, int | None]


@dataclass(frozen=True, slots=True)
class Report:
    """`servers` of the model: `units` divided by what a job takes on average while it runs."""

    resource: str
    units: float
    jobs: int
    selected: int
    span_s: float
    gap_mean_s: float
    gap_cv: float
    run_mean_s: float
    run_cv: float
    width_mean: float
    width_max: float
    servers: float
    load: float
    checks: tuple[Check, ...]
    figures: tuple[Figures, ...]
    what_if: WhatIf | None
    target: Target | None
    notes: tuple[str, ...]
