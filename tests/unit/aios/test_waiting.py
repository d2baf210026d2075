"""Waiting goes on until what a job has left is settled, and no longer than the caller allows."""

from typing import Any, cast

import pytest

from aios._channel import Channel
from aios._waiting import awaited
from aios.errors import Timeout
from aios.v1 import jobs_pb2 as pb


class Answers:
    """A channel on which each call is answered by the next of these; the last again and again."""

    timeout_s = 1.0

    def __init__(self, *jobs: pb.Job) -> None:
        self.jobs, self.calls = list(jobs), 0

    def allowed(self, timeout: float) -> float:
        return timeout

    def unary(self, *_: Any, **__: Any) -> pb.Job:
        self.calls += 1
        return self.jobs.pop(0) if len(self.jobs) > 1 else self.jobs[0]


RUNS = pb.Job(id="1", phase=pb.JOB_PHASE_RUNNING)
REGISTERS = pb.Job(id="1", phase=pb.JOB_PHASE_SUCCEEDED, registering=True)
DONE = pb.Job(id="1", phase=pb.JOB_PHASE_SUCCEEDED)


def test_it_waits_for_what_is_registered_after_the_end() -> None:
    answers = Answers(RUNS, REGISTERS, REGISTERS, DONE)
    assert awaited(cast(Channel, answers), "1", None) == DONE
    assert answers.calls == 4


def test_when_time_is_over_a_job_that_has_ended_is_answered_as_it_is() -> None:
    assert awaited(cast(Channel, Answers(REGISTERS)), "1", 0.0) == REGISTERS
    with pytest.raises(Timeout, match="still running"):
        awaited(cast(Channel, Answers(RUNS)), "1", 0.0)
