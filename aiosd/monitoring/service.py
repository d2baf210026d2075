"""Measures the runs that live, at a steady pace that no number of them can make expensive; sleeps when there is none."""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from aiosd.clock import Clock
from aiosd.errors import InvalidArgument
from aiosd.monitoring.ports import Meter, Reports, WatchedRun
from aiosd.monitoring.series import Samples, Totals, sample_between
from aiosd.monitoring.stats import JobStatistics, Progress
from aiosd.resources.usage import Usage

MOST_SHARE = 0.02  # of the time spent measuring; with many runs the pace slows down instead
SHORTEST_S = 0.5  # of an interval: the kernel counts processor time in hundredths of a second
KEPT_RUNS = 100  # that have ended and can still be asked for


@dataclass(slots=True)
class _Measured:
    run: WatchedRun
    samples: Samples = field(default_factory=Samples)
    last: Totals | None = None
    memory_peak_bytes: int = 0

    def add(self, totals: Totals) -> None:
        if self.last is not None:
            sample = sample_between(self.last, totals)
            if sample is None or totals.steady_s - self.last.steady_s < SHORTEST_S:
                return
            self.samples.add(sample)
        self.last = totals
        self.memory_peak_bytes = max(self.memory_peak_bytes, totals.memory_bytes)

    def statistics(self, now_s: float) -> JobStatistics:
        last = self.last
        if last is None:
            return JobStatistics(run_s=max(0.0, now_s - self.run.started_at_s))
        usage = Usage(
            cpu_user_s=last.cpu_user_s,
            cpu_system_s=last.cpu_system_s,
            memory_peak_bytes=self.memory_peak_bytes,
            read_bytes=last.read_bytes,
            write_bytes=last.write_bytes,
            major_faults=last.major_faults,
        )
        return JobStatistics(self.samples.all(), usage, max(0.0, now_s - self.run.started_at_s))


class MonitorService:
    """`watch` and `unwatch` follow the runs; `run` is the loop, one of the daemon's named root tasks."""

    def __init__(self, meter: Meter, reports: Reports, clock: Clock, period_s: float = 2.0) -> None:
        self._meter, self._reports, self._clock = meter, reports, clock
        self._hurried = asyncio.Event()
        self.use(period_s)
        self._live: dict[str, _Measured] = {}
        self._ended: OrderedDict[str, _Measured] = OrderedDict()
        self._wanted = asyncio.Event()

    def use(self, period_s: float) -> None:
        """Look so often from now on."""
        if period_s <= 0:
            raise InvalidArgument(f"the period of monitoring must be positive, not {period_s} s", hint="2 seconds is usual")
        self._period_s = period_s
        self._hurried.set()

    def watch(self, run: WatchedRun) -> None:
        """Measure this run from now on; again for the same key changes nothing."""
        if run.key not in self._live:
            self._live[run.key] = _Measured(run)
            self._wanted.set()

    def unwatch(self, key: str) -> None:
        """The run has ended; its series are kept for a while. Nothing happens when it is not watched."""
        measured = self._live.pop(key, None)
        if measured is not None and measured.last is not None:
            self._ended[key] = measured
            while len(self._ended) > KEPT_RUNS:
                self._ended.popitem(last=False)
        if not self._live:
            self._wanted.clear()

    async def run(self) -> None:
        """Until it is cancelled; an error escapes, because a blind daemon must not look healthy."""
        while True:
            await self._wanted.wait()
            begun_s = self._clock.now().steady_s
            await self.look()
            took_s = self._clock.now().steady_s - begun_s
            await self._pause(max(self._period_s, took_s / MOST_SHARE) - took_s)

    async def _pause(self, pause_s: float) -> None:
        """Cut short by another period: an hour of the old one is not waited for."""
        self._hurried.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await self._hurried.wait()

    async def look(self) -> None:
        """Measure every live run once, and read what it reported."""
        runs = [measured.run for measured in self._live.values()]
        if not runs:
            return
        for key, totals in (await self._meter.measure(runs)).items():
            if (measured := self._live.get(key)) is not None:
                measured.add(totals)
        await self._reports.refresh([run.report_path for run in runs])

    async def stats(self, key: str, report_path: str) -> JobStatistics:
        """What is known of a run, live or over; empty but for what it reported when nothing was measured.

        `usage` is what was seen until the last look: of a run that is over, its exit knows better.
        """
        measured = self._live.get(key)
        if measured is not None:
            with suppress(KeyError):
                measured.add((await self._meter.measure([measured.run]))[key])
        measured = measured or self._ended.get(key)
        found = measured.statistics(self._clock.now().wall_s) if measured else JobStatistics()
        reported = await self._reports.series(report_path)
        return JobStatistics(found.samples, found.usage, found.run_s, tuple(reported))

    def progress(self, report_path: str) -> Progress | None:
        """What a live run had last reported at the last look; from memory."""
        return self._reports.latest(report_path)

    async def refresh(self, report_paths: Sequence[str]) -> None:
        """Read the last reports of runs at once, as at their end."""
        await self._reports.refresh(report_paths)
