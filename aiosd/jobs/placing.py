"""Giving jobs their runs: records that wait become STARTING, and elements leave their array."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from aiosd.ids import JobId
from aiosd.jobs import arrays
from aiosd.jobs.job import Job, Phase, Run
from aiosd.jobs.lifecycle import Cue, move
from aiosd.jobs.memory import told
from aiosd.jobs.state import State, pending_element


def place(state: State, runs: Sequence[tuple[JobId, Run]]) -> list[Job]:
    """The jobs as they are then; an array's own record is saved once for all of its elements."""
    placed, elements = [], defaultdict(list)
    for job_id, run in runs:
        job = state.jobs.get(job_id)
        if job is None:
            elements[job_id.whole].append(job_id.index)
            job = pending_element(state.jobs[job_id.whole], job_id.index)
        assert job.phase is Phase.QUEUED, f"{job.id} is {job.phase}"
        dispatched = replace(job, phase=move(job.phase, Cue.DISPATCH), attempt=job.attempt + 1, reason=told(job), not_before_s=0.0, run=run, made_room_for=None)
        placed.append(state.put(dispatched))
    for whole, indices in elements.items():
        state.put(arrays.with_started(state.jobs[whole], indices))
    return placed
