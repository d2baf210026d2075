"""The engine looks again by itself where what it started may have changed who goes first."""

from aiosd.jobs.actions import QueueChange, SetPolicy, SetQueue
from aiosd.jobs.dispatching import ORDER_CHECK_S
from aiosd.jobs.draft import RequestDraft
from aiosd.jobs.job import Job, Owner
from aiosd.scheduling.rules import Backfill
from tests.unit.jobs.world import ALICE, BOB, World, draft, machine

CAROL = Owner(1002, 1002, "carol")


def submit(world: World, owner: Owner, cpus: int, limit_s: float = 0.0, **fields: object) -> Job:
    (job,) = world.submit(draft("a", request=RequestDraft(1000 * cpus), time_limit_s=limit_s, grace_s=0.0, **fields), owner=owner)
    return job


def begun(world: World) -> list[int]:
    return [job.id.number for job in world.launched]


def test_priority_counts_a_start_in_the_next_pass_and_that_comes_by_itself() -> None:
    world = World(inventory=machine(4))
    world.do(SetPolicy("priority"))
    first, *_ = [submit(world, owner, cpus) for owner, cpus in ((ALICE, 3), (CAROL, 2), (CAROL, 3), (ALICE, 1))]
    world.finish(first.id)
    assert begun(world) == [1, 2], "carol's second is older than alice's, and in this pass she has used as little"
    assert world.engine.next_wake_in_s(world.now) == ORDER_CHECK_S
    world.wait(ORDER_CHECK_S)
    assert begun(world) == [1, 2, 4]
    assert world.engine.next_wake_in_s(world.now) is None, "who is left does not fit"


def test_fair_counts_who_passed_by_its_own_job_and_then_others_go_first() -> None:
    world = World(inventory=machine(4))
    world.do(SetPolicy("fair", backfill=Backfill.EASY))
    submit(world, CAROL, 2, 50.0)
    world.begin()
    submit(world, ALICE, 4)  # is kept a place in 50 s
    assert begun(world) == [1]
    bobs = submit(world, BOB, 1)
    assert begun(world) == [1], "it would delay alice's"
    submit(world, ALICE, 1, 20.0)
    assert begun(world) == [1, 4]
    world.wait(ORDER_CHECK_S)
    assert begun(world) == [1, 4, bobs.id.number], "alice has more than bob"


def test_who_is_first_then_may_take_the_place_of_what_started() -> None:
    world = World(inventory=machine(1))
    world.do(SetPolicy("priority"))
    world.do(SetQueue("high", QueueChange(preempts=("default",))))
    first = submit(world, CAROL, 1)
    started = submit(world, ALICE, 1, priority=2, preemptible=True)
    submit(world, ALICE, 1)
    bobs = submit(world, BOB, 1, queue="high")
    world.finish(first.id)
    assert begun(world) == [1, 2] and not world.signals, "another of alice's is ahead of bob's"
    world.wait(ORDER_CHECK_S)
    assert world.engine.state.jobs[started.id].made_room_for == bobs.id


def test_what_starts_nobody_is_not_looked_at_again() -> None:
    world = World(inventory=machine(4))
    submit(world, CAROL, 2)
    submit(world, ALICE, 3)  # nobody can say when carol's ends: all that is free is kept for it
    submit(world, BOB, 1)
    assert begun(world) == [1]
    assert world.engine.next_wake_in_s(world.now) is None
    submit(world, ALICE, 1)
    assert world.engine.next_wake_in_s(world.now) is None


def test_where_all_wait_for_what_is_in_use_nothing_is_looked_at_again() -> None:
    world = World(inventory=machine(2))
    for owner in (ALICE, BOB, CAROL):
        submit(world, owner, 1)
    assert begun(world) == [1, 2]
    assert world.engine.next_wake_in_s(world.now) is None
