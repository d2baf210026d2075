"""What monitoring needs of the outside: a meter of processes, and a reader of what jobs report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from aiosd.monitoring.series import Totals
from aiosd.monitoring.stats import Progress, ReportedSeries


@dataclass(frozen=True, slots=True)
class WatchedRun:
    """A run that is measured while it lives. `key` names it; its processes are those below `shim_pid`."""

    key: str
    shim_pid: int
    report_path: str
    started_at_s: float  # wall
    uses_gpu: bool = False


class Meter(Protocol):
    async def measure(self, runs: Sequence[WatchedRun]) -> Mapping[str, Totals]:
        """One look at all of them, by key; a run that has ended meanwhile is left out."""


class Reports(Protocol):
    async def refresh(self, paths: Sequence[str]) -> None:
        """Read what was reported since the last time."""

    def latest(self, path: str) -> Progress | None:
        """What `refresh` last saw, from memory."""

    async def series(self, path: str, max_points: int = 512) -> Sequence[ReportedSeries]:
        """Every metric over its steps, thinned out to at most `max_points`."""


class Weigher(Protocol):
    async def weigh(self, runs: Sequence[WatchedRun]) -> Mapping[str, int]:
        """How much memory each of these uses, exactly, in bytes by key: what processes share counts once. Costs far more than a look."""
