"""The loop of the watchdog: it sleeps while nothing runs, weighs suspects only, and stops who uses more."""

import asyncio
from collections.abc import Mapping, Sequence

from aiosd.monitoring.bounds import Bounds, Excess
from aiosd.monitoring.bounds_service import BoundsService
from aiosd.monitoring.ports import WatchedRun
from aiosd.monitoring.series import Totals
from tests.unit.monitoring.test_bounds import MIB, totals


class Machine:
    """A clock that stands, a meter and a weigher that say what they are told to."""

    def __init__(self) -> None:
        self.measured: dict[str, Totals] = {}
        self.weights: dict[str, int] = {}
        self.looked, self.weighed = 0, list[str]()
        self.stopped: list[Excess] = []
        self.struck = asyncio.Event()

    def now(self) -> Totals:  # all that is asked of a moment is its steady_s
        return totals(0)

    async def measure(self, runs: Sequence[WatchedRun]) -> Mapping[str, Totals]:
        self.looked += 1
        return {run.key: self.measured[run.key] for run in runs}

    async def weigh(self, runs: Sequence[WatchedRun]) -> Mapping[str, int]:
        self.weighed += [run.key for run in runs]
        return {run.key: self.weights[run.key] for run in runs}

    async def stop(self, excess: Excess) -> None:
        self.stopped.append(excess)
        self.struck.set()

    def service(self, period_s: float) -> BoundsService:
        return BoundsService(self, self, self, self.stop, period_s)  # type: ignore[arg-type]


def run(key: str) -> WatchedRun:
    return WatchedRun(key, 1, "", 0.0)


def test_only_suspects_are_weighed_and_only_offenders_stopped() -> None:
    async def scene() -> None:
        machine = Machine()
        service = machine.service(1.0)
        for key, measured, weight in (("small", MIB, 0), ("shares", 40 * MIB, 5 * MIB), ("large", 40 * MIB, 30 * MIB)):
            service.watch(run(key), Bounds(10 * MIB))
            machine.measured[key], machine.weights[key] = totals(measured), weight
        await service.look()
        assert machine.weighed == ["shares", "large"]
        assert [excess.key for excess in machine.stopped] == ["large"]

    asyncio.run(scene())


def test_it_sleeps_until_something_runs_and_wakes_when_it_is_switched_on() -> None:
    async def scene() -> None:
        machine = Machine()
        service = machine.service(0.0)
        async with asyncio.timeout(20), asyncio.TaskGroup() as group:
            loop = group.create_task(service.run())
            for _ in range(3):
                await asyncio.sleep(0)
            machine.measured["a"], machine.weights["a"] = totals(40 * MIB), 30 * MIB
            service.watch(run("a"), Bounds(10 * MIB))
            for _ in range(3):
                await asyncio.sleep(0)
            assert machine.looked == 0  # switched off
            service.use(3600.0)
            await machine.struck.wait()
            service.unwatch("a")
            assert machine.looked == 1
            loop.cancel()

    asyncio.run(scene())
