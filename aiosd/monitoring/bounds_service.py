"""The watchdog over runs that no kernel holds to their grants: measures them about each second, and has the ones stopped that use more."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from aiosd.clock import Clock
from aiosd.monitoring.bounds import Bounds, Excess, Watch
from aiosd.monitoring.ports import Meter, WatchedRun, Weigher

MOST_SHARE = 0.05  # of the time spent measuring; with very many processes the looks become rarer instead

Stop = Callable[[Excess], Awaitable[None]]


class BoundsService:
    """`watch` and `unwatch` follow the runs; `run` is the loop, one of the daemon's named root tasks. It sleeps while nothing runs."""

    def __init__(self, meter: Meter, weigher: Weigher, clock: Clock, stop: Stop, period_s: float) -> None:
        self._meter, self._weigher, self._clock, self._stop = meter, weigher, clock, stop
        self._period_s = period_s
        self._runs: dict[str, WatchedRun] = {}
        self._watch = Watch()
        self._wanted, self._hurried = asyncio.Event(), asyncio.Event()

    def use(self, period_s: float) -> None:
        """Look so often from now on; 0: not at all."""
        self._period_s = period_s
        self._hurried.set()

    def watch(self, run: WatchedRun, bounds: Bounds) -> None:
        self._runs[run.key] = run
        self._watch.bounds[run.key] = bounds
        self._wanted.set()

    def rebound(self, key: str, bounds: Bounds) -> None:
        """Other bounds for a run; nothing happens when it is not watched."""
        if key in self._runs:
            self._watch.forget(key)
            self._watch.bounds[key] = bounds

    def unwatch(self, key: str) -> None:
        """The run has ended; nothing happens when it is not watched."""
        self._runs.pop(key, None)
        self._watch.forget(key)
        if not self._runs:
            self._wanted.clear()

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            await self._wanted.wait()
            begun_s = self._clock.now().steady_s
            if self._period_s:
                await self.look()
            took_s = self._clock.now().steady_s - begun_s
            await self._pause(max(self._period_s, took_s / MOST_SHARE) - took_s if self._period_s else None)

    async def look(self) -> None:
        """Once over all runs."""
        measured = await self._meter.measure(list(self._runs.values()))
        excesses = self._watch.too_many(measured)
        suspects = [self._runs[key] for key in self._watch.suspects(measured) if key in self._runs]
        if suspects:
            excesses += self._watch.too_large(measured, await self._weigher.weigh(suspects))
        for excess in excesses:
            await self._stop(excess)

    async def _pause(self, pause_s: float | None) -> None:
        self._hurried.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await self._hurried.wait()
