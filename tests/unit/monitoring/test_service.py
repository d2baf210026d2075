"""The monitor's loop: it sleeps when nothing runs, and slows down when much does."""

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from aiosd.clock import Instant
from aiosd.errors import InvalidArgument
from aiosd.monitoring.ports import WatchedRun
from aiosd.monitoring.series import Totals
from aiosd.monitoring.service import KEPT_RUNS, MonitorService
from aiosd.monitoring.stats import JobStatistics, Progress, ReportedSeries


class World:
    """A clock that is turned by hand, a meter of made-up processes, and reports; implements the ports."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.looks: list[list[str]] = []
        self.gone: set[str] = set()
        self.cost_s = 0.0
        self.refreshed: list[str] = []
        self.pauses: list[float] = []

    def now(self) -> Instant:
        return Instant(self.now_s + 1e6, self.now_s)

    async def measure(self, runs: Sequence[WatchedRun]) -> Mapping[str, Totals]:
        self.now_s += self.cost_s
        self.looks.append([run.key for run in runs])
        return {
            run.key: Totals(self.now_s + 1e6, self.now_s, cpu_user_s=2 * (self.now_s - 1000.0), memory_bytes=int(self.now_s), processes=1)
            for run in runs
            if run.key not in self.gone
        }

    async def refresh(self, paths: Sequence[str]) -> None:
        self.refreshed += paths

    def latest(self, path: str) -> Progress | None:
        return Progress(done=1.0) if path in self.refreshed else None

    async def series(self, path: str, max_points: int = 512) -> Sequence[ReportedSeries]:
        return [ReportedSeries("loss", (1.0,), (0.5,))] if path == "report" else []

    async def sleep(self, pause_s: float) -> None:
        """Time passes at once; after a few rounds for ever."""
        self.pauses.append(pause_s)
        if len(self.pauses) >= 5:
            await asyncio.Event().wait()
        self.now_s += pause_s


def run_of(key: str) -> WatchedRun:
    return WatchedRun(key, 1, "report", 1e6 + 990.0)


def test_rates_totals_and_reports_of_a_live_run() -> None:
    async def work() -> JobStatistics:
        world = World()
        monitor = MonitorService(world, world, world)
        monitor.watch(run_of("a"))
        await monitor.look()
        world.now_s += 10.0
        await monitor.look()
        return await monitor.stats("a", "report")

    stats = asyncio.run(work())
    assert [s.cpu_millis for s in stats.samples] == [2000.0]
    assert stats.usage.cpu_user_s == 20.0
    assert stats.usage.memory_peak_bytes == 1010
    assert stats.run_s == 20.0
    assert [s.name for s in stats.reported] == ["loss"]


def test_asking_measures_at_once_but_not_in_tiny_intervals() -> None:
    async def work() -> tuple[JobStatistics, JobStatistics]:
        world = World()
        monitor = MonitorService(world, world, world)
        monitor.watch(run_of("a"))
        first = await monitor.stats("a", "")
        world.now_s += 0.01
        await monitor.stats("a", "")
        world.now_s += 0.99
        return first, await monitor.stats("a", "")

    first, later = asyncio.run(work())
    assert first.usage.memory_peak_bytes == 1000
    assert len(later.samples) == 1


def test_a_run_that_ended_is_remembered_for_a_while() -> None:
    async def work() -> None:
        world = World()
        monitor = MonitorService(world, world, world)
        for n in range(KEPT_RUNS + 1):
            monitor.watch(run_of(f"run{n}"))
        monitor.watch(run_of("never looked at"))
        world.gone = {"never looked at"}
        await monitor.look()
        for n in range(KEPT_RUNS + 1):
            monitor.unwatch(f"run{n}")
        monitor.unwatch("never looked at")
        monitor.unwatch("never heard of")
        world.looks.clear()
        assert (await monitor.stats("run1", "")).usage.memory_peak_bytes
        assert await monitor.stats("run0", "") == JobStatistics()
        assert await monitor.stats("never looked at", "") == JobStatistics()
        assert world.looks == []

    asyncio.run(work())


def test_a_run_that_ends_during_the_look_is_no_error() -> None:
    async def work() -> JobStatistics:
        world = World()
        world.gone = {"a"}
        monitor = MonitorService(world, world, world)
        monitor.watch(run_of("a"))
        await monitor.look()
        return await monitor.stats("a", "")

    assert asyncio.run(work()) == JobStatistics(run_s=10.0)


def loop_for_a_while(world: World, monkeypatch: pytest.MonkeyPatch, runs: Sequence[str]) -> None:
    """Start the loop, watch the runs, let a few rounds pass."""

    async def work() -> None:
        monitor = MonitorService(world, world, world, period_s=2.0)
        monkeypatch.setattr(monitor, "_pause", world.sleep)
        loop = asyncio.ensure_future(monitor.run())
        for key in runs:
            monitor.watch(run_of(key))
        for _ in range(100):
            await asyncio.sleep(0)
        loop.cancel()

    asyncio.run(work())


def test_nothing_runs_nothing_wakes(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    loop_for_a_while(world, monkeypatch, [])
    assert (world.looks, world.pauses) == ([], [])


def test_every_period_all_runs_are_measured_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    loop_for_a_while(world, monkeypatch, ["a", "b"])
    assert world.looks == [["a", "b"]] * 5
    assert world.pauses == [2.0] * 5
    assert world.latest("report")


def test_what_takes_long_is_done_more_rarely(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    world.cost_s = 0.2
    loop_for_a_while(world, monkeypatch, ["a"])
    assert world.pauses == [pytest.approx(9.8)] * 5


def test_a_period_of_nothing_is_refused() -> None:
    world = World()
    with pytest.raises(InvalidArgument, match="period"):
        MonitorService(world, world, world, period_s=0.0)


def test_another_period_cuts_the_pause_of_the_old_one_short() -> None:
    async def work() -> int:
        world = World()
        monitor = MonitorService(world, world, world, period_s=3600.0)
        loop = asyncio.ensure_future(monitor.run())
        monitor.watch(run_of("a"))
        for _ in range(20):
            await asyncio.sleep(0)
        before = len(world.looks)
        monitor.use(1800.0)
        for _ in range(20):
            await asyncio.sleep(0)
        loop.cancel()
        assert before == 1
        return len(world.looks)

    assert asyncio.run(work()) == 2
