"""Who uses more than it was granted, where no kernel holds it: a rule over two measures, a cheap one of everybody and an exact one of suspects."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from aiosd.monitoring.series import Totals
from aiosd.units import format_bytes

_GROWTH = 16  # who was weighed and found within its bounds is weighed again when it has grown by one part in so many


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of one run; 0: none."""

    memory_bytes: int = 0
    processes: int = 0


@dataclass(frozen=True, slots=True)
class Excess:
    """A run that is to be stopped: `of_memory`, or else of processes."""

    key: str
    of_memory: bool
    reason: str


@dataclass(slots=True)
class Watch:
    """The bounds of the runs that live, by key, and what is remembered of suspects.

    The cheap measure of memory counts what processes share after a fork once for each, so it is never too small, and may be
    far too large: nobody is stopped by it alone.
    """

    bounds: dict[str, Bounds] = field(default_factory=dict)
    _cleared: dict[str, int] = field(default_factory=dict)  # the cheap measure with which a run was last found within its bounds

    def forget(self, key: str) -> None:
        self.bounds.pop(key, None)
        self._cleared.pop(key, None)

    def suspects(self, measured: Mapping[str, Totals]) -> list[str]:
        """The runs that have to be weighed exactly."""
        return [key for key, totals in measured.items() if self._is_suspect(key, totals.memory_bytes)]

    def too_many(self, measured: Mapping[str, Totals]) -> list[Excess]:
        """The runs with more processes than they may have."""
        found = ((key, totals.processes, self.bounds[key].processes) for key, totals in measured.items() if key in self.bounds)
        return [Excess(key, False, f"it had {count} processes, more than the {most} of one job") for key, count, most in found if 0 < most < count]

    def too_large(self, measured: Mapping[str, Totals], weighed: Mapping[str, int]) -> list[Excess]:
        """The runs that use more memory than they were granted, of those that were weighed; the others are left alone for a while."""
        found = []
        for key, used in weighed.items():
            bounds = self.bounds.get(key)
            if bounds is None:
                continue
            if used > bounds.memory_bytes:
                found.append(Excess(key, True, f"it used {format_bytes(used)} of memory, more than its {format_bytes(bounds.memory_bytes)}"))
            else:
                self._cleared[key] = measured[key].memory_bytes
        return found

    def _is_suspect(self, key: str, measured_bytes: int) -> bool:
        bounds = self.bounds.get(key)
        if bounds is None or not 0 < bounds.memory_bytes < measured_bytes:
            return False
        cleared = self._cleared.get(key, 0)
        return measured_bytes > cleared + cleared // _GROWTH
