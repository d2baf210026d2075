"""What no policy should be asked and every one is some day: shares of nothing, weights that are no numbers, clocks that jump, a machine that shrinks."""

from dataclasses import replace
from math import isfinite, nan

import pytest

from aiosd.clock import Instant
from aiosd.errors import NeverFits
from aiosd.ids import JobId
from aiosd.jobs.actions import InventoryChanged, Reserve, SetPolicy
from aiosd.jobs.draft import JobDraft, RequestDraft
from aiosd.jobs.settings import JobsSettings
from aiosd.resources.request import DeviceRequest
from aiosd.scheduling.registry import POLICIES
from aiosd.scheduling.rules import Backfill, PriorityWeights, SchedulingRules
from tests.unit.jobs.world import ALICE, BOB, GIB, World, draft, machine

YEAR_S = 365 * 86400.0
each_policy = pytest.mark.parametrize("policy", POLICIES)


def job(cpus: int = 1, gpus: int = 0, **fields: object) -> JobDraft:
    devices = (DeviceRequest("gpu", 1000 * gpus),) if gpus else ()
    return draft("x", request=RequestDraft(cpu_millis=1000 * cpus, memory_bytes=GIB, devices=devices), **fields)


def run_dry(world: World) -> None:
    """Everything that runs ends, until nothing is left; a job that would never start fails the test."""
    for _ in range(50):
        world.begin()
        active = [j.id for j in world.engine.state.jobs.values() if j.phase.active and j.array is None]
        if not active:
            break
        for job_id in active:
            world.finish(job_id)
    assert not world.engine.state.jobs


@each_policy
@pytest.mark.parametrize("shares", [{"alice": 0.0, "bob": 0.0}, {"alice": 0.0}, {"alice": nan}, {"alice": -1.0}, {"alice": 1e308, "bob": 5e-324}])
def test_shares_of_nothing_let_everybody_run_in_the_end(policy: str, shares: dict[str, float]) -> None:
    world = World(inventory=machine(2), settings=JobsSettings(policy=policy, shares=shares))
    world.submit(*[job() for _ in range(5)], owner=ALICE)
    world.submit(*[job() for _ in range(5)], owner=BOB)
    run_dry(world)


@each_policy
@pytest.mark.parametrize("weight", [nan, float("inf"), -float("inf"), 0.0])
def test_weights_that_are_no_numbers_let_everybody_run_in_the_end(policy: str, weight: float) -> None:
    weights = PriorityWeights(age=weight, fair_share=weight, explicit=weight, queue=weight, age_max_s=weight)
    world = World(inventory=machine(2), settings=JobsSettings(policy=policy, scheduling=SchedulingRules(weights=weights)))
    for n in range(6):
        world.submit(job(priority=n % 3), owner=ALICE if n % 2 else BOB)
        world.wait(10)
    run_dry(world)


@each_policy
def test_a_machine_of_nothing_refuses_and_goes_on(policy: str) -> None:
    world = World(inventory=replace(machine(0), memory_bytes=0, disk_bytes=0), settings=JobsSettings(policy=policy))
    with pytest.raises(NeverFits):
        world.submit(job())
    world.do(InventoryChanged(machine(2)))
    world.submit(job())
    assert world.phase(1) == "starting"


@each_policy
@pytest.mark.parametrize("backfill", Backfill)
@pytest.mark.parametrize("years", [-40, 40])
def test_the_wall_clock_jumps_and_only_what_is_steady_counts(policy: str, backfill: Backfill, years: int) -> None:
    world = World(inventory=machine(2), settings=JobsSettings(policy=policy, scheduling=SchedulingRules(backfill=backfill)))
    world.submit(job(time_limit_s=100.0), job(time_limit_s=100.0), job(2, time_limit_s=50.0), job(time_limit_s=10.0))
    world.begin()
    world.now = Instant(world.now.wall_s + years * YEAR_S, world.now.steady_s + 1)
    world.do()
    assert [world.phase(n) for n in (1, 2, 3)] == ["running", "running", "queued"], "no limit has passed"
    world.submit(job(), owner=BOB)
    usage = world.engine.state.ledger.usage(world.now.wall_s)
    assert all(isfinite(used) and used >= 0 for used in usage.values())
    why = world.engine.why(JobId(3), world.now)
    assert why.summary and isfinite(why.estimated_start_at_s)
    world.now = Instant(world.now.wall_s - years * YEAR_S, world.now.steady_s + 1)
    world.wait(100)
    assert [world.phase(n) for n in (1, 2)] == ["stopping", "stopping"], "and now it has"
    run_dry(world)


@each_policy
@pytest.mark.parametrize("backfill", Backfill)
def test_a_machine_that_shrinks_below_what_runs_lets_it_run_and_starts_nothing_in_its_place(policy: str, backfill: Backfill) -> None:
    whole = machine(8, gpus=4)
    world = World(inventory=whole, settings=JobsSettings(policy=policy, scheduling=SchedulingRules(backfill=backfill)))
    world.submit(job(2, 2, time_limit_s=600.0), job(2, 2, time_limit_s=600.0), job(1, 1, time_limit_s=60.0), job(2, time_limit_s=60.0))
    world.begin()
    world.do(SetPolicy(policy))
    smaller = replace(whole, cpus=whole.cpus[:4], devices=whole.devices[:1], memory_bytes=2 * GIB)
    world.do(InventoryChanged(smaller))
    assert [world.phase(n) for n in (1, 2, 3)] == ["running", "running", "queued"]
    assert world.engine.state.policy_fault == ""
    assert world.engine.why(JobId(3), world.now).kind == "resources"
    world.submit(job(), owner=BOB)
    assert world.phase(5) == "queued"
    run_dry(world)
    assert world.engine.state.pool.used().cpu_millis == 0


def test_a_reservation_that_a_clock_takes_away_lets_others_start() -> None:
    world = World(inventory=machine(2))
    world.do(Reserve(world.now.wall_s, world.now.wall_s + 60.0, ("bob",), frozenset({"bob"}), RequestDraft(cpu_millis=2000, memory_bytes=1)))
    world.submit(draft("a", time_limit_s=10.0, grace_s=1.0))
    assert world.phase(1) == "queued"
    world.now = world.now._replace(wall_s=world.now.wall_s - 1000.0)
    world.do()
    assert world.phase(1) == "starting", "the reservation is a quarter of an hour away"


def test_a_clock_that_passes_the_deadline_of_what_is_staged() -> None:
    world = World(inventory=machine(1))
    world.submit(draft("many"))
    world.finish(JobId(1), run_s=0.002)
    world.submit(*[draft("many", deadline_at_s=world.now.wall_s + 3.0)] * 3)
    assert [world.phase(n) for n in (2, 3, 4)] == ["starting"] * 3 and len(world.launched) == 2, "two are staged behind the first"
    world.now = world.now._replace(wall_s=world.now.wall_s + 100.0)
    world.do()
    assert [world.phase(n) for n in (2, 3, 4)] == ["starting", "skipped", "skipped"]
    wake_s = world.engine.next_wake_in_s(world.now)
    assert wake_s is None or wake_s > 0, "nothing is left to be done"
