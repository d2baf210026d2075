"""Successors of short runs: chosen and remembered while their predecessor runs, so that a slot need not wait for a commit.

When runs take milliseconds, deciding and committing after each would take longer than the runs. While only one class of jobs waits,
every policy would start its oldest next; those are dispatched ahead of time, in a line behind each run of that class. A staged job is
STARTING, `run.after` names whom it follows, and it holds nothing: it takes over its predecessor's grant. Since its dispatch is
committed, the service may launch it the moment the predecessor has ended. A line behind a run that takes longer is called back.
"""

from dataclasses import replace
from itertools import islice

from aiosd.clock import Instant
from aiosd.ids import JobId
from aiosd.jobs.actions import Launch
from aiosd.jobs.job import Exit, Job, Phase, Run
from aiosd.jobs.lifecycle import Cue, move
from aiosd.jobs.lines import Line
from aiosd.jobs.placing import place
from aiosd.jobs.state import State
from aiosd.scheduling.fairshare import dominant_share

SHORT_S = 0.05  # runs of a class that takes longer on average are not worth it
HORIZON_S = 0.1  # of work that a line holds
LONGEST_LINE = 16
PATIENCE_S = 0.2  # a line behind a run that takes longer is called back
CHECK_S = 0.25
NEWEST_WEIGHT = 0.2  # of a run in its class's pace
MOST_PACES = 256


def note_pace(state: State, job: Job, exit_: Exit | None) -> None:
    """How long runs of this class take, for the decision whether to stage."""
    if exit_ is None:
        return
    staging, key = state.staging, state.class_key(job)
    if len(staging.paces) >= MOST_PACES and key not in staging.paces:
        staging.paces.clear()
    known = staging.paces.get(key, exit_.run_s)
    staging.paces[key] = known + NEWEST_WEIGHT * (exit_.run_s - known)


def open_line(state: State, job: Job, now: Instant) -> None:
    """A run of a class whose runs are short may be followed."""
    key = state.class_key(job)
    if state.staging.paces.get(key, SHORT_S * 2) <= SHORT_S:
        state.staging.of[job.id] = Line(job.id, key, now.steady_s)


def stage(state: State, now: Instant) -> None:
    """Fill the lines, where a single class waits and nothing but room keeps it waiting."""
    staging = state.staging
    if not staging.of or state.drain_reason is not None or len(state.backlog.classes) != 1:
        return
    (queued,) = state.backlog.classes.values()
    queue = state.queues.get(queued.key.queue)
    pace_s = staging.paces.get(queued.key, SHORT_S * 2)
    if queue is None or not queue.started or queue.max_running or pace_s > SHORT_S:
        return
    depth = min(LONGEST_LINE, int(HORIZON_S / max(pace_s, 1e-3)))
    for line in [line for head, line in staging.of.items() if line.head == head and line.key == queued.key]:
        if 2 * len(line.waiting) <= depth:
            _line_up(state, line, list(islice(queued, depth - len(line.waiting))), now)


def _line_up(state: State, line: Line, chosen: list[JobId], now: Instant) -> None:
    head = state.jobs[line.head]
    if head.run is None or head.stop is not None or not chosen:
        return
    run = Run(head.run.grant, now.wall_s, state.boot_id, after=line.head)
    line.waiting.extend(job.id for job in place(state, [(job_id, run) for job_id in chosen]))
    if state.staging.check_at_s is None:
        state.staging.check_at_s = now.steady_s + CHECK_S


def hand_over(state: State, ended: JobId, attempt: int, durable_revision: int) -> Job | None:
    """Who is to be launched now that this run has ended; None where nobody is staged, or not yet remembered for good."""
    line, job = state.staging.of.get(ended), state.jobs.get(ended)
    if line is None or job is None or job.attempt != attempt or len(line.waiting) <= line.handed:
        return None
    last = line.waiting[line.handed - 1] if line.handed else line.head
    successor = state.jobs[line.waiting[line.handed]]
    if last != ended or successor.revision > durable_revision:
        return None
    line.handed += 1
    state.staging.of[successor.id] = line
    return successor


def succeed(state: State, ended: Job, now: Instant) -> bool:
    """The first of the line takes over the grant of a run that has given it back; launched here, unless it was handed over."""
    line = state.staging.of.pop(ended.id, None)
    if line is None or not line.waiting:
        return False
    job = state.jobs[line.waiting.popleft()]
    assert job.run is not None
    line.head, line.since_s = job.id, now.steady_s
    state.staging.of[job.id] = line
    state.pool.adopt(job.run.grant)
    share = state.shares[job.id] = dominant_share(job.run.grant, state.pool.inventory)
    state.ledger.begin(job.owner.name, share, now.wall_s)
    job = state.put(replace(job, run=replace(job.run, after=None, dispatched_at_s=now.wall_s)), lazy=True)
    if line.handed:
        line.handed -= 1
    else:
        state.actions.append(Launch(job))
    return True


def call_back(state: State, job: Job) -> Job:
    """A staged job that was not handed over queues again; any other is left as it is."""
    line = state.staging.of.get(job.run.after) if job.run is not None and job.run.after is not None else None
    line = line or next((one for one in state.staging.of.values() if job.id in one.waiting), None)
    if line is None or job.id not in line.waiting or line.waiting.index(job.id) < line.handed:
        return job
    line.waiting.remove(job.id)
    return _queued_again(state, job)


def call_back_all(state: State) -> None:
    """What was decided ahead of time may not be right any more."""
    for line in {id(line): line for line in state.staging.of.values()}.values():
        _call_back(state, line)


def _call_back(state: State, line: Line) -> None:
    while len(line.waiting) > line.handed:
        _queued_again(state, state.jobs[line.waiting.pop()])


def _queued_again(state: State, job: Job) -> Job:
    assert job.phase is Phase.STARTING
    return state.put(replace(job, phase=move(job.phase, Cue.STEP_BACK), attempt=job.attempt - 1, run=None))


def check(state: State, now: Instant) -> None:
    """Call back every line whose head takes longer than was thought."""
    staging = state.staging
    if staging.check_at_s is None or now.steady_s < staging.check_at_s:
        return
    for line in {id(line): line for line in staging.of.values()}.values():
        if now.steady_s - line.since_s > PATIENCE_S:
            _call_back(state, line)
    staging.check_at_s = now.steady_s + CHECK_S if any(line.waiting for line in staging.of.values()) else None
