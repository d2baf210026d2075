"""Two clocks in one reading: the wall for what people see, the steady one for how long things take."""

import time
from dataclasses import dataclass
from typing import NamedTuple, Protocol


class Instant(NamedTuple):
    """One moment. `wall_s` is Unix time and may jump; `steady_s` counts from boot, sleeps included, and never does."""

    wall_s: float
    steady_s: float


class Clock(Protocol):
    def now(self) -> Instant: ...


@dataclass(frozen=True, slots=True)
class SystemClock:
    def now(self) -> Instant:
        return Instant(time.time(), time.clock_gettime(time.CLOCK_BOOTTIME))
