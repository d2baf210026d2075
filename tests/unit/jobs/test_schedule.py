"""The five steps as an operator sees them, from what the engine has."""

from collections import deque

from aiosd.ids import JobId
from aiosd.jobs.actions import HoldBack
from aiosd.jobs.draft import RequestDraft
from aiosd.jobs.pass_service import PassMeter
from aiosd.jobs.schedule import Availability, Demand, Expected, Measured, Paces, ScheduleView, schedule
from aiosd.jobs.settings import JobsSettings, Rightsize
from aiosd.resources.request import DeviceRequest
from aiosd.resources.usage import Usage
from aiosd.scheduling.policy import Planned
from aiosd.scheduling.rules import SchedulingRules
from tests.unit.jobs.world import GIB, World, draft, machine


def seen(world: World, measured: Measured | None = None) -> ScheduleView:
    return schedule(world.engine.state, measured or Measured(), Paces())


def test_an_idle_machine() -> None:
    view = seen(World())
    assert (view.demand, view.policy, view.passes, view.starts, view.adjustments) == ([], "fair", 0, 0, [])
    assert [(a.resource, a.total, a.granted) for a in view.availability] == [("cpu", 4000, 0), ("memory", 16 * GIB, 0), ("disk", 100 * GIB, 0)]


def test_demand_is_what_waits_beside_what_such_jobs_used_before() -> None:
    world = World(settings=JobsSettings(scheduling=SchedulingRules(predict=True)))
    for _ in range(3):
        (job,) = world.submit(draft("python3", "train.py"))
        world.begin()
        world.finish(job.id, usage=Usage(memory_peak_bytes=GIB))
    world.submit(draft("all", request=RequestDraft(cpu_millis=4000, memory_bytes=GIB)))
    world.submit(*(draft("python3", "train.py") for _ in range(5)))
    cpu, memory = seen(world).demand
    assert cpu == Demand("cpu", 5000, 5 * 250, 4000, 5), "250 is the least that anything is said to need"
    assert memory == Demand("memory", 20 * GIB, 5 * GIB, 16 * GIB, 5)


def test_availability_is_what_is_granted_and_what_was_measured() -> None:
    world = World(inventory=machine(gpus=2))
    world.submit(draft("train", request=RequestDraft(cpu_millis=1000, memory_bytes=GIB, devices=(DeviceRequest("gpu", 2000),))))
    measured = Measured(cpu_busy_permille=500.0, memory_used_bytes=3 * GIB, pressures={"cpu": 0.25, "io": 0.5}, idle_gpus=1)
    cpu, memory, disk, gpu = seen(world, measured).availability
    assert cpu == Availability("cpu", 4000, 1000, 2000, 0.25)
    assert memory == Availability("memory", 16 * GIB, GIB, 3 * GIB)
    assert disk.pressure == 0.5
    assert gpu == Availability("gpu", 2000, 2000, 1000, 0.0, 1000)


def test_execution_counts_passes_and_starts_and_knows_what_is_planned() -> None:
    world = World(settings=JobsSettings(rightsize=Rightsize.APPLY))
    (job, _) = world.submit(draft("a"), draft("b"))
    grant = world.launched[0].run
    assert grant is not None
    world.engine.state.planned = {JobId(9): Planned(JobId(9), 1234.0, grant.grant), job.id: Planned(job.id, 99.0, grant.grant)}
    view = seen(world)
    assert (view.starts, view.passes) == (2, 1)
    assert view.rightsize is Rightsize.APPLY
    assert view.expected == [Expected(job.id, 99.0, "1 processor, 4 GiB of memory"), Expected(JobId(9), 1234.0, "1 processor, 4 GiB of memory")]


def test_adjustments_are_newest_first() -> None:
    world = World()
    world.do(HoldBack("too little memory"))
    world.do(HoldBack(""))
    view = seen(world)
    assert [each.what.split(",")[0] for each in view.adjustments] == ["jobs start again", "nothing new starts: too little memory"]


def test_how_many_predictions_held() -> None:
    world = World()
    for run_s in (100.0, 100.0, 100.0, 100_000.0):
        (job,) = world.submit(draft("python3", "train.py"))
        world.begin()
        world.finish(job.id, run_s=run_s)
    view = seen(world)
    assert (view.predictions, view.predictions_held, view.runs_learned) == (3, 2 / 3, 4)
    assert [(each.level, each.predictions) for each in view.calibration] == [("command", 3)]


def test_only_a_turn_that_decides_is_a_pass() -> None:
    world, meter = World(), PassMeter()
    meter.dispatch(world.engine, world.now)
    meter.dispatch(world.engine, world.now)
    assert len(meter.took_s) == 1
    assert meter.paces.p50_s == meter.paces.p99_s == meter.took_s[0] > 0
    assert PassMeter().paces == Paces()
    assert PassMeter(deque([float(n) for n in range(1000)])).paces == Paces(500.0, 990.0)
