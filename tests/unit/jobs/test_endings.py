"""What the end of a run makes of its job."""

from dataclasses import replace

import pytest

from aiosd.ids import JobId
from aiosd.jobs.endings import ending, outcome
from aiosd.jobs.job import Exit, Job, RetryCondition, RetryPolicy, Stop, StopCause
from aiosd.jobs.lifecycle import Cue
from tests.unit.jobs.world import World, draft


def running(policy: RetryPolicy | None = None, used: int = 0, stop: StopCause | None = None) -> Job:
    world = World()
    world.submit(draft("a"))
    world.begin()
    job = world.engine.state.jobs[JobId(1)]
    return replace(job, spec=replace(job.spec, retry=policy or RetryPolicy()), retries_used=used, stop=Stop(stop, "because", 0.0) if stop is not None else None)


@pytest.mark.parametrize(
    ("exit_", "cue", "reason"),
    [
        (Exit(1.0, exit_code=0), Cue.SUCCEED, ""), (Exit(1.0, exit_code=3), Cue.FAIL, "exit code 3"), (None, Cue.LOSE, "gone"),
        (Exit(1.0, signal=11, core_dumped=True), Cue.FAIL, "ended by signal 11, core dumped"), (Exit(1.0, error="no such file"), Cue.FAIL, "no such file"),
        (Exit(1.0, signal=9, oom_killed=True), Cue.RUN_OUT_OF_MEMORY, "it used all of its "),
    ],
)  # fmt: skip
def test_plain_ends(exit_: Exit | None, cue: Cue, reason: str) -> None:
    job = running()
    end = ending(job, exit_, "gone")
    assert end.cue is cue and end.reason.startswith(reason)


@pytest.mark.parametrize("code", [0, 1])
def test_a_stop_decides_whatever_the_exit_code(code: int) -> None:
    exit_ = Exit(1.0, exit_code=code)
    assert [ending(running(stop=cause), exit_, "").cue for cause in StopCause] == [
        Cue.CANCEL, Cue.TIME_OUT, Cue.REQUEUE, Cue.RUN_OUT_OF_MEMORY, Cue.FAIL, Cue.PREEMPT, Cue.CANCEL,
    ]  # fmt: skip


def test_a_run_that_had_ended_before_it_was_asked_to_make_room_ended_as_it_did() -> None:
    job = running(stop=StopCause.PREEMPT)
    assert job.stop is not None
    job = replace(job, stop=replace(job.stop, at_s=10.0))
    assert ending(job, Exit(9.5, exit_code=0), "").cue is Cue.SUCCEED and ending(job, Exit(9.5, exit_code=3), "").cue is Cue.FAIL
    assert ending(job, Exit(10.5, exit_code=0), "").cue is Cue.PREEMPT and ending(job, None, "lost").cue is Cue.PREEMPT


def test_a_retry_on_preempt_is_for_who_would_be_cancelled_and_who_gives_itself_up() -> None:
    policy = RetryPolicy(1, frozenset({RetryCondition.PREEMPT}))
    assert ending(running(policy, stop=StopCause.PREEMPT_CANCEL), Exit(1.0, exit_code=0), "").cue is Cue.RETRY
    assert ending(running(policy, 1, StopCause.PREEMPT_CANCEL), Exit(1.0, exit_code=0), "").cue is Cue.CANCEL
    assert ending(running(policy, stop=StopCause.CANCEL), Exit(1.0, exit_code=0), "").cue is Cue.CANCEL
    assert ending(running(policy), Exit(1.0, exit_code=75), "").cue is Cue.RETRY
    assert ending(running(policy), Exit(1.0, exit_code=74), "").cue is Cue.FAIL
    assert ending(running(policy, stop=StopCause.PREEMPT), Exit(1.0, exit_code=75), "").cue is Cue.PREEMPT, "it costs no retry"


def test_retries_by_condition_with_a_pause_that_doubles_up_to_its_most() -> None:
    policy = RetryPolicy(5, frozenset({RetryCondition.EXIT}), 2.0, 10.0)
    pauses = [ending(running(policy, used), Exit(1.0, exit_code=1), "").retry_in_s for used in range(5)]
    assert pauses == [2.0, 4.0, 8.0, 10.0, 10.0]
    assert ending(running(policy, 5), Exit(1.0, exit_code=1), "").cue is Cue.FAIL
    assert ending(running(policy), None, "gone").cue is Cue.LOSE
    assert ending(running(policy, stop=StopCause.TIME_LIMIT), None, "").cue is Cue.TIME_OUT
    many = RetryPolicy(1000, frozenset({RetryCondition.EXIT}), 1e12, 600.0)
    assert ending(running(many, 999), Exit(1.0, exit_code=1), "").retry_in_s == 600.0


def test_outcomes_have_the_times() -> None:
    job = running()
    seen = outcome(job, Exit(7.0, exit_code=0, run_s=4.0), "", 9.0)
    assert (seen.ended_at_s, seen.run_s, seen.wait_s, seen.exit_code) == (7.0, 4.0, 0.0, 0)
    assert outcome(job, None, "lost", 1_000_060.0).run_s == 60.0
    assert outcome(job, None, "lost", 5.0).run_s == 0.0, "the wall clock went back"
