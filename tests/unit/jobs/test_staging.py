"""Who is staged behind whom, when they are launched, and when they are called back."""

import pytest

from aiosd.ids import JobId
from aiosd.jobs.actions import Event, InventoryChanged, QueueChange, SetDrained, SetPolicy, SetQueue, Steer, UpdateJob
from aiosd.jobs.draft import JobChange, RequestDraft
from aiosd.jobs.job import Job, Phase
from aiosd.jobs.ports import LaunchFailed
from aiosd.jobs.staging import CHECK_S, LONGEST_LINE, PATIENCE_S
from tests.unit.jobs.world import BOB, World, draft, machine

SHORT_S = 0.002


def short(world: World, job_id: JobId) -> None:
    world.finish(job_id, run_s=SHORT_S)


def lined_up(cpus: int = 1, **fields: object) -> World:
    """Job 1 was short; of the array 2, an element runs on each processor, and others are staged behind them."""
    world = World(inventory=machine(cpus))
    world.submit(draft("a"))
    short(world, JobId(1))
    world.submit(draft("a", array="0-99", **fields))
    return world


def staged(world: World) -> list[Job]:
    return [job for job in world.saved.values() if job.run is not None and job.run.after is not None]


def indices(world: World) -> list[int]:
    return [job.id.index for job in staged(world)]


def hand_over(world: World, job_id: JobId) -> Job | None:
    return world.engine.hand_over(job_id, world.saved[job_id].attempt, world.engine.state.revision)


def test_the_oldest_follow_and_hold_nothing() -> None:
    world = lined_up()
    assert indices(world) == list(range(1, 1 + LONGEST_LINE))
    assert all(job.phase is Phase.STARTING and job.run is not None and job.run.after == JobId(2, 0) for job in staged(world))
    assert world.engine.state.pool.used().cpu_millis == 1000
    assert [job.id for job in world.launched] == [JobId(1), JobId(2, 0)]


def test_nobody_follows_runs_that_take_long_or_are_not_known() -> None:
    world = World(inventory=machine(1))
    first, *_ = world.submit(*[draft("a")] * 4)
    assert not staged(world)
    world.finish(first.id, run_s=60.0)
    assert not staged(world)


def test_lines_are_filled_evenly_the_oldest_first() -> None:
    world = World(inventory=machine(2))
    world.submit(draft("a"))
    short(world, JobId(1))
    world.submit(*[draft("a")] * 8)
    behind = {str(line.head): [i.number for i in line.waiting] for line in world.engine.state.staging.of.values()}
    assert behind == {"2": [4, 6, 8], "3": [5, 7, 9]}


def test_the_first_of_a_line_takes_the_slot_over() -> None:
    world = lined_up()
    short(world, JobId(2, 0))
    assert world.launched[-1].id == JobId(2, 1) and world.launched[-1].run is not None and world.launched[-1].run.after is None
    assert world.engine.state.pool.used().cpu_millis == 1000


def test_who_was_handed_over_is_not_launched_again() -> None:
    world = lined_up()
    handed = [hand_over(world, JobId(2, n)) for n in range(3)]
    assert [job.id.index for job in handed if job is not None] == [1, 2, 3]
    launched = len(world.launched)
    for n in range(3):
        short(world, JobId(2, n))
    assert len(world.launched) == launched
    assert world.engine.state.staging.of[JobId(2, 3)].head == JobId(2, 3)


def test_an_end_that_is_said_twice_hands_over_once() -> None:
    world = lined_up()
    assert hand_over(world, JobId(2, 0)) is not None
    assert hand_over(world, JobId(2, 0)) is None


def test_nobody_is_handed_over_before_it_is_durable_or_for_another_attempt() -> None:
    world = lined_up()
    first = world.saved[JobId(2, 1)]
    assert world.engine.hand_over(JobId(2, 0), 1, first.revision - 1) is None
    assert world.engine.hand_over(JobId(2, 0), 2, first.revision) is None
    assert world.engine.hand_over(JobId(2, 0), 1, first.revision) == first


def test_a_line_behind_a_long_run_is_called_back_in_time_and_in_order() -> None:
    world = lined_up()
    before = world.engine.state.revision
    world.wait(CHECK_S)
    assert staged(world), "patience is not over"
    wake_s = world.engine.next_wake_in_s(world.now)
    assert wake_s is not None and wake_s < CHECK_S + 0.01
    world.wait(CHECK_S)
    assert 2 * CHECK_S > PATIENCE_S
    assert not staged(world) and world.engine.state.revision > before
    array = world.saved[JobId(2)].array
    assert array is not None and str(array.pending) == "1-99" and array.active == 1
    world.wait(CHECK_S)
    assert not staged(world) and world.engine.next_wake_in_s(world.now) is None, "and nobody lines up there again"
    short(world, JobId(2, 0))
    assert world.launched[-1].id == JobId(2, 1) and world.launched[-1].attempt == 1


def test_when_runs_become_longer_lines_become_shorter() -> None:
    world = lined_up(cpus=2)
    world.finish(JobId(2, 0), run_s=0.14)
    assert 0 < max(len(line.waiting) for line in world.engine.state.staging.of.values()) <= 6
    head = next(job.id for job in world.saved.values() if job.run is not None and job.run.after is None)
    world.finish(head, run_s=0.3)
    assert not staged(world)


@pytest.mark.parametrize("fields", [{"priority": 5}, {"request": RequestDraft(memory_bytes=1 << 20)}])
def test_when_another_class_waits_the_policy_decides_again(fields: dict[str, object]) -> None:
    world = lined_up()
    world.do(SetPolicy("priority"))
    assert staged(world)
    (urgent,) = world.submit(draft("b", **fields))
    assert not staged(world)
    short(world, JobId(2, 0))
    assert (world.launched[-1].id == urgent.id) == ("priority" in fields)


def test_another_user_waits_for_one_run_and_not_for_a_line() -> None:
    world = lined_up()
    world.do(SetPolicy("fair"))
    world.wait(0.01)
    (other,) = world.submit(draft("b"), owner=BOB)
    short(world, JobId(2, 0))
    assert world.launched[-1].id == other.id


def test_a_class_of_a_stopped_queue_is_not_in_the_way() -> None:
    world = World(inventory=machine(1))
    world.submit(draft("a"))
    world.do(SetQueue("stopped", QueueChange(started=False)))
    world.submit(draft("b", queue="stopped"))
    short(world, JobId(1))
    world.submit(draft("a", array="0-99"))
    assert staged(world)


@pytest.mark.parametrize(
    ("event", "stays"),
    [
        (SetDrained(True), False),
        (SetPolicy("priority"), True),
        (SetQueue("default", QueueChange(started=False)), False),
        (SetQueue("default", QueueChange(max_running=1)), False),
        (InventoryChanged(machine(2)), False),
    ],
)
def test_what_changes_the_rules_calls_back_all_but_the_handed(event: Event, stays: bool) -> None:
    world = lined_up()
    assert hand_over(world, JobId(2, 0)) is not None
    world.do(event)
    behind_first = [job.id.index for job in staged(world) if job.run is not None and job.run.after == JobId(2, 0)]
    assert (len(behind_first) > 1) is stays and behind_first[0] == 1
    short(world, JobId(2, 0))
    assert world.saved[JobId(2, 1)].run is not None and [job.id.index for job in world.launched].count(1) == 0


def test_nobody_joins_behind_a_head_whose_machine_has_changed() -> None:
    world = lined_up()
    world.do(InventoryChanged(machine(1)))
    world.do()
    assert not staged(world)
    short(world, JobId(2, 0))
    assert staged(world), "but behind one that was granted what there is now"


def test_who_is_staged_can_be_cancelled_and_held() -> None:
    world = World(inventory=machine(1))
    world.submit(draft("a"))
    short(world, JobId(1))
    world.submit(*[draft("a")] * 4)
    assert [job.id.number for job in staged(world)] == [3, 4, 5]
    assert world.steer(Steer.CANCEL, JobId(4)).phase is Phase.CANCELLED
    assert world.steer(Steer.HOLD, JobId(3)).phase is Phase.HELD
    assert world.ended[JobId(4)].run is None and world.signals == []
    short(world, JobId(2))
    assert world.launched[-1].id == JobId(5)


def test_a_handed_over_job_is_stopped_like_any_that_starts() -> None:
    world = lined_up()
    hand_over(world, JobId(2, 0))
    assert world.steer(Steer.CANCEL, JobId(2, 1)).phase is Phase.STOPPING
    short(world, JobId(2, 0))
    world.begin(JobId(2, 1))
    assert (JobId(2, 1), "TERM") in world.signals


def test_an_array_is_held_and_changed_with_those_that_are_staged() -> None:
    world = lined_up()
    world.do(UpdateJob(JobId(2), JobChange(array_limit=1)))
    assert not staged(world)
    assert world.steer(Steer.HOLD, JobId(2)).phase is Phase.HELD
    short(world, JobId(2, 0))
    assert not [job for job in world.saved.values() if job.phase.active and job.id.is_element]
    world.steer(Steer.RELEASE, JobId(2))
    assert world.launched[-1].id == JobId(2, 1) and not staged(world)


def test_the_limit_of_an_array_counts_who_is_staged() -> None:
    world = World(inventory=machine(1))
    world.submit(draft("a"))
    short(world, JobId(1))
    world.submit(draft("a", array="0-99%3"))
    assert len(staged(world)) == 2


def test_the_deadline_of_who_is_called_back_still_counts() -> None:
    world = World(inventory=machine(1))
    world.submit(draft("a"))
    short(world, JobId(1))
    world.submit(*[draft("a", deadline_at_s=world.now.wall_s + 5.0)] * 2)
    assert staged(world)
    world.wait(1.0)
    world.wait(5.0)
    assert world.phase(3) == "skipped"


def test_an_array_whose_deadline_passes_takes_back_who_is_staged() -> None:
    world = lined_up(deadline_at_s=1_000_000.1)
    world.wait(0.11)
    assert not staged(world) and len(world.saved[JobId(2)].array.pending) == 0  # type: ignore[union-attr]


def test_a_launch_that_fails_gives_the_slot_to_the_next() -> None:
    world = lined_up()
    world.do(LaunchFailed(JobId(2, 0), 1, "no"))
    assert world.launched[-1].id == JobId(2, 1)
    hand_over(world, JobId(2, 1))
    short(world, JobId(2, 1))
    world.do(LaunchFailed(JobId(2, 2), 1, "no"))
    assert world.launched[-1].id == JobId(2, 3) and world.phase(2, 2) == "waiting"
    world.wait(1.5)
    assert world.phase(2, 2) in ("queued", "starting") and world.saved[JobId(2, 2)].attempt in (1, 2)
