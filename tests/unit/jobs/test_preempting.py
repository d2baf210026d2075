"""Runs make room for others, and come back: by queue, by QoS and by their own word, in each of the modes."""

from dataclasses import replace

import pytest

from aiosd.access.limits import UserLimits
from aiosd.errors import FailedPrecondition
from aiosd.ids import JobId
from aiosd.jobs.actions import InventoryChanged, QueueChange, Reserve, SetDrained, SetLimits, SetQueue, Signal, Steer, SteerJob, Submit, UpdateJob
from aiosd.jobs.draft import JobChange, JobDraft, RequestDraft, RetryDraft
from aiosd.jobs.job import Phase, StopCause
from aiosd.jobs.ports import LaunchFailed, Loaded
from aiosd.jobs.preempting import UNKEPT_S
from aiosd.jobs.settings import JobsSettings
from aiosd.jobs.state import State
from aiosd.resources.request import DeviceRequest
from aiosd.scheduling.policy import Estimate
from aiosd.scheduling.rules import Backfill, PreemptMode, QosSettings, QueueSettings, SchedulingRules
from tests.unit.jobs.world import ALICE, BOB, EMPTY, GIB, World, draft, machine

LOW, HIGH = JobId(1), JobId(2)


def settings(mode: PreemptMode = PreemptMode.REQUEUE, after_s: float = 0.0, **rules: object) -> JobsSettings:
    queues = {
        "default": QueueSettings("default"),
        "low": QueueSettings("low", preempt_mode=mode, preempt_after_s=after_s),
        "high": QueueSettings("high", preempts=("low",)),
    }
    return JobsSettings(policy="priority", queues=queues, scheduling=SchedulingRules(**rules))  # type: ignore[arg-type]


def job(queue: str = "low", cpus: int = 4, memory: int = GIB, gpus: int = 0, **fields: object) -> JobDraft:
    devices = (DeviceRequest("gpu", gpus),) if gpus else ()
    fields.setdefault("grace_s", 30.0)
    return draft("a", queue=queue, request=RequestDraft(cpu_millis=1000 * cpus, memory_bytes=memory, devices=devices), **fields)


def world(mode: PreemptMode = PreemptMode.REQUEUE, gpus: int = 0, **more: object) -> World:
    return World(machine(gpus=gpus), settings(mode, **more))  # type: ignore[arg-type]


def running(found: World, *drafts: JobDraft) -> World:
    """These run, and a job of the queue `high` comes that needs the whole machine's processors."""
    found.submit(*drafts)
    found.begin()
    found.signals.clear()
    found.submit(job("high"), owner=BOB)
    return found


def check_books(found: World) -> None:
    """What is held is what the runs hold, and nothing more than the machine has."""
    state = found.engine.state
    held = [j.run.grant for j in state.jobs.values() if j.run is not None and j.run.after is None]
    assert sum(g.memory_bytes for g in held) == state.pool.used().memory_bytes
    assert sum(g.cpu_millis for g in held) == state.pool.used().cpu_millis <= 4000
    assert all(cpu.millis <= 1000 for cpu in state.pool.used().cpus)
    assert set(state.shares) == {j.id for j in state.jobs.values() if j.run is not None and j.run.after is None}


@pytest.mark.parametrize(
    ("mode", "signal"),
    [(PreemptMode.CHECKPOINT, "USR1"), (PreemptMode.REQUEUE, "TERM")],
)
def test_it_goes_back_to_the_queue_as_old_as_it_was(mode: PreemptMode, signal: str) -> None:
    found = running(world(mode), job(checkpoint_signal="USR1"))
    low = found.engine.state.job(LOW)
    assert (low.phase, low.reason, low.preemptions) == (Phase.STOPPING, "preempted to make room for job 2 of bob", 1)
    assert found.signals == [(LOW, signal), (LOW, "CONT")] and found.phase(2) == "queued"
    assert found.engine.why(HIGH, found.now).summary == "job 1 of alice makes room for it: it starts as soon as that is done"
    eligible_s = low.eligible_at_s
    found.wait(5)
    found.finish(LOW, 75)
    low = found.engine.state.job(LOW)
    assert (low.phase, low.retries_used, low.eligible_at_s) == (Phase.QUEUED, 0, eligible_s) and found.phase(2) == "starting"
    assert found.engine.why(LOW, found.now).summary.endswith("(preempted 1 time)")
    check_books(found)
    found.begin()
    found.finish(HIGH)
    low = found.engine.state.job(LOW)
    assert (low.phase, low.attempt, low.preemptions, low.made_room_for) == (Phase.STARTING, 2, 1, None)


def test_it_is_killed_when_its_grace_is_over_and_that_has_an_upper_bound() -> None:
    found = running(world(preempt_grace_max_s=100.0), job(grace_s=86400.0))
    found.wait(99)
    assert (LOW, "KILL") not in found.signals
    found.wait(2)
    assert (LOW, "KILL") in found.signals


def test_what_it_leaves_is_for_whom_it_left() -> None:
    """Neither those who come later nor those who were there before take it, whatever the order of the policy."""
    found = world()
    found.submit(job("low", 2), job("low", 2))
    found.begin()
    found.submit(job("default", 2, priority=9))
    found.submit(job("high", 4), owner=BOB)
    assert [found.phase(n) for n in (1, 2, 3, 4)] == ["stopping", "stopping", "queued", "queued"]
    found.finish(JobId(1), 75)
    assert found.phase(4) == "queued", "one half is not enough"
    assert found.phase(3) == "queued" and found.phase(1) == "queued"
    found.submit(job("default", 1, priority=99))
    assert found.phase(5) == "queued"
    found.finish(JobId(2), 75)
    assert found.phase(4) == "starting"
    check_books(found)


@pytest.mark.parametrize("policy", ["fifo", "priority", "fair"])
def test_nobody_is_started_only_to_make_room_at_once(policy: str) -> None:
    """Where both wait, whoever has the right goes first, whatever the order of the policy."""
    found = World(machine(), replace(settings(), policy=policy))
    found.submit(job("default"))
    found.begin()
    found.submit(job("low"))
    found.submit(job("high"), owner=BOB)
    found.submit(job("low"))
    found.finish(JobId(1))
    assert [found.phase(n) for n in (2, 3, 4)] == ["queued", "starting", "queued"]
    assert all(j.preemptions == 0 for j in found.engine.state.jobs.values())
    found.begin()
    found.finish(JobId(3))
    assert found.phase(2) == "starting"


def test_nobody_more_makes_room_for_the_same_job_meanwhile() -> None:
    found = world()
    found.submit(job("low", 2), job("low", 2))
    found.begin()
    found.submit(job("high", 2), owner=BOB)
    for _ in range(3):
        found.wait(1)
        found.submit(job("default", 1))
    stopping = [n for n in (1, 2) if found.phase(n) == "stopping"]
    assert len(stopping) == 1


def test_a_job_that_is_cancelled_meanwhile_leaves_the_room_to_others() -> None:
    found = running(world(), job())
    found.steer(Steer.CANCEL, HIGH)
    found.finish(LOW, 75)
    assert found.phase(1) == "starting" and not found.engine.state.promises


def test_one_that_is_cancelled_as_its_room_becomes_free() -> None:
    """Both in one turn: the promise to a job that waits no more is nobody's, and no fault of the policy."""
    found = running(world(), job())
    found.engine.handle(SteerJob(Steer.CANCEL, HIGH), found.now)
    found.finish(LOW, 75)
    assert (found.engine.state.policy_fault, found.phase(1), found.engine.state.promises) == ("", "starting", {})


def test_one_that_asks_for_more_as_its_room_becomes_free() -> None:
    found = running(world(), job())
    found.engine.handle(UpdateJob(HIGH, JobChange(memory_bytes=4 * GIB)), found.now)
    found.finish(LOW, 75)
    assert (found.engine.state.policy_fault, found.phase(2)) == ("", "starting")
    run = found.engine.state.job(HIGH).run
    assert run is not None and run.grant.memory_bytes == 4 * GIB


def test_what_was_kept_for_one_who_cannot_have_it_is_for_others_at_once() -> None:
    found = running(world(), job())
    found.inventory = machine(2)
    found.engine.handle(InventoryChanged(found.inventory), found.now)
    found.submit(job("default", 2, priority=9))
    assert found.phase(3) == "queued", "what is free is kept for whom room is made"
    found.finish(LOW, 75)
    assert (found.phase(2), found.phase(3)) == ("queued", "starting"), "nobody has to say anything before it starts"


def test_cancel_and_retry_on_preempt() -> None:
    found = running(world(PreemptMode.CANCEL), job("low", 2), job("low", 2, retry=RetryDraft(retries=1, conditions=("preempt",))))
    found.finish(JobId(1), 0)
    found.finish(JobId(2), 0)
    one, two = found.ended[JobId(1)], found.engine.state.job(JobId(2))
    assert (one.phase, one.reason) == (Phase.CANCELLED, "cancelled to make room for job 3 of bob")
    assert (two.phase, two.retries_used, two.preemptions) == (Phase.WAITING, 1, 1)
    assert found.phase(3) == "starting"


def test_a_suspended_run_lends_its_processors_and_gets_them_back() -> None:
    found = running(world(PreemptMode.SUSPEND), job(time_limit_s=100.0))
    low = found.engine.state.job(LOW)
    assert (low.phase, low.reason, found.signals) == (Phase.SUSPENDED, "suspended for job 2 of bob", [(LOW, "STOP")])
    assert found.phase(2) == "starting", "at once: nobody needs to end"
    assert found.engine.why(LOW, found.now).summary == "it is suspended for job 2 of bob, and goes on when what it lent is free again (preempted 1 time)"
    check_books(found)
    found.begin()
    found.wait(1000)
    assert found.phase(1) == "suspended", "its time does not pass"
    found.finish(HIGH)
    low = found.engine.state.job(LOW)
    assert (low.phase, low.reason, found.signals[-1], low.preemptions) == (Phase.RUNNING, "", (LOW, "CONT"), 1)
    assert low.run is not None and low.run.whole is None and low.run.suspended_total_s == 1000.0
    check_books(found)
    found.wait(99)
    assert found.phase(1) == "running"
    found.wait(2)
    assert found.phase(1) == "stopping"


def test_what_is_not_needed_is_not_lent() -> None:
    """Else others would be there when it is to go on."""
    found = world(PreemptMode.SUSPEND)
    found.submit(job("low", 4))
    found.begin()
    found.submit(job("high", 1), owner=BOB)
    found.submit(job("default", 1))
    low = found.engine.state.job(LOW)
    assert low.run is not None and low.run.grant.cpu_millis == 3000 and found.phase(3) == "queued"
    found.begin()
    found.finish(JobId(2))
    assert [found.phase(n) for n in (1, 3)] == ["running", "queued"]


def test_it_stays_suspended_while_others_with_the_right_to_it_wait() -> None:
    found = running(world(PreemptMode.SUSPEND), job())
    found.begin()
    found.submit(job("high"), owner=BOB)
    found.finish(HIGH)
    assert [found.phase(1), found.phase(3)] == ["suspended", "starting"]
    assert found.engine.state.job(LOW).reason == "suspended for job 3 of bob" and (LOW, "CONT") not in found.signals
    found.begin()
    found.finish(JobId(3))
    assert found.phase(1) == "running"
    check_books(found)


def test_nobody_is_suspended_for_want_of_memory_or_of_a_whole_gpu() -> None:
    found = world(PreemptMode.SUSPEND, gpus=1)
    found.submit(job("low", 2, 10 * GIB, 1000))
    found.begin()
    found.submit(job("high", 1, 8 * GIB), job("high", 1, GIB, 1000), owner=BOB)
    assert [found.phase(n) for n in (1, 2, 3)] == ["running", "queued", "queued"]


def test_a_shared_gpu_is_lent_without_its_memory() -> None:
    found = world(PreemptMode.SUSPEND, gpus=1)
    found.submit(job("low", 1, GIB, 400), job("low", 1, GIB, 200))
    found.begin()
    found.submit(draft("a", queue="high", request=RequestDraft(1000, GIB, (DeviceRequest("gpu", 700, memory_bytes=10 * GIB),))), owner=BOB)
    assert [found.phase(n) for n in (1, 2, 3)] == ["suspended", "running", "starting"]
    found.begin()
    found.finish(JobId(3))
    assert found.phase(1) == "running"


def test_a_user_who_resumes_or_suspends_it_is_told_what_is_the_matter() -> None:
    found = running(world(PreemptMode.SUSPEND), job())
    for what in (Steer.RESUME, Steer.SUSPEND):
        with pytest.raises(FailedPrecondition, match="suspended for job 2 of bob") as refused:
            found.steer(what, LOW)
        assert "goes on by itself" in refused.value.hint
    found.steer(Steer.CANCEL, LOW)
    found.finish(LOW, 0)
    assert found.phase(1) == "cancelled"
    check_books(found)


def test_one_that_is_requeued_while_it_is_suspended_for_another() -> None:
    found = running(world(PreemptMode.SUSPEND), job())
    found.steer(Steer.REQUEUE, LOW)
    found.finish(LOW, 0)
    low = found.engine.state.job(LOW)
    assert low.phase is Phase.QUEUED and low.run is None
    check_books(found)


def test_one_that_is_being_preempted_can_be_cancelled_and_not_requeued() -> None:
    found = running(world(), job())
    with pytest.raises(FailedPrecondition, match="preempted to make room for job 2 of bob"):
        found.steer(Steer.REQUEUE, LOW)
    found.steer(Steer.CANCEL, LOW)
    found.finish(LOW, 0)
    assert found.phase(1) == "cancelled" and found.phase(2) == "starting"


def test_what_its_user_has_suspended_is_not_frozen_for_another() -> None:
    found = world(PreemptMode.SUSPEND)
    found.submit(job())
    found.begin()
    found.steer(Steer.SUSPEND, LOW)
    found.submit(job("high"), owner=BOB)
    assert found.phase(2) == "queued"
    found.do(SetQueue("low", QueueChange(preempt_mode=PreemptMode.REQUEUE)))
    assert found.phase(1) == "stopping" and found.signals[-2:] == [(LOW, "TERM"), (LOW, "CONT")]


def test_not_before_it_has_run_for_so_long() -> None:
    found = running(world(after_s=60.0), job())
    assert found.phase(1) == "running"
    found.wait(61)
    assert found.phase(1) == "stopping"


def test_not_for_a_job_that_starts_soon_anyway() -> None:
    found = running(world(), job(time_limit_s=20.0, grace_s=10.0))
    assert found.phase(1) == "running"


def test_for_a_job_that_was_to_start_soon_and_did_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was expected of the run that it waited for did not come true: then it is preempted after all."""
    monkeypatch.setattr(State, "estimate", lambda self, key: Estimate(50.0, 40.0, 60.0, 12))
    found = world(backfill=Backfill.EASY)
    found.submit(job())
    found.begin()
    found.wait(1)
    found.submit(job("high"), owner=BOB)
    assert found.phase(1) == "running" and found.engine.next_wake_in_s(found.now) is not None
    for _ in range(20):
        found.wait(found.engine.next_wake_in_s(found.now) or 1.0)
    assert found.phase(1) == "stopping"


def test_by_quality_of_service() -> None:
    chosen = settings(PreemptMode.OFF)
    qos = {"urgent": QosSettings("urgent", preempts=("scavenger",)), "scavenger": QosSettings("scavenger", preempt_mode=PreemptMode.CANCEL)}
    found = World(machine(), replace(chosen, scheduling=SchedulingRules(qos=qos)))
    found.submit(job("default", 2, qos="scavenger"), job("default", 2))
    found.begin()
    found.submit(job("default", 2, qos="urgent"), owner=BOB)
    assert [found.phase(n) for n in (1, 2, 3)] == ["stopping", "running", "queued"]
    stop = found.engine.state.job(LOW).stop
    assert stop is not None and stop.cause is StopCause.PREEMPT_CANCEL


@pytest.mark.parametrize(("checkpoint", "signal"), [("USR2", "USR2"), ("", "TERM")])
def test_by_its_own_word_for_anybody_of_higher_priority(checkpoint: str, signal: str) -> None:
    found = world()
    found.submit(job("default", 4, preemptible=True, checkpoint_signal=checkpoint))
    found.begin()
    found.submit(job("default", 4), owner=BOB)
    assert found.phase(1) == "running"
    found.submit(job("default", 4, priority=1), owner=BOB)
    assert found.phase(1) == "stopping" and found.signals[0] == (LOW, signal)
    found.finish(LOW, 75)
    assert found.phase(3) == "starting"


def test_an_element_of_an_array_makes_room_and_runs_again() -> None:
    found = world()
    found.submit(job("low", 1, array="0-5"))
    found.begin()
    found.submit(job("high", 1), owner=BOB)
    (element,) = [j for j in found.engine.state.jobs.values() if j.phase is Phase.STOPPING]
    found.finish(element.id, 75)
    assert found.phase(2) == "starting" and found.phase(1, element.id.index) == "queued"
    array = found.engine.state.jobs[LOW].array
    assert array is not None and array.active == 4 and len(array.pending) == 2


def test_room_is_made_for_elements_of_an_array_as_for_anybody() -> None:
    found = world()
    found.submit(job("low", 2), job("low", 2))
    found.begin()
    found.submit(job("high", 2, array="0-3"), owner=BOB)
    assert [found.phase(1), found.phase(2)] == ["stopping", "stopping"], "for the first two"
    found.finish(JobId(1), 75)
    found.finish(JobId(2), 75)
    assert [found.phase(3, n) for n in range(4)] == ["starting", "starting", "queued", "queued"]


def test_a_drained_node_preempts_nobody_but_lets_go_on_who_was_suspended() -> None:
    found = running(world(PreemptMode.SUSPEND), job())
    found.begin()
    found.do(SetDrained(True))
    found.submit(job("high", 2), owner=BOB)
    found.finish(HIGH)
    assert [found.phase(1), found.phase(3)] == ["running", "queued"]


def test_room_is_not_made_where_a_limit_would_keep_the_job_waiting_all_the_same() -> None:
    found = world()
    found.do(SetLimits("bob", UserLimits(running_jobs=1)))
    found.submit(job("low", 2), job("low", 2))
    found.begin()
    found.submit(job("high", 1), job("high", 2), owner=BOB)
    assert [found.phase(n) for n in (1, 2)].count("stopping") == 1


def test_a_deadline_that_passes_while_room_is_made() -> None:
    found = world()
    found.submit(job())
    found.begin()
    found.submit(job("high", deadline_at_s=found.now.wall_s + 10), owner=BOB)
    assert found.phase(1) == "stopping"
    found.wait(11)
    assert found.phase(2) == "skipped"
    found.finish(LOW, 75)
    assert found.phase(1) == "starting"


def test_a_victim_with_a_deadline_runs_again_whatever_it_says() -> None:
    """A deadline is about the first start."""
    found = running(world(), job(deadline_at_s=1_000_010.0))
    found.finish(LOW, 75)
    found.wait(20)
    assert found.phase(1) == "queued"


def test_what_a_reservation_keeps_for_others_is_not_made_room_for() -> None:
    found = world()
    found.submit(job("low", 2))
    found.begin()
    found.do(Reserve(found.now.wall_s + 10, found.now.wall_s + 1000, ("carol",), frozenset({"carol"}), RequestDraft(cpu_millis=2000, memory_bytes=GIB)))
    found.submit(job("high", 4), owner=BOB)
    assert found.phase(1) == "running"


def test_a_launch_that_failed_while_it_was_to_make_room() -> None:
    found = world()
    found.submit(job())
    found.submit(job("high"), owner=BOB)
    assert found.phase(1) == "stopping"
    found.do(LaunchFailed(LOW, 1, "no"))
    assert found.phase(2) == "starting" and found.phase(1) == "waiting"


def test_a_machine_that_shrinks_meanwhile_keeps_its_word_to_nobody() -> None:
    found = running(world(), job())
    found.do(InventoryChanged(machine(2)))
    found.finish(LOW, 75)
    assert not found.engine.state.promises and found.phase(2) == "queued"
    found.do(InventoryChanged(machine(4)))
    assert found.phase(1) == "starting", "it did no good the first time: not at once again"
    found.wait(UNKEPT_S + 1)
    assert found.phase(1) == "stopping"


def restarted(found: World) -> World:
    """The next daemon, with what was committed."""
    stored = Loaded(tuple(found.saved.values()), (), {}, 10, found.engine.state.revision)
    return World(found.inventory, found.settings, found.now, stored)


def test_after_a_restart_of_the_daemon_it_is_as_before() -> None:
    found = restarted(running(world(PreemptMode.SUSPEND), job()))
    check_books(found)
    found.begin(HIGH)
    found.finish(HIGH)
    assert found.phase(1) == "running" and found.signals == [(LOW, "CONT")]
    check_books(found)


def test_after_a_restart_whoever_room_was_made_for_goes_first() -> None:
    found = world()
    found.submit(job("low", 2), job("low", 2))
    found.begin()
    found.submit(job("high", 4), job("default", 2, priority=9), owner=BOB)
    found.finish(JobId(1), 75)
    found = restarted(found)
    found.do()
    assert [found.phase(n) for n in (1, 2, 3, 4)] == ["queued", "stopping", "queued", "queued"]
    found.finish(JobId(2), 75)
    assert found.phase(3) == "starting"


def test_who_was_to_be_frozen_or_stopped_is_told_again_by_the_next_daemon() -> None:
    from aiosd.jobs.ports import Launched

    for mode, signals in ((PreemptMode.SUSPEND, ["STOP"]), (PreemptMode.CHECKPOINT, ["USR1", "CONT"])):
        found = restarted(running(world(mode), job(checkpoint_signal="USR1")))
        found.do(Launched(LOW, 1, 4001, found.now.wall_s, found.now.steady_s))
        assert [a.signal for a in found.last if isinstance(a, Signal)] == signals


def test_the_gpu_time_of_a_run_is_counted_once_however_often_it_was_suspended() -> None:
    found = world(PreemptMode.SUSPEND, gpus=1)
    found.submit(job("low", 4, GIB, 500))
    found.begin()
    for number in (2, 3):
        found.wait(1800)
        found.submit(draft("a", queue="high", request=RequestDraft(4000, GIB, (DeviceRequest("gpu", 600, memory_bytes=GIB),))), owner=BOB)
        assert found.phase(1) == "suspended"
        found.begin()
        found.wait(1800)
        found.finish(JobId(number))
    found.wait(1800)
    found.finish(LOW)
    hours = found.engine.state.holdings.gpus.hours("alice", found.now.wall_s)
    assert hours == pytest.approx(1.5 * 0.5, abs=0.15), "of five half hours it had its half of a GPU for three"


def test_nobody_waits_behind_a_run_that_makes_room() -> None:
    """Successors that were staged behind it wait again, and do not take what it leaves."""
    found = world()
    found.submit(*[job("low", 4)] * 3)
    found.begin()
    found.finish(JobId(1), 0, run_s=0.001)
    found.begin()
    found.finish(JobId(2), 0, run_s=0.001)
    found.submit(*[job("low", 4)] * 6)
    assert found.engine.state.staging.behind
    found.do(Submit([job("high", 4)], [EMPTY], BOB))
    assert not found.engine.state.staging.behind and found.phase(3) == "stopping"
    found.begin()
    found.finish(JobId(3), 75, run_s=0.001)
    assert found.phase(10) == "starting"


def test_owner_of_the_jobs_does_not_matter() -> None:
    found = world()
    found.submit(job(), owner=ALICE)
    found.begin()
    found.submit(job("high"), owner=ALICE)
    assert found.phase(1) == "stopping"
