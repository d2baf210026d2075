"""The transition table of a job, and the one function that moves along it."""

from enum import StrEnum

from aiosd.errors import FailedPrecondition
from aiosd.jobs.job import Phase


class Cue(StrEnum):
    """What can happen to a job; reads after "cannot"."""

    BECOME_ELIGIBLE = "become eligible"  # begin time, dependency or retry pause is over
    HOLD = "be held"
    RELEASE = "be released"
    DISPATCH = "be dispatched"
    STARTED = "start"
    NEVER_STARTED = "be put back"  # its launch is proven not to have happened
    STEP_BACK = "be called back"  # it was staged behind a run that takes longer than was thought
    SUSPEND = "be suspended"
    RESUME = "be resumed"
    STOP = "be stopped"  # TERM, grace, KILL
    SUCCEED = "succeed"
    FAIL = "fail"
    CANCEL = "be cancelled"
    TIME_OUT = "time out"
    RUN_OUT_OF_MEMORY = "run out of memory"
    LOSE = "be lost"
    SKIP = "be skipped"
    RETRY = "be retried"  # after a pause
    REQUEUE = "be requeued"
    PREEMPT = "be preempted"  # its run is over because another needed room: back to the queue, as old as it was


_WAITING_MOVES = {
    Cue.HOLD: Phase.HELD,
    Cue.CANCEL: Phase.CANCELLED,
    Cue.SKIP: Phase.SKIPPED,
}
_ENDS = {
    Cue.SUCCEED: Phase.SUCCEEDED,
    Cue.FAIL: Phase.FAILED,
    Cue.CANCEL: Phase.CANCELLED,
    Cue.TIME_OUT: Phase.TIMED_OUT,
    Cue.RUN_OUT_OF_MEMORY: Phase.OUT_OF_MEMORY,
    Cue.LOSE: Phase.LOST,
    Cue.RETRY: Phase.WAITING,
    Cue.REQUEUE: Phase.QUEUED,
    Cue.PREEMPT: Phase.QUEUED,
}
MOVES: dict[Phase, dict[Cue, Phase]] = {
    Phase.HELD: {Cue.RELEASE: Phase.WAITING, Cue.CANCEL: Phase.CANCELLED, Cue.SKIP: Phase.SKIPPED},
    Phase.WAITING: {**_WAITING_MOVES, Cue.BECOME_ELIGIBLE: Phase.QUEUED},
    Phase.QUEUED: {**_WAITING_MOVES, Cue.DISPATCH: Phase.STARTING},
    Phase.STARTING: {**_ENDS, Cue.STARTED: Phase.RUNNING, Cue.NEVER_STARTED: Phase.WAITING, Cue.STEP_BACK: Phase.QUEUED, Cue.STOP: Phase.STOPPING},
    Phase.RUNNING: {**_ENDS, Cue.SUSPEND: Phase.SUSPENDED, Cue.STOP: Phase.STOPPING},
    Phase.SUSPENDED: {**_ENDS, Cue.RESUME: Phase.RUNNING, Cue.STOP: Phase.STOPPING},
    Phase.STOPPING: {**_ENDS, Cue.STARTED: Phase.STOPPING},
    Phase.SUCCEEDED: {},
    Phase.FAILED: {},
    Phase.CANCELLED: {},
    Phase.TIMED_OUT: {},
    Phase.OUT_OF_MEMORY: {},
    Phase.LOST: {},
    Phase.SKIPPED: {},
}


def move(phase: Phase, cue: Cue) -> Phase:
    """The phase after `cue`. Raises FailedPrecondition when the table has no such move."""
    try:
        return MOVES[phase][cue]
    except KeyError:
        raise FailedPrecondition(f"a {phase} job cannot {cue}", phase=phase, cue=cue) from None
