"""How long the scheduler's passes take, measured around them: the engine itself knows no clock."""

from collections import deque
from dataclasses import dataclass, field
from time import perf_counter

from aiosd.clock import Instant
from aiosd.jobs.engine import Engine
from aiosd.jobs.schedule import Paces

MOST = 1000  # passes, the latest


@dataclass(slots=True)
class PassMeter:
    """`dispatch` in the engine's place; a turn in which nothing had changed is no pass."""

    took_s: deque[float] = field(default_factory=lambda: deque(maxlen=MOST))

    def dispatch(self, engine: Engine, now: Instant) -> None:
        passes, begun_s = engine.state.passes, perf_counter()
        engine.dispatch(now)
        if engine.state.passes > passes:
            self.took_s.append(perf_counter() - begun_s)

    @property
    def paces(self) -> Paces:
        if not self.took_s:
            return Paces()
        ordered = sorted(self.took_s)
        return Paces(ordered[len(ordered) // 2], ordered[len(ordered) * 99 // 100])
