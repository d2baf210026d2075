"""How a simulated machine decides: policy, backfill, what it knows of run times, and how often it looks."""

from dataclasses import dataclass, field
from typing import Literal

from aiosd.errors import InvalidArgument
from aiosd.scheduling.registry import POLICIES

Backfill = Literal["off", "easy", "conservative"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """shortest_first    who is tried first beside the head of the queue: who asked for the least time; else who came first
    estimate_actual      the scheduler knows how long each job will run; else it knows the limit that was asked for, if any
    events               in one instant: each submission, then each end (by start), and a pass after each, as the published
                         simulators do it; what runs counts as gone at its estimated end, be its end handled or not.
                         Else one pass an instant, as the daemon does it
    """

    policy: str = "fifo"
    backfill: Backfill = "off"
    shortest_first: bool = False
    estimate_actual: bool = False
    events: bool = False
    shares: dict[str, float] = field(default_factory=dict)  # by user; absent: 1.0

    def __post_init__(self) -> None:
        if self.policy not in POLICIES:
            raise InvalidArgument(f"there is no policy {self.policy[:40]!r}", hint=f"policies: {', '.join(POLICIES)}", policy=self.policy[:40])
