"""An array's own record, through all that can happen to its elements."""

import pytest

from aiosd.errors import FailedPrecondition
from aiosd.ids import JobId
from aiosd.jobs.actions import Steer, UpdateJob
from aiosd.jobs.draft import JobChange, RetryDraft
from aiosd.jobs.job import Phase
from tests.unit.jobs.world import World, draft, machine

A = JobId(1)


def an_array(cpus: int = 2, array: str = "0-5", **fields: object) -> World:
    world = World(inventory=machine(cpus))
    world.submit(draft("a", array=array, **fields))
    world.begin()
    return world


def test_elements_that_wait_to_be_tried_again_are_held_with_their_array() -> None:
    world = an_array(1, retry=RetryDraft(retries=3, backoff_s=1.0))
    world.finish(JobId(1, 0), 1)
    world.begin()
    world.steer(Steer.HOLD, A)
    assert world.phase(1, 0) == "held" and world.phase(1) == "held"
    world.finish(JobId(1, 1), 1)
    assert world.phase(1, 1) == "held", "it failed while its array was held"
    world.wait(1000)
    assert len(world.launched) == 2
    world.steer(Steer.RELEASE, A)
    assert len(world.launched) == 3
    assert (world.phase(1, 0), world.phase(1, 1), world.phase(1)) == ("queued", "queued", "running")
    for index in (2, 3, 4, 5, 0, 1):
        world.begin()
        world.finish(JobId(1, index))
    assert world.phase(1) == "succeeded"


def test_an_array_with_nothing_left_to_hold_says_so() -> None:
    world = an_array(8)
    with pytest.raises(FailedPrecondition, match="a running job cannot be held"):
        world.steer(Steer.HOLD, A)


def test_a_limit_can_be_raised_and_lowered_live() -> None:
    world = an_array(4, "0-9%1")
    assert len(world.launched) == 1
    world.do(UpdateJob(A, JobChange(array_limit=3)))
    assert len(world.launched) == 3
    world.begin()
    world.do(UpdateJob(A, JobChange(array_limit=2)))
    world.finish(JobId(1, 0))
    assert len(world.launched) == 3
    world.finish(JobId(1, 1))
    assert len(world.launched) == 4
    world.do(UpdateJob(A, JobChange(array_limit=0)))
    assert len(world.launched) == 6


def test_an_element_that_is_tried_again_keeps_its_place_under_the_limit() -> None:
    world = an_array(4, "0-9%1", retry=RetryDraft(retries=1, backoff_s=5.0))
    world.finish(JobId(1, 0), 1)
    assert len(world.launched) == 1 and world.phase(1) == "running"
    world.wait(6)
    assert world.launched[-1].id == JobId(1, 0) and len(world.launched) == 2


def test_a_changed_request_is_for_the_elements_to_come() -> None:
    world = an_array(2, "0-3")
    world.do(UpdateJob(A, JobChange(cpu_millis=2000)))
    world.finish(JobId(1, 0))
    assert len(world.launched) == 2, "two processors are not free yet"
    world.finish(JobId(1, 1))
    assert world.launched[-1].run is not None and world.launched[-1].run.grant.cpu_millis == 2000


def test_a_deadline_drops_what_has_not_begun() -> None:
    world = an_array(1, "0-3", deadline_at_s=1_000_010.0)
    world.wait(11)
    assert world.phase(1) == "running" and world.phase(1, 0) == "running"
    world.finish(JobId(1, 0))
    assert world.phase(1) == "cancelled" and "deadline" in world.ended[A].reason and "3 of 4" in world.ended[A].reason


def test_an_array_that_never_began_is_skipped_as_a_whole() -> None:
    world = World()
    world.submit(draft("a"), draft("b", array="0-3", dependencies=(("after-ok", "#0"),)), draft("c", dependencies=(("after-failed", "#1"),)))
    world.begin()
    world.finish(JobId(1), 1)
    assert (world.phase(2), world.phase(3)) == ("skipped", "skipped")
    assert world.ended[JobId(2)].reason == "it waited for job 1 to succeed, which ended failed"
    progress = world.ended[JobId(2)].array
    assert progress is not None and progress.cancelled == 4 and not progress.pending


def test_a_cancelled_array_with_nothing_dispatched_ends_at_once() -> None:
    world = World()
    world.submit(draft("a", array="0-3", held=True))
    job = world.steer(Steer.CANCEL, A, reason="not needed")
    assert (job.phase, job.reason, job.array and job.array.cancelled) == (Phase.CANCELLED, "not needed", 4)


def test_cancel_answers_with_the_end_when_only_waiting_elements_are_left() -> None:
    world = an_array(2, "0-1", retry=RetryDraft(retries=3, backoff_s=50.0))
    world.finish(JobId(1, 0), 1)
    world.finish(JobId(1, 1), 1)
    assert world.steer(Steer.CANCEL, A).phase is Phase.CANCELLED and world.engine.state.jobs == {}


@pytest.mark.parametrize("cancel", [A, JobId(1, 3)])
def test_who_waits_for_an_element_hears_that_it_was_dropped(cancel: JobId) -> None:
    world = an_array(1, "0-3")
    world.submit(draft("b", dependencies=(("after-ok", "1.3"),)), draft("c", dependencies=(("after-any", "1.3"),), held=True))
    world.steer(Steer.CANCEL, cancel)
    assert world.phase(2) == "skipped" and world.engine.state.jobs[JobId(3)].unmet == ()


def test_who_waits_for_an_element_goes_on_when_it_ends_and_not_before() -> None:
    world = an_array(2, "0-3")
    world.submit(draft("b", dependencies=(("after-ok", "1.1"),)), draft("c", dependencies=(("after-ok", "1"),)))
    world.finish(JobId(1, 0))
    assert world.phase(2) == "waiting"
    world.finish(JobId(1, 1))
    assert world.phase(2) in ("queued", "starting") and world.phase(3) == "waiting"


def test_a_begin_time_can_be_given_to_what_is_left() -> None:
    world = an_array(1, "0-3")
    world.do(UpdateJob(A, JobChange(begin_at_s=world.now.wall_s + 100)))
    world.finish(JobId(1, 0))
    assert len(world.launched) == 1 and world.phase(1) == "waiting"
    world.wait(101)
    assert len(world.launched) == 2 and world.phase(1) == "running"


def test_suspend_resume_and_requeue_reach_the_elements_that_run() -> None:
    world = an_array(2, "0-3")
    world.steer(Steer.SUSPEND, A)
    assert world.phase(1, 0) == world.phase(1, 1) == "suspended"
    with pytest.raises(FailedPrecondition, match="no element of array 1 is running"):
        world.steer(Steer.SUSPEND, A)
    world.steer(Steer.REQUEUE, A)
    assert world.phase(1, 0) == "stopping" and world.signals[-2:] == [(JobId(1, 1), "TERM"), (JobId(1, 1), "CONT")]
    world.finish(JobId(1, 0))
    assert world.launched[-1].id.index in (0, 2)
