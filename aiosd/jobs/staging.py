"""Successors of short runs: chosen and remembered while their predecessor runs, so that a slot need not wait for a commit.

When runs take milliseconds, deciding and committing after each would take longer than the runs. While only one class of jobs waits,
every policy would start its oldest next; those are dispatched ahead of time, in a line behind each run of that class. A staged job is
STARTING, `run.after` names whom it follows, and it holds nothing: it takes over its predecessor's grant. Since its dispatch is
committed, the service may launch it the moment the predecessor has ended. A line is called back, as if it had not been dispatched, when
its head takes longer, when another class waits, when somebody steers one of it, and when the rules or the machine change.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

from aiosd.clock import Instant
from aiosd.ids import JobId
from aiosd.jobs import arrays, billing, limiting
from aiosd.jobs.actions import Launch
from aiosd.jobs.backlog import QueuedClass
from aiosd.jobs.job import Exit, Job, Phase, Run
from aiosd.jobs.lifecycle import Cue, move
from aiosd.jobs.lines import Line
from aiosd.jobs.placing import place
from aiosd.jobs.state import State
from aiosd.scheduling.policy import ClassKey

SHORT_S = 0.05  # runs of a class that takes longer on average are not worth it
HORIZON_S = 0.1  # of work that a line holds
LONGEST_LINE = 16
PATIENCE_S = 0.15  # a line behind a run that takes longer is called back
CHECK_S = 0.1
MARGIN_S = 60.0  # between the latest end of a run that is staged and the beginning of a reservation
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
    if _depth(state, key):
        state.staging.of[job.id] = Line(job.id, key, now.steady_s)


def stage(state: State, now: Instant) -> None:
    """Fill the lines, where a single class waits and nothing but room keeps it waiting."""
    waiting = _waiting(state) if state.staging.of and state.drain_reason is None and not state.held_back else []
    if len(waiting) != 1 or state.queues[waiting[0].key.queue].max_running:
        return
    (queued,) = waiting
    if _reserved_soon(state, queued.key, now):
        return
    depth = _depth(state, queued.key)
    lines = [line for line in _lines(state) if line.key == queued.key and 2 * len(line.waiting) <= depth and _may_be_followed(state, line, now)]
    places = [line for nth in range(depth) for line in lines if nth >= len(line.waiting)]  # the shortest are filled first
    chosen = list(zip(places, queued, strict=False))
    for line, job in zip((line for line, _ in chosen), place(state, [(i, _run(state, line, now)) for line, i in chosen]), strict=True):
        line.waiting.append(job.id)
        state.staging.behind[job.id] = line
    if chosen and state.staging.check_at_s is None:
        state.staging.check_at_s = now.steady_s + CHECK_S


def _reserved_soon(state: State, key: ClassKey, now: Instant) -> bool:
    """Whether a grant might be passed on past the beginning of a reservation for others."""
    soon_s = now.wall_s + key.lasts_s + MARGIN_S
    return any(key.user not in r.members and (not key.lasts_s or r.from_s < soon_s) for r in state.reservations.values())


def _waiting(state: State) -> list[QueuedClass]:
    """The classes that a policy would start something of; no more than two are looked for."""
    started = (c for c in state.backlog.classes.values() if c.count and c.key.queue in state.queues and state.queues[c.key.queue].started)
    return list(islice(started, 2))


def _depth(state: State, key: ClassKey) -> int:
    """How many may wait behind a run of this class."""
    pace_s = state.staging.paces.get(key, SHORT_S * 2)
    if not limiting.may_follow(state, key):
        return 0
    return min(LONGEST_LINE, int(HORIZON_S / max(pace_s, 1e-3))) if pace_s <= SHORT_S else 0


def _lines(state: State) -> list[Line]:
    return [line for head, line in state.staging.of.items() if line.head == head]


def _may_be_followed(state: State, line: Line, now: Instant) -> bool:
    return not line.closed and now.steady_s - line.since_s <= PATIENCE_S and state.jobs[line.head].phase in (Phase.STARTING, Phase.RUNNING)


def _run(state: State, line: Line, now: Instant) -> Run:
    head = state.jobs[line.head].run
    assert head is not None
    return Run(head.grant, now.wall_s, state.boot_id, after=line.head)


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
    del state.staging.behind[job.id]
    assert job.run is not None
    line.head, line.since_s = job.id, now.steady_s
    state.staging.of[job.id] = line
    state.pool.adopt(job.run.grant)
    job = state.put(replace(job, run=replace(job.run, after=None, dispatched_at_s=now.wall_s)), lazy=True)
    billing.begin(state, job, now.wall_s)
    if line.handed:
        line.handed -= 1
    else:
        state.actions.append(Launch(job))
    return True


def recall(state: State, now: Instant) -> bool:
    """Call back what may not be right any more: jobs of another class wait, or runs take longer than they did. Whether there was any."""
    if not state.staging.behind:
        return False
    waiting = {queued.key for queued in _waiting(state)}
    gone = [i for line in _lines(state) for i in _beyond(line, 2 * _depth(state, line.key) if waiting <= {line.key} else 0)]
    _queue_again(state, gone, now)
    return bool(gone)


def call_back(state: State, job: Job, now: Instant) -> None:
    """A staged job that was not handed over waits again, or all such elements of an array; nothing happens to any other."""
    ids = state.elements.get(job.id.number, set()) if job.array is not None else {job.id}
    _queue_again(state, [i for i in sorted(ids & state.staging.behind.keys()) if i in _beyond(state.staging.behind[i], 0)], now)


def leave_alone(state: State, job_id: JobId, now: Instant) -> None:
    """Nobody is to take over what this run holds, but for those that were launched already."""
    line = state.staging.of.get(job_id)
    if line is not None:
        line.closed = True
        _queue_again(state, _beyond(line, 0), now)


def call_back_all(state: State, now: Instant) -> None:
    """What was decided ahead of time may not be right any more."""
    _queue_again(state, [i for line in _lines(state) for i in _beyond(line, 0)], now)


def close(state: State, head: JobId, now: Instant) -> None:
    """The grant of this run has changed: who comes after it is granted its own."""
    line = state.staging.of.get(head)
    if line is not None:
        _queue_again(state, _beyond(line, 0), now)
        line.closed = True


def close_all(state: State, now: Instant) -> None:
    """The machine has changed: what is granted from now on may differ from what the heads hold."""
    call_back_all(state, now)
    for line in _lines(state):
        line.closed = True


def check(state: State, now: Instant) -> None:
    """Call back every line whose head takes longer than was thought."""
    staging = state.staging
    if staging.check_at_s is None or now.steady_s < staging.check_at_s:
        return
    _queue_again(state, [i for line in _lines(state) if now.steady_s - line.since_s > PATIENCE_S for i in _beyond(line, 0)], now)
    staging.check_at_s = now.steady_s + CHECK_S if staging.behind else None


def _beyond(line: Line, kept: int) -> list[JobId]:
    """Who waits in it after the first `kept`, and was not handed over."""
    return list(islice(line.waiting, max(kept, line.handed), None))


def _queue_again(state: State, ids: Sequence[JobId], now: Instant) -> None:
    """As if they had not been dispatched: an element that never ran is pending again."""
    elements: dict[JobId, list[int]] = defaultdict(list)
    for job_id in ids:
        job = state.jobs[job_id]
        state.staging.behind.pop(job_id).waiting.remove(job_id)
        job = replace(job, phase=move(job.phase, Cue.STEP_BACK), attempt=job.attempt - 1, run=None)
        if job_id.is_element and job.attempt == 0:
            elements[job_id.whole].append(job_id.index)
            state.withdraw(job)
        else:
            state.arm(state.put(job), now)
    for whole, indices in elements.items():
        state.put(arrays.with_called_back(state.jobs[whole], indices))
