"""Waiting for a job's end, through restarts of the daemon, for as long as the caller allows."""

import time

from aios._channel import Channel
from aios._convert import STATES
from aios.errors import Timeout, Unavailable
from aios.records import State
from aios.v1 import jobs_pb2 as pb

_LONGEST_ASK_S = 60.0


def awaited(channel: Channel, ref: str, timeout: float | None) -> pb.Job:
    """The job when it has ended, and what it left as models is settled. Each call asks for a minute at most, so that a connection that died
    unnoticed is noticed.

    A daemon that was here may be away for as long as the client's patience.
    """
    deadline = float("inf") if timeout is None else time.monotonic() + channel.allowed(timeout)
    while True:
        left_s = max(0.0, deadline - time.monotonic())
        asked_s = max(0.001, min(left_s, _LONGEST_ASK_S))  # 0 would mean: for ever
        try:
            job = channel.unary("Jobs/Wait", pb.WaitJobRequest(id=ref, timeout_s=asked_s), pb.Job, asked_s + channel.timeout_s, revive=False)
        except Unavailable:
            if time.monotonic() >= min(deadline, channel.patient_until()):
                raise
            continue
        state = STATES.get(job.phase, State.UNKNOWN)
        late = time.monotonic() >= deadline
        if state.ended and (late or not job.registering):
            return job
        if late:
            facts = {"job_id": job.id, "state": str(state)}
            raise Timeout(f"job {job.id} is still {state} after {timeout:g} s", hint="it goes on; wait again, or look: aiosctl why " + job.id, facts=facts)
