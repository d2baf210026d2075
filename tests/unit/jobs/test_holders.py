"""The runs as the scheduler sees them, and when they are expected to end."""

from dataclasses import replace
from math import inf

import pytest

from aiosd.clock import Instant
from aiosd.jobs.actions import Steer
from aiosd.jobs.draft import RequestDraft
from aiosd.jobs.holders import held_runs
from aiosd.jobs.settings import JobsSettings
from aiosd.scheduling.policy import WaitKind
from aiosd.scheduling.rules import Backfill, SchedulingRules
from tests.unit.jobs.world import World, draft, machine

EASY = JobsSettings(policy="fifo", scheduling=SchedulingRules(Backfill.EASY), grace_s=10.0)


def test_nobody_looks_at_the_runs_while_nobody_asks() -> None:
    world = World(settings=replace(EASY, scheduling=SchedulingRules()))
    world.submit(draft(time_limit_s=100.0))
    assert held_runs(world.engine.state, world.now) == ()


def test_a_run_is_expected_to_last_until_its_limit_and_its_grace() -> None:
    world = World(settings=EASY)
    (job,) = world.submit(draft(time_limit_s=100.0))
    world.begin()
    (seen,) = held_runs(world.engine.state, world.now)
    assert (seen.job_id, seen.begun_s, seen.expected_end_s, seen.latest_end_s) == (job.id, 1_000_000.0, 1_000_110.0, 1_000_110.0)
    world.now = Instant(1_000_050.0, 5_050.0)
    assert held_runs(world.engine.state, world.now)[0] is seen, "worked out once"
    world.now = Instant(2_000_050.0, 5_050.0)
    assert held_runs(world.engine.state, world.now)[0].expected_end_s == pytest.approx(2_000_110.0), "the wall clock has jumped"


def test_a_run_without_any_limit_may_last_for_ever_and_one_that_is_stopped_does_not() -> None:
    world = World(settings=EASY)
    (job,) = world.submit(draft())
    world.begin()
    assert held_runs(world.engine.state, world.now)[0].expected_end_s == inf
    world.steer(Steer.CANCEL, job.id)
    (seen,) = held_runs(world.engine.state, world.now)
    assert seen.stopping
    assert seen.expected_end_s < inf


def test_a_short_job_passes_one_that_waits_and_its_place_is_known() -> None:
    world = World(settings=EASY, inventory=machine(cpus=4))
    world.submit(draft(request=RequestDraft(cpu_millis=3000), time_limit_s=100.0))
    world.begin()
    (big,) = world.submit(draft(request=RequestDraft(cpu_millis=4000), time_limit_s=50.0))
    (long,) = world.submit(draft(request=RequestDraft(cpu_millis=1000), time_limit_s=500.0))
    (short,) = world.submit(draft(request=RequestDraft(cpu_millis=1000), time_limit_s=20.0))
    state = world.engine.state
    assert [job.id for job in world.launched][-1] == short.id
    assert state.planned[big.id].at_s == pytest.approx(1_000_110.0)
    assert state.waits[state.class_key(state.jobs[long.id])].kind is WaitKind.RESOURCES, "the short one has taken what it was kept from"
    assert state.planned.keys() == {big.id}


def test_switching_backfill_on_tells_jobs_of_different_length_apart() -> None:
    world = World(settings=replace(EASY, scheduling=SchedulingRules()), inventory=machine(cpus=1))
    world.submit(draft(), draft(time_limit_s=10.0), draft(time_limit_s=20.0))
    state = world.engine.state
    assert len(state.backlog.classes) == 1
    state.use(EASY)
    assert {key.lasts_s for key in state.backlog.classes} == {20.0, 30.0}
