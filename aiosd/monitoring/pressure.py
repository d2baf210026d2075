"""When the machine is so short of memory that nothing new should start: pure; looks go in, a sentence comes out.

Pressure is what the kernel tells in /proc/pressure (PSI): the part of the last ten seconds in which some process waited for memory. Where
a kernel does not tell it, and everywhere beside it, memory that is available without swapping counts.
"""

from dataclasses import dataclass

from aiosd.units import format_bytes

CALM = 0.5  # of the threshold of pressure, below which starts go on again
ROOM = 1.25  # times the least available memory, above which they do
CALM_LOOKS = 2  # in a row
AUTOMATIC_PART = 50  # of the machine's memory, for the least that is available
MOST_AUTOMATIC_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class PressureLook:
    """The machine at one moment. Pressures are in [0, 1], of the last ten seconds; None where the kernel does not tell."""

    available_bytes: int
    total_bytes: int
    memory: float | None = None
    cpu: float | None = None
    io: float | None = None


@dataclass(frozen=True, slots=True)
class PressureSettings:
    """`memory`: in [0, 1], 0: off. `available_bytes`: -1: by the size of the machine, 0: off."""

    memory: float = 0.2
    available_bytes: int = -1

    def least_bytes(self, total_bytes: int) -> int:
        """The least memory that must be available."""
        return min(MOST_AUTOMATIC_BYTES, total_bytes // AUTOMATIC_PART) if self.available_bytes < 0 else self.available_bytes


@dataclass(slots=True)
class PressureRules:
    """`judge` after each look. What holds starts back has to be over by a margin, twice in a row: no start brings it back at once."""

    settings: PressureSettings
    reason: str = ""
    _calm: int = 0

    def judge(self, look: PressureLook) -> str:
        """Why nothing new may start, in a sentence; "": it may."""
        found = self._short(look, 1.0, 1.0)
        if found:
            self.reason, self._calm = found, 0
        elif self.reason:
            self._calm = 0 if self._short(look, CALM, ROOM) else self._calm + 1
            if self._calm >= CALM_LOOKS:
                self.reason = ""
        return self.reason

    def _short(self, look: PressureLook, part: float, room: float) -> str:
        settings, least = self.settings, self.settings.least_bytes(look.total_bytes)
        if settings.memory and look.memory is not None and look.memory >= settings.memory * part:
            return f"processes waited for memory {look.memory:.0%} of the last 10 s (PSI), and from {settings.memory:.0%} on nothing new starts"
        if least and look.available_bytes < least * room:
            return f"only {format_bytes(look.available_bytes)} of the machine's memory are available, and below {format_bytes(least)} nothing new starts"
        return ""
