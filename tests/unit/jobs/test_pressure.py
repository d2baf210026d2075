"""The engine while the machine is short of memory: nothing new starts, what runs goes on, and all of it is told."""

import asyncio

from aiosd.ids import JobId
from aiosd.jobs.actions import HoldBack
from aiosd.jobs.explain import WhyKind, told
from aiosd.monitoring.pressure import PressureLook, PressureSettings
from aiosd.monitoring.pressure_service import PressureService
from tests.unit.jobs.serving import serving
from tests.unit.jobs.world import World, draft

SHORT = HoldBack("only 1 GiB of the machine's memory are available, and below 2 GiB nothing new starts")


def test_nothing_new_starts_and_what_runs_goes_on() -> None:
    world = World()
    world.submit(draft("one"))
    world.begin()
    world.do(SHORT)
    world.submit(draft("two"))
    assert [job.id.number for job in world.launched] == [1]
    assert (world.phase(1), world.phase(2), world.signals) == ("running", "queued", [])


def test_why_says_it() -> None:
    world = World()
    world.do(SHORT)
    (job,) = world.submit(draft("one"))
    why = world.engine.why(job.id, world.now)
    assert why.kind is WhyKind.PRESSURE
    assert why.summary == f"the machine is short of memory, and it starts by itself when that is over: {SHORT.reason}"
    assert told(world.engine.state, job).reason == "memory pressure"


def test_starts_go_on_by_themselves_and_both_are_remembered() -> None:
    world = World()
    world.do(SHORT)
    world.submit(draft("one"))
    world.wait(12.0)
    world.do(HoldBack(""))
    assert world.phase(1) == "starting"
    assert [each.what for each in world.engine.state.history.adjustments] == [
        f"nothing new starts: {SHORT.reason}",
        "jobs start again, after 12s under pressure",
    ]
    world.do(HoldBack(""))
    assert len(world.engine.state.history.adjustments) == 2


def holding(world: World) -> list[JobId]:
    """Those that hold a grant; who is staged holds none."""
    return [i for i, job in world.engine.state.jobs.items() if job.run is not None and job.run.after is None]


def test_what_was_staged_waits_again() -> None:
    world = World()
    world.submit(*(draft("short") for _ in range(60)))
    for _ in range(4):
        world.begin(*holding(world))
        world.finish(holding(world)[0], run_s=0.005)
    assert world.engine.state.staging.behind
    world.do(SHORT)
    assert not world.engine.state.staging.behind
    begun = len(world.launched)
    while holding(world):
        world.begin(*holding(world))
        world.finish(holding(world)[0], run_s=0.005)
    assert len(world.launched) == begun
    assert {world.phase(job_id.number) for job_id in world.engine.state.jobs} == {"queued"}
    world.do(HoldBack(""))
    assert len(world.launched) > begun


def test_a_fake_kernel_provokes_it_in_a_service_that_runs() -> None:
    """From the port's look to the job that starts when the pressure is over: nobody has to do anything."""

    class Kernel:
        pressure = 0.9

        def look(self) -> PressureLook:
            return PressureLook(1 << 34, 1 << 35, self.pressure)

    async def played() -> None:
        async with serving() as bench:
            kernel = Kernel()
            pressure = PressureService(kernel, bench.service.hold_back, PressureSettings(), 1.0)
            await pressure.look()
            job = await bench.submit(draft("train"))
            await bench.settled()
            assert str((await bench.service.get(str(job.id))).phase) == "queued"
            assert bench.launcher.launches == []
            assert "waited for memory 90%" in (await bench.service.why(str(job.id))).summary
            kernel.pressure = 0.0
            await pressure.look()
            await pressure.look()
            await bench.settled()
            assert [launched.id for launched in bench.launcher.launches] == [job.id]

    asyncio.run(played())
