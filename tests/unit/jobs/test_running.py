"""What went wrong once: long chains, gone queues, jumping clocks, moved blockers, signals that a crash swallowed."""

import pytest

from aiosd.errors import FailedPrecondition, InvalidArgument, NotFound
from aiosd.ids import JobId
from aiosd.jobs.actions import InventoryChanged, QueueChange, SetPolicy, SetQueue, Steer, StopRun, UpdateJob, WarnRun
from aiosd.jobs.draft import JobChange, RequestDraft, RetryDraft
from aiosd.jobs.job import Job, StopCause
from aiosd.jobs.ports import Launched, Loaded
from aiosd.scheduling.fairshare import Association
from tests.unit.jobs.world import World, draft, machine


def reloaded(world: World, boot_id: str = "boot-1") -> World:
    numbers = [i.number for i in (*world.saved, *world.ended)]
    loaded = Loaded(tuple(world.saved.values()), (), {}, max(numbers, default=0) + 1, world.engine.state.revision)
    return World(inventory=world.inventory, settings=world.settings, now=world.now, loaded=loaded, boot_id=boot_id)


def test_a_chain_of_thousands_is_skipped_in_one_turn() -> None:
    world = World()
    count = 5000
    world.submit(draft("a"), *[draft("b", dependencies=(("after-ok", f"#{i}"),)) for i in range(count - 1)])
    world.begin()
    world.finish(JobId(1), 1)
    assert world.engine.state.jobs == {} and world.phase(count) == "skipped" and world.engine.state.dependents == {}


@pytest.mark.parametrize("what", [Steer.CANCEL, Steer.HOLD])
def test_who_was_behind_starts_when_the_blocker_goes(what: Steer) -> None:
    world = World(inventory=machine(2))
    world.do(SetPolicy("fifo"))
    world.submit(draft("a"), draft("wide", request=RequestDraft(cpu_millis=2000)), draft("c"))
    assert len(world.launched) == 1
    world.steer(what, JobId(2))
    assert world.launched[-1].id == JobId(3)


def test_a_retry_pause_is_not_stretched_by_a_clock_that_went_back() -> None:
    world = World()
    world.submit(draft("a", retry=RetryDraft(retries=1, backoff_s=4.0)))
    world.begin()
    world.finish(JobId(1), 1)
    world.now = world.now._replace(wall_s=world.now.wall_s - 86_400)
    again = reloaded(world)
    for each in (world, again):
        each.wait(3.9) if each is world else each.wait(599)
        assert each.phase(1) == "waiting"
        each.wait(2)
        assert each.phase(1) == "starting"


def test_a_held_retry_waits_out_its_pause_after_the_release() -> None:
    world = World()
    world.submit(draft("a", retry=RetryDraft(retries=1, backoff_s=10.0)))
    world.begin()
    world.finish(JobId(1), 1)
    world.steer(Steer.HOLD, JobId(1))
    world.wait(5)
    assert world.steer(Steer.RELEASE, JobId(1)).reason == "waits to be tried again"
    world.wait(4)
    assert world.phase(1) == "waiting"
    world.wait(2)
    assert world.phase(1) == "starting"


@pytest.mark.parametrize(("limit_s", "stops_after_s"), [(10.0, 20.0), (500.0, 501.0)])
def test_a_time_limit_can_change_while_it_runs(limit_s: float, stops_after_s: float) -> None:
    world = World()
    world.submit(draft("a", time_limit_s=60.0))
    world.begin()
    world.wait(19.5)
    world.do(UpdateJob(JobId(1), JobChange(time_limit_s=limit_s)))
    world.wait(stops_after_s - 19.5 - 1.5)
    assert world.phase(1) == ("stopping" if limit_s == 10.0 else "running")
    world.wait(2)
    assert world.phase(1) == "stopping"


def test_a_job_of_a_queue_that_is_gone_can_be_changed_and_moved() -> None:
    world = World(inventory=machine(1))
    world.do(SetQueue("old", QueueChange()))
    world.do(SetQueue("short", QueueChange(max_time_limit_s=60.0)))
    world.do(SetQueue("shut", QueueChange(open=False)))
    world.submit(draft("a"), draft("b", queue="old"))
    del world.engine.state.queues["old"]
    world.do(UpdateJob(JobId(2), JobChange(priority=3)))
    with pytest.raises(NotFound, match="no queue 'nowhere'"):
        world.do(UpdateJob(JobId(2), JobChange(queue="nowhere")))
    with pytest.raises(FailedPrecondition, match="closed"):
        world.do(UpdateJob(JobId(2), JobChange(queue="shut")))
    world.do(UpdateJob(JobId(2), JobChange(queue="short")))
    assert world.engine.state.jobs[JobId(2)].spec.time_limit_s == 60.0


@pytest.mark.parametrize(
    "change", [JobChange(begin_at_s=float("nan")), JobChange(deadline_at_s=-1.0), JobChange(name="7"), JobChange(name=""), JobChange(time_limit_s=float("inf"))]
)
def test_updates_are_checked_as_submissions_are(change: JobChange) -> None:
    world = World(inventory=machine(1))
    world.submit(draft("a"), draft("b"))
    with pytest.raises(InvalidArgument):
        world.do(UpdateJob(JobId(2), change))
    with pytest.raises(InvalidArgument):
        world.do(SetQueue("default", QueueChange(max_time_limit_s=float("nan"))))


def test_an_element_named_in_the_same_call_must_exist() -> None:
    world = World()
    for wrong in ("1.7", "1.0"):
        with pytest.raises(NotFound, match=f"no job {wrong}"):
            world.submit(draft("a", array="1-3"), draft("b", dependencies=(("after-ok", wrong),)))
    assert world.submit(draft("a", array="1-3"), draft("b", dependencies=(("after-ok", "1.2"),)))[1].phase == "waiting"


@pytest.mark.parametrize(("what", "signals"), [(Steer.CANCEL, ["TERM", "CONT"]), (Steer.SUSPEND, ["STOP"])])
def test_a_signal_that_a_crash_swallowed_is_sent_by_the_next_daemon(what: Steer, signals: list[str]) -> None:
    world = World()
    world.submit(draft("a"))
    world.begin()
    world.steer(what, JobId(1))
    again = reloaded(world)
    run = again.engine.state.jobs[JobId(1)].run
    assert run is not None
    again.do(Launched(JobId(1), 1, run.shim_pid, run.started_at_s, run.started_steady_s))
    assert [s for _, s in again.signals] == signals


def test_after_a_reboot_old_steady_times_stop_nothing() -> None:
    world = World()
    world.submit(draft("a", time_limit_s=60.0))
    world.begin()
    again = reloaded(world, "boot-2")
    again.wait(100)
    assert again.phase(1) == "running" and again.signals == []
    again.lose(JobId(1), "the machine restarted")
    assert again.phase(1) == "lost"


def test_what_a_user_is_charged_survives_a_machine_that_shrinks() -> None:
    world = World(inventory=machine(4))
    world.submit(*[draft("a") for _ in range(3)])
    world.begin()
    world.do(InventoryChanged(machine(1)))
    world.finish(JobId(1))
    world.finish(JobId(2))
    ledger = world.engine.state.ledger
    assert ledger.usage(world.now.wall_s)[Association("", "alice")] == pytest.approx(0.25 * 3600.0)
    world.finish(JobId(3))
    assert world.engine.state.shares == {} and ledger.usage(world.now.wall_s)[Association("", "alice")] == pytest.approx(0.0)


def test_steering_what_cannot_be_steered() -> None:
    world = World(inventory=machine(1))
    world.submit(draft("a"), draft("b"))
    with pytest.raises(FailedPrecondition, match="a starting job cannot be suspended"):
        world.steer(Steer.SUSPEND, JobId(1))
    with pytest.raises(FailedPrecondition, match="nothing to be requeued"):
        world.steer(Steer.REQUEUE, JobId(2))
    world.begin()
    world.steer(Steer.CANCEL, JobId(1))
    with pytest.raises(FailedPrecondition, match="a stopping job cannot be suspended"):
        world.steer(Steer.SUSPEND, JobId(1))
    with pytest.raises(FailedPrecondition, match="being stopped already"):
        world.steer(Steer.REQUEUE, JobId(1))


@pytest.mark.parametrize(("cause", "phase"), [(StopCause.MEMORY, "out_of_memory"), (StopCause.OVERUSE, "failed")])
def test_a_run_is_stopped_for_what_was_seen_of_it(cause: StopCause, phase: str) -> None:
    world = World()
    world.submit(draft("a"))
    world.begin()
    world.do(StopRun(JobId(1), 2, cause, "another attempt's"))
    assert world.phase(1) == "running"
    world.do(StopRun(JobId(1), 1, cause, "it used 2GiB of its 1GiB", force=True))
    assert world.phase(1) == "stopping" and world.signals[-1] == (JobId(1), "KILL")
    world.finish(JobId(1), None, signal=9)
    assert world.phase(1) == phase and world.ended[JobId(1)].reason.startswith("it used 2GiB of its 1GiB")
    world.do(StopRun(JobId(1), 1, cause, "too late"))
    assert world.phase(1) == phase


@pytest.mark.parametrize(("cause", "phase"), [(StopCause.REQUEUE, "running"), (StopCause.CANCEL, "cancelled")])
def test_what_a_run_holds_is_taken_back(cause: StopCause, phase: str) -> None:
    world = World()
    world.submit(draft("a"))
    world.begin()
    world.do(WarnRun(JobId(1), 1, "gpu 0 is idle"))
    world.do(StopRun(JobId(1), 1, cause, "its GPUs were idle"))
    assert world.phase(1) == "stopping" and (JobId(1), "TERM") in world.signals
    world.finish(JobId(1), None, signal=15)
    world.begin()
    assert world.phase(1) == phase
    if cause is StopCause.CANCEL:
        assert world.ended[JobId(1)].reason == "its GPUs were idle"
    else:
        assert world.engine.state.job(JobId(1)).attempt == 2


def test_a_warning_does_not_outlive_its_run() -> None:
    world = World()
    world.submit(draft())
    world.begin()
    world.do(WarnRun(JobId(1), 1, "gpu 0 is idle"))
    world.finish(JobId(1))
    assert (str(world.ended[JobId(1)].phase), world.ended[JobId(1)].reason) == ("succeeded", "")


def test_a_running_job_is_told_something_and_another_reason_is_not_taken_back() -> None:
    world = World()
    world.submit(draft())
    world.begin()

    def job() -> Job:
        return world.engine.state.job(JobId(1))

    revision = job().revision
    world.do(WarnRun(JobId(1), 2, "another attempt's"))
    world.do(WarnRun(JobId(9), 1, "no such job"))
    assert job().reason == "" and job().revision == revision
    world.do(WarnRun(JobId(1), 1, "gpu 0 is idle"))
    assert (job().reason, str(job().phase)) == ("gpu 0 is idle", "running")
    world.do(WarnRun(JobId(1), 1, "", "something else"))
    assert job().reason == "gpu 0 is idle"
    world.do(WarnRun(JobId(1), 1, "", "gpu 0 is idle"))
    assert job().reason == ""
    world.steer(Steer.SUSPEND, JobId(1))
    world.do(WarnRun(JobId(1), 1, "gpu 0 is idle"))
    assert job().reason == "suspended by its user"


@pytest.mark.parametrize("change", [QueueChange(idle_gpus="sell"), QueueChange(idle_gpus_after_s=-1.0), QueueChange(idle_gpus_after_s=float("nan"))])
def test_a_queue_can_only_do_what_there_is_about_idle_gpus(change: QueueChange) -> None:
    with pytest.raises(InvalidArgument, match="idle"):
        World().do(SetQueue("default", change))
