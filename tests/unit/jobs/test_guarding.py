"""Whatever a policy does, jobs go on: its plan is refused, fifo stands in, the evidence is kept, and it is tried again."""

import gc

import pytest

from aiosd.clock import Instant
from aiosd.ids import JobId
from aiosd.jobs.actions import PolicyFailed, PolicyRestored, SetDevice, SetPolicy
from aiosd.jobs.draft import RequestDraft
from aiosd.jobs.schedule import Measured, Paces, schedule
from aiosd.jobs.settings import JobsSettings
from aiosd.scheduling.dump import load
from aiosd.scheduling.policy import Plan, Snapshot
from aiosd.scheduling.registry import POLICIES
from aiosd.scheduling.rules import Backfill, SchedulingRules
from tests.fakes.policies import IMPOSSIBLE, Broken, registered
from tests.unit.jobs.world import BOB, GIB, World, draft, machine

ONE = RequestDraft(cpu_millis=1000, memory_bytes=GIB)
WIDE = RequestDraft(cpu_millis=4000, memory_bytes=GIB)


def busy() -> World:
    """One job runs on processor 0 of four, GPU 0 is ill, and nothing else has been asked of the policy yet."""
    world = World(inventory=machine(4, gpus=2))
    world.do(SetDevice("GPU-0", health="it fell off the bus"))
    world.submit(draft("runs", request=ONE))
    world.begin()
    return world


def fill(world: World) -> None:
    world.submit(draft("waits", request=ONE), draft("array", request=ONE, array="0-9%1"), owner=BOB)


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_what_is_impossible_is_refused_and_told(name: str) -> None:
    fails, told = IMPOSSIBLE[name]
    world = busy()
    with registered(Broken(fails)):
        world.do(SetPolicy("broken"))
        fill(world)
        state = world.engine.state
        assert state.policy == "broken" and state.policy_in_force == "fifo" and told in state.policy_fault
        assert schedule(state, Measured(), Paces()).policy_fault == state.policy_fault
        assert [world.phase(2), world.phase(3, 0), world.phase(3, 1)] == ["starting", "starting", "queued"], "fifo has started what it could"
        (failed,) = [action for action in world.last if isinstance(action, PolicyFailed)]
        assert told in failed.fault.what
        del failed
    gc.collect()
    world.begin()
    for job_id in (JobId(1), JobId(2)):
        world.finish(job_id)
    used = world.engine.state.pool.used()
    assert used.cpu_millis == 1000 and used.memory_bytes == GIB, "what is held is what runs, whatever the policy left open"


def test_the_snapshot_that_provokes_it_can_be_loaded_and_provokes_it_again() -> None:
    world = busy()

    def fails_on_arrays(seen: Snapshot) -> Plan:
        ids = [job_id for lane in seen.lanes for _, job_class in lane for job_id in job_class]
        assert all(not job_id.is_element for job_id in ids), f"an element of {ids[-1].number}"
        return POLICIES["fair"].policy(seen)

    with registered(fails_on_arrays):
        world.do(SetPolicy("broken"))
        fill(world)
    (failed,) = [action for action in world.last if isinstance(action, PolicyFailed)]
    again = load(failed.snapshot)
    assert again.now_s == world.now.wall_s and again.pool.used() == world.engine.state.jobs[JobId(1)].run.grant  # type: ignore[union-attr]
    with pytest.raises(AssertionError, match="an element of 3"):
        fails_on_arrays(again)
    assert len(POLICIES["fair"].policy(load(failed.snapshot)).starts) == 2, "a policy that is sound has no trouble with it"


def test_it_is_tried_again_after_a_while_and_ever_more_seldom() -> None:
    broken = Broken(IMPOSSIBLE["raises"][0])
    world = busy()
    with registered(broken):
        world.do(SetPolicy("broken"))
        fill(world)
        world.submit(draft("goes on waiting", request=WIDE))
        asked = broken.asked
        world.finish(JobId(1))
        assert broken.asked == asked, "it is left alone at first"
        assert world.engine.next_wake_in_s(world.now) == pytest.approx(60.0)
        world.wait(60)
        assert (broken.asked, world.engine.next_wake_in_s(world.now)) == (asked + 1, pytest.approx(120.0))
        broken.mended = True
        world.wait(119)
        assert world.engine.state.policy_fault
        world.wait(1)
        state = world.engine.state
        assert (state.policy_fault, state.policy_in_force) == ("", "broken")
        assert PolicyRestored("broken") in world.last


def test_who_sets_it_again_tries_it_at_once() -> None:
    broken = Broken(IMPOSSIBLE["raises"][0])
    world = busy()
    with registered(broken):
        world.do(SetPolicy("broken"))
        fill(world)
        world.submit(draft("goes on waiting", request=WIDE))
        broken.mended = True
        world.do(SetPolicy("broken"))
        assert (world.engine.state.policy_fault, world.engine.state.policy_in_force) == ("", "broken")
        broken.mended = False
        world.finish(JobId(1))
        assert world.engine.state.policy_fault
        world.do(SetPolicy("fair"))
        assert world.engine.state.policy_fault == "", "another has done nothing wrong"


def test_the_clock_on_the_wall_does_not_count_for_that() -> None:
    world = busy()
    with registered(Broken(IMPOSSIBLE["raises"][0])):
        world.do(SetPolicy("broken"))
        fill(world)
        for years in (-30, 30):
            world.now = Instant(world.now.wall_s + years * 31e6, world.now.steady_s + 1)
            assert world.engine.next_wake_in_s(world.now) <= 60.0  # type: ignore[operator]
            world.do()
        assert world.engine.state.standing_in


def test_the_order_of_a_lane_may_fail_too() -> None:
    world = busy()

    def within(*_: object) -> tuple[tuple[float, ...], float]:
        raise KeyError("weights")

    POLICIES["broken"] = POLICIES["priority"]._replace(within=lambda basis: within)
    try:
        world.do(SetPolicy("broken"))
        fill(world)
        assert "KeyError" in world.engine.state.policy_fault and world.phase(2) == "starting"
    finally:
        del POLICIES["broken"]


def test_where_nothing_can_be_followed_nothing_starts_and_what_runs_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    world = busy()
    broken = Broken(IMPOSSIBLE["raises"][0])
    monkeypatch.setitem(POLICIES, "fifo", POLICIES["fifo"]._replace(policy=broken))
    world.do(SetPolicy("fifo"))
    fill(world)
    world.submit(draft("another", request=ONE))
    assert (world.phase(1), world.phase(2), world.phase(4)) == ("running", "queued", "queued")
    monkeypatch.undo()
    world.wait(60)
    assert (world.phase(2), world.engine.state.policy_fault) == ("starting", "")


def test_fifo_stands_in_without_backfill() -> None:
    seen: list[Snapshot] = []
    fifo = POLICIES["fifo"]

    def watched(world: Snapshot) -> Plan:
        seen.append(world)
        return fifo.policy(world)

    world = World(inventory=machine(4), settings=JobsSettings(scheduling=SchedulingRules(backfill=Backfill.EASY)))
    POLICIES["fifo"] = fifo._replace(policy=watched)
    try:
        with registered(Broken(IMPOSSIBLE["no plan"][0])):
            world.do(SetPolicy("broken"))
            world.submit(draft("waits", request=ONE))
    finally:
        POLICIES["fifo"] = fifo
    assert seen and all(each.rules.backfill is Backfill.OFF for each in seen)


def test_the_evidence_says_nothing_of_commands_and_is_bounded() -> None:
    world = World(inventory=machine(1))
    world.submit(*[draft("secret-command", f"--token={n}", priority=n % 1500 - 700, request=ONE) for n in range(3000)])
    with registered(Broken(IMPOSSIBLE["raises"][0])):
        world.do(SetPolicy("broken"))
    (failed,) = [action for action in world.last if isinstance(action, PolicyFailed)]
    assert "secret" not in failed.snapshot and "token" not in failed.snapshot
    assert len(failed.snapshot) < 1_000_000 and sum(len(lane.classes) for lane in load(failed.snapshot).lanes) == 1000  # type: ignore[attr-defined]
