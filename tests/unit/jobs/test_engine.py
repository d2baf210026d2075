"""The engine, event by event: what it decides, and that its books stay right."""

import pytest

from aiosd.errors import AlreadyExists, Exhausted, FailedPrecondition, InvalidArgument, NeverFits, NotFound
from aiosd.ids import JobId
from aiosd.jobs.actions import QueueChange, SetDrained, SetPolicy, SetQueue, Steer, UpdateJob
from aiosd.jobs.draft import JobChange, RequestDraft, RetryDraft
from aiosd.jobs.ports import LaunchFailed, Loaded
from aiosd.jobs.settings import JobsSettings
from aiosd.resources.request import DeviceRequest
from tests.unit.jobs.world import ALICE, BOB, World, draft, machine


def assert_books(world: World) -> None:
    """Whatever happens: the pool holds exactly the grants of the active jobs, and the indexes agree with the jobs."""
    state = world.engine.state
    active = [job for job in state.jobs.values() if job.run is not None]
    assert state.pool.used().cpu_millis == sum(j.run.grant.cpu_millis for j in active if j.run)
    assert sum(state.active_in.values()) == len(active)
    startable = sum(c.count for c in state.backlog.classes.values())
    waiting = sum(1 for j in state.jobs.values() if j.array is None and str(j.phase) == "queued")
    pending = sum(len(j.array.pending) for j in state.jobs.values() if j.array is not None)
    assert waiting <= startable <= waiting + pending
    assert all(job.phase.active for job in active)


def test_a_job_runs_and_succeeds() -> None:
    world = World()
    (job,) = world.submit(draft("true"))
    assert world.phase(1) == "starting"
    world.begin()
    assert world.phase(1) == "running"
    world.wait(5)
    world.finish(job.id, 0, run_s=5.0)
    done = world.ended[job.id]
    assert (done.phase, done.outcome.exit_code, done.outcome.run_s) == ("succeeded", 0, 5.0)
    assert world.engine.state.jobs == {} and world.engine.state.phases.total() == 0
    assert_books(world)


def test_jobs_wait_for_room_and_start_in_turn() -> None:
    world = World(inventory=machine(2))
    world.submit(*[draft("true") for _ in range(4)])
    assert [j.id.number for j in world.launched] == [1, 2]
    world.begin()
    world.finish(JobId(1))
    assert [j.id.number for j in world.launched] == [1, 2, 3]
    assert_books(world)


def test_an_array_is_one_record_until_its_elements_run() -> None:
    world = World(inventory=machine(4))
    world.submit(draft("true", array="0-999999%2"))
    assert len(world.engine.state.jobs) == 3
    world.begin()
    world.finish(JobId(1, 0))
    world.begin()
    world.finish(JobId(1, 1), 3)
    array = world.engine.state.jobs[JobId(1)].array
    assert (len(array.pending), array.active, array.succeeded, array.failed) == (999_996, 2, 1, 1)
    assert_books(world)


def test_an_array_ends_with_its_last_element() -> None:
    world = World(inventory=machine(8))
    world.submit(draft("true", array="0-2"))
    world.begin()
    for index, code in enumerate((0, 1, 0)):
        world.finish(JobId(1, index), code)
    assert world.phase(1) == "failed" and world.ended[JobId(1)].reason == "1 of 3 elements did not succeed"
    assert_books(world)


def test_cancelling_an_array_drops_what_waits_and_stops_what_runs() -> None:
    world = World(inventory=machine(2))
    world.submit(draft("true", array="0-9"))
    world.begin()
    world.steer(Steer.CANCEL, JobId(1))
    assert [s for _, s in world.signals] == ["TERM", "CONT", "TERM", "CONT"]
    for index in (0, 1):
        world.finish(JobId(1, index), None, signal=15)
    assert world.phase(1) == "cancelled" and world.phase(1, 0) == "cancelled"
    assert_books(world)


def test_one_pending_element_can_be_cancelled() -> None:
    world = World(inventory=machine(1))
    world.submit(draft("true", array="0-2"))
    world.steer(Steer.CANCEL, JobId(1, 1))
    assert world.phase(1, 1) == "cancelled"
    world.begin()
    world.finish(JobId(1, 0))
    assert world.launched[-1].id == JobId(1, 2)


def test_a_pending_element_follows_its_array() -> None:
    world = World(inventory=machine(1))
    world.submit(draft("true", array="0-2"))
    with pytest.raises(FailedPrecondition, match="has not started"):
        world.steer(Steer.HOLD, JobId(1, 2))


def test_cancel_before_start_needs_no_signal() -> None:
    world = World(inventory=machine(1))
    world.submit(draft("a"), draft("b"))
    world.steer(Steer.CANCEL, JobId(2))
    assert world.phase(2) == "cancelled" and world.signals == []


def test_cancel_while_starting_waits_for_something_to_stop() -> None:
    world = World()
    (job,) = world.submit(draft("a"))
    world.steer(Steer.CANCEL, job.id)
    assert world.phase(1) == "stopping" and world.signals == []
    world.begin()
    assert world.signals == [(job.id, "TERM"), (job.id, "CONT")]
    world.finish(job.id, None, signal=15)
    assert world.phase(1) == "cancelled"


def test_grace_then_kill() -> None:
    world = World()
    (job,) = world.submit(draft("a", grace_s=10.0))
    world.begin()
    world.steer(Steer.CANCEL, job.id)
    world.wait(9)
    assert "KILL" not in [s for _, s in world.signals]
    world.wait(1.1)
    assert world.signals[-1] == (job.id, "KILL")


def test_force_kills_at_once_even_a_job_that_is_stopping() -> None:
    world = World()
    (job,) = world.submit(draft("a"))
    world.begin()
    world.steer(Steer.CANCEL, job.id)
    world.steer(Steer.CANCEL, job.id, force=True)
    assert world.signals[-1] == (job.id, "KILL")
    world.steer(Steer.CANCEL, job.id, force=True)
    assert [s for _, s in world.signals].count("KILL") == 1


def test_time_limit_stops_and_says_so() -> None:
    world = World()
    (job,) = world.submit(draft("a", time_limit_s=60.0))
    world.begin()
    world.wait(59)
    assert world.phase(1) == "running"
    world.wait(1.5)
    assert world.phase(1) == "stopping"
    world.finish(job.id, None, signal=15)
    assert world.phase(1) == "timed_out" and "1m" in world.ended[job.id].reason


def test_suspended_time_does_not_count_towards_the_limit() -> None:
    world = World()
    (job,) = world.submit(draft("a", time_limit_s=60.0))
    world.begin()
    world.wait(30)
    world.steer(Steer.SUSPEND, job.id)
    world.wait(1000)
    assert world.phase(1) == "suspended"
    world.steer(Steer.RESUME, job.id)
    world.wait(29)
    assert world.phase(1) == "running"
    world.wait(2)
    assert world.phase(1) == "stopping"
    assert [s for _, s in world.signals[:2]] == ["STOP", "CONT"]


def test_a_jump_of_the_wall_clock_does_not_time_a_job_out() -> None:
    world = World()
    world.submit(draft("a", time_limit_s=60.0))
    world.begin()
    world.now = world.now._replace(wall_s=world.now.wall_s + 1e6)
    world.do()
    assert world.phase(1) == "running"
    world.now = world.now._replace(wall_s=0.0)
    world.wait(61)
    assert world.phase(1) == "stopping"


def test_retries_pause_longer_each_time_and_then_give_up() -> None:
    world = World()
    (job,) = world.submit(draft("a", retry=RetryDraft(retries=2, backoff_s=4.0)))
    for pause_s in (4.0, 8.0):
        world.begin()
        world.finish(job.id, 1)
        assert world.phase(1) == "waiting"
        world.wait(pause_s - 0.1)
        assert world.phase(1) == "waiting"
        world.wait(0.2)
        assert world.phase(1) == "starting"
    world.begin()
    world.finish(job.id, 1)
    assert world.phase(1) == "failed" and world.ended[job.id].attempt == 3


def test_retry_conditions_decide() -> None:
    world = World()
    (job,) = world.submit(draft("a", retry=RetryDraft(retries=5, conditions=("lost",))))
    world.begin()
    world.lose(job.id)
    assert world.phase(1) == "waiting"
    world.wait(2)
    world.begin()
    world.finish(job.id, 1)
    assert world.phase(1) == "failed"


def test_a_lost_run_is_lost() -> None:
    world = World()
    (job,) = world.submit(draft("a"))
    world.begin()
    world.lose(job.id, "the machine restarted while it ran")
    assert (world.phase(1), world.ended[job.id].reason) == ("lost", "the machine restarted while it ran")


def test_a_launch_that_failed_is_tried_again_without_costing_a_retry() -> None:
    world = World()
    (job,) = world.submit(draft("a"))
    world.do(LaunchFailed(job.id, 1, "no space left on device"))
    assert world.phase(1) == "waiting" and "no space" in world.engine.state.jobs[job.id].reason
    world.wait(1.5)
    assert world.phase(1) == "starting" and world.launched[-1].attempt == 2 and world.launched[-1].retries_used == 0
    assert_books(world)


def test_requeue_runs_it_again() -> None:
    world = World()
    (job,) = world.submit(draft("a", checkpoint_signal="USR1"))
    world.begin()
    world.steer(Steer.REQUEUE, job.id)
    assert world.signals[0] == (job.id, "USR1")
    world.finish(job.id, 75)
    assert world.phase(1) == "starting" and world.launched[-1].attempt == 2


def test_old_news_about_an_earlier_attempt_is_ignored() -> None:
    world = World()
    (job,) = world.submit(draft("a"))
    world.begin()
    world.steer(Steer.REQUEUE, job.id)
    world.finish(job.id, 0)
    from aiosd.jobs.ports import RunEnded

    world.do(RunEnded(job.id, 1, None, "late"))
    assert world.phase(1) == "starting"


@pytest.mark.parametrize(
    ("kind", "code", "phase"),
    [("after-ok", 0, "starting"), ("after-ok", 1, "skipped"), ("after-failed", 1, "starting"), ("after-failed", 0, "skipped"), ("after-any", 1, "starting")],
)
def test_dependencies_on_the_end(kind: str, code: int, phase: str) -> None:
    world = World()
    world.submit(draft("a"))
    world.submit(draft("b", dependencies=((kind, "1"),)))
    assert world.phase(2) == "waiting"
    world.begin()
    world.finish(JobId(1), code)
    assert world.phase(2) == phase
    if phase == "skipped":
        assert "job 1" in world.ended[JobId(2)].reason


def test_after_is_met_by_the_start() -> None:
    world = World()
    world.submit(draft("a"))
    world.submit(draft("b", dependencies=(("after", "1"),)))
    assert world.phase(2) == "waiting"
    world.begin(JobId(1))
    assert world.phase(2) == "starting"


def test_a_skipped_job_skips_who_needs_its_success() -> None:
    world = World()
    world.submit(draft("a"), draft("b", dependencies=(("after-ok", "#0"),)), draft("c", dependencies=(("after-ok", "#1"),)))
    world.begin()
    world.finish(JobId(1), 1)
    assert world.phase(2) == "skipped" and world.phase(3) == "skipped"
    assert world.engine.state.jobs == {}


def test_dependency_on_what_ended_just_now_counts() -> None:
    world = World()
    world.submit(draft("a"))
    world.begin()
    world.finish(JobId(1), 1)
    (job,) = world.submit(draft("b", dependencies=(("after-ok", "1"),)))
    assert job.phase == "skipped"


def test_rings_and_self_dependencies_are_refused_and_change_nothing() -> None:
    world = World()
    with pytest.raises(InvalidArgument, match="ring: #0 -> #1 -> #0"):
        world.submit(draft("a", dependencies=(("after-ok", "#1"),)), draft("b", dependencies=(("after-ok", "#0"),)))
    with pytest.raises(InvalidArgument, match="depend on itself"):
        world.submit(draft("a", dependencies=(("after-ok", "#0"),)))
    with pytest.raises(InvalidArgument, match="depend on itself"):
        world.submit(draft("a", dependencies=(("after", "1"),)))
    with pytest.raises(NotFound, match="no job 99"):
        world.submit(draft("a", dependencies=(("after", "99"),)))
    assert world.engine.state.jobs == {} and world.engine.state.next_number == 1


def test_begin_time_and_deadline() -> None:
    world = World()
    now = world.now.wall_s
    world.submit(draft("a", begin_at_s=now + 100))
    world.submit(draft("b", begin_at_s=now + 100, deadline_at_s=now + 50))
    world.wait(51)
    assert world.phase(1) == "waiting" and world.phase(2) == "skipped"
    world.wait(50)
    assert world.phase(1) == "starting"


def test_hold_and_release() -> None:
    world = World()
    world.submit(draft("a", held=True))
    assert world.phase(1) == "held"
    world.steer(Steer.RELEASE, JobId(1))
    assert world.phase(1) == "starting"
    with pytest.raises(FailedPrecondition, match="a starting job cannot be held"):
        world.steer(Steer.HOLD, JobId(1))


def test_a_held_array_goes_on_with_what_runs_only() -> None:
    world = World(inventory=machine(1))
    world.submit(draft("a", array="0-3"))
    world.begin()
    world.steer(Steer.HOLD, JobId(1))
    world.finish(JobId(1, 0))
    assert len(world.launched) == 1 and world.phase(1) == "held"
    world.steer(Steer.RELEASE, JobId(1))
    assert len(world.launched) == 2


def test_what_never_fits_is_refused_with_the_facts() -> None:
    world = World(inventory=machine(4, gpus=2))
    with pytest.raises(NeverFits) as caught:
        world.submit(draft("a", request=RequestDraft(devices=(DeviceRequest("gpu", 3000),))))
    assert "gpu" in str(caught.value) and "3" in str(caught.value) and "2" in str(caught.value)
    with pytest.raises(NeverFits, match="5 processors; this machine has 4"):
        world.submit(draft("a", request=RequestDraft(cpu_millis=5000)))


def test_an_idempotency_key_makes_one_submission() -> None:
    world = World()
    world.submit(draft("a"), draft("b"), key="k", digest="d1")
    from aiosd.jobs.actions import Submit
    from tests.unit.jobs.world import ALICE, EMPTY

    again = world.do(Submit([draft("a"), draft("b")], [EMPTY] * 2, ALICE, "k", "d1"))
    assert again == range(1, 3) and world.engine.state.next_number == 3
    with pytest.raises(AlreadyExists):
        world.submit(draft("c"), key="k", digest="d2")
    assert world.submit(draft("c"), key="k", digest="d2", owner=BOB)[0].id == JobId(3)


def test_queue_limits_and_stopped_queues() -> None:
    world = World(inventory=machine(8))
    world.do(SetQueue("small", QueueChange(max_running=1)))
    world.submit(*[draft("a", queue="small") for _ in range(3)])
    assert len(world.launched) == 1
    world.do(SetQueue("small", QueueChange(max_running=0, started=False)))
    assert len(world.launched) == 1
    world.do(SetQueue("small", QueueChange(started=True)))
    assert len(world.launched) == 3
    world.do(SetQueue("small", QueueChange(open=False)))
    with pytest.raises(FailedPrecondition, match="closed"):
        world.submit(draft("a", queue="small"))
    with pytest.raises(NotFound, match="no queue 'large'"):
        world.submit(draft("a", queue="large"))


def test_queue_time_limits() -> None:
    world = World()
    world.do(SetQueue("q", QueueChange(default_time_limit_s=10.0, max_time_limit_s=20.0)))
    assert world.submit(draft("a", queue="q"))[0].spec.time_limit_s == 10.0
    with pytest.raises(InvalidArgument, match="more than queue 'q' allows"):
        world.submit(draft("a", queue="q", time_limit_s=21.0))


def test_drained_nodes_start_nothing() -> None:
    world = World()
    world.do(SetDrained(True, "maintenance"))
    world.submit(draft("a"))
    assert world.launched == []
    assert "maintenance" in world.engine.why(JobId(1), world.now).summary
    world.do(SetDrained(False))
    assert len(world.launched) == 1


def test_policy_switches_live_and_unknown_ones_are_refused() -> None:
    world = World(inventory=machine(1))
    world.submit(draft("a"))
    world.submit(draft("b"), draft("c", priority=10))
    world.do(SetPolicy("priority"))
    world.begin()
    world.finish(JobId(1))
    assert world.launched[-1].id == JobId(3)
    with pytest.raises(NotFound, match="lottery"):
        world.do(SetPolicy("lottery"))


def test_update_changes_what_waits_and_protects_what_runs() -> None:
    world = World(inventory=machine(1))
    world.submit(draft("a"), draft("b"), draft("c"))
    world.do(UpdateJob(JobId(3), JobChange(priority=5, labels={"x": "1"})))
    world.begin()
    with pytest.raises(FailedPrecondition, match="begin_at_s"):
        world.do(UpdateJob(JobId(1), JobChange(begin_at_s=world.now.wall_s + 60)))
    world.finish(JobId(1))
    assert world.launched[-1].id == JobId(3)
    with pytest.raises(NeverFits):
        world.do(UpdateJob(JobId(2), JobChange(cpu_millis=99_000)))


def test_max_queued_is_a_limit() -> None:
    world = World(inventory=machine(1), settings=JobsSettings(max_queued=3))
    world.submit(*[draft("a") for _ in range(3)])
    with pytest.raises(Exhausted, match="limit of 3"):
        world.submit(draft("a"), draft("b"))


def test_no_array_and_no_user_leaves_others_without_room() -> None:
    world = World(inventory=machine(1), settings=JobsSettings(max_queued=4, queue_share=0.5))
    world.submit(draft("a", array="0-9999999", held=True), owner=ALICE)
    world.submit(draft("a"), owner=ALICE)
    with pytest.raises(Exhausted, match=r"alice has 2 jobs .* the 2 that one user may have of the 4"):
        world.submit(draft("a"), owner=ALICE)
    world.submit(draft("b"), draft("b"), owner=BOB)
    world.begin()
    world.finish(JobId(2))
    assert world.submit(draft("a"), owner=ALICE)
    assert_books(world)


def test_loading_what_was_saved_goes_on_where_it_was() -> None:
    first = World(inventory=machine(2))
    first.submit(draft("a"), draft("b"), draft("c"), draft("d", array="0-5"))
    first.begin()
    loaded = Loaded(tuple(first.saved.values()), (), {}, 5, 100)
    second = World(inventory=machine(2), loaded=loaded, now=first.now)
    assert_books(second)
    assert second.launched == [] and second.phase(1) == "running" and second.phase(3) == "queued"
    second.finish(JobId(1))
    assert second.launched[0].id == JobId(3)
    assert second.submit(draft("e"))[0].id == JobId(5)


@pytest.mark.parametrize(
    ("held", "summary"),
    [(True, "held"), (False, "1 processor")],
)
def test_why_says_what_is_the_matter(held: bool, summary: str) -> None:
    world = World(inventory=machine(1))
    world.submit(draft("a"))
    world.submit(draft("b", held=held))
    assert summary in world.engine.why(JobId(2), world.now).summary


def test_names_are_resolved_where_they_are_unique() -> None:
    world = World()
    world.submit(draft("a", name="one"), draft("b", name="two"), draft("c", name="two"))
    assert world.engine.resolve("one") == JobId(1)
    assert world.engine.resolve("three") is None
    with pytest.raises(InvalidArgument, match="not unique: jobs 2, 3"):
        world.engine.resolve("two")
