"""What monitoring needs of the outside: a meter of processes, and a reader of what jobs report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from aiosd.monitoring.looks import DeviceLook, GpuRun
from aiosd.monitoring.pressure import PressureLook
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


class GpuProbe(Protocol):
    async def look(self, runs: Mapping[str, int]) -> Sequence[DeviceLook] | None:
        """Every watched GPU now; `runs` has the pid of the process above all of a run's, by key.

        None: there is no look. An answer of the driver is waited for only a while, and the next call waits for the same one.
        """


class DeviceKeeper(Protocol):
    """What is done about what was seen. Raises AiosError when it cannot be done now: it is asked for again."""

    async def set_device(self, device_id: str, *, health: str | None = None, busy: str | None = None) -> None:
        """None: as it was. `health`: "ok", or what is wrong; `busy`: who uses it besides AIOS, "" for nobody."""

    async def warn(self, run: GpuRun, text: str, before: str) -> None:
        """Tell the owner of a run; "": what was said `before` is over."""

    async def stop(self, run: GpuRun, how: str, reason: str) -> None:
        """`how`: overuse, requeue or cancel."""


class PressureProbe(Protocol):
    def look(self) -> PressureLook:
        """The machine now; blocks for no longer than it takes to read a few small files of the kernel's."""


class Weigher(Protocol):
    async def weigh(self, runs: Sequence[WatchedRun]) -> Mapping[str, int]:
        """How much memory each of these uses, exactly, in bytes by key: what processes share counts once. Costs far more than a look."""
