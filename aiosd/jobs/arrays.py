"""How an array's own record follows its elements: the one place where its phase is decided."""

from dataclasses import replace
from itertools import islice

from aiosd.jobs.job import ArrayProgress, Job, Outcome, Phase
from aiosd.jobs.ranges import IndexRanges


def with_started(array: Job, indices: list[int]) -> Job:
    """Elements leave `pending` and get records of their own; usually they are the first of it, and then it costs little."""
    progress = _progress(array)
    pending = progress.pending
    if list(islice(pending, len(indices))) == indices:
        pending = pending.drop_first(len(indices))
    else:
        for index in indices:
            pending = pending.without(index)
    return _settled(replace(array, array=replace(progress, pending=pending, active=progress.active + len(indices))))


def with_called_back(array: Job, indices: list[int]) -> Job:
    """Elements that never ran are pending again."""
    progress = _progress(array)
    return _settled(replace(array, array=replace(progress, pending=progress.pending.with_added(indices), active=progress.active - len(indices))))


def with_ended(array: Job, phase: Phase) -> Job:
    """One element with a record of its own has ended."""
    progress = _progress(array)
    succeeded, cancelled = phase is Phase.SUCCEEDED, phase is Phase.CANCELLED
    return _settled(
        replace(
            array,
            array=replace(
                progress,
                active=progress.active - 1,
                succeeded=progress.succeeded + succeeded,
                cancelled=progress.cancelled + cancelled,
                failed=progress.failed + (not succeeded and not cancelled),
            ),
        )
    )


def with_dropped(array: Job, index: int | None = None) -> Job:
    """One pending element, or all of them, will never start."""
    progress = _progress(array)
    pending = IndexRanges() if index is None else progress.pending.without(index)
    return _settled(replace(array, array=replace(progress, pending=pending, cancelled=progress.cancelled + len(progress.pending) - len(pending))))


def finished(array: Job) -> bool:
    progress = _progress(array)
    return not progress.pending and not progress.active


def ended_array(array: Job, now_s: float, phase: Phase | None = None, reason: str = "") -> Job:
    """The array's record at its end; without `phase` its elements decide: all good, or some not."""
    progress = _progress(array)
    if phase is None:
        phase = Phase.FAILED if progress.failed else Phase.CANCELLED if progress.cancelled else Phase.SUCCEEDED
    total = progress.succeeded + progress.failed + progress.cancelled
    if not reason and array.reason and not progress.succeeded and not progress.failed:
        reason = array.reason  # it was cancelled or skipped as a whole
    elif not reason and phase is not Phase.SUCCEEDED:
        reason = f"{progress.failed + progress.cancelled} of {total} elements did not succeed" + (f": {array.reason}" if array.reason else "")
    return replace(array, phase=phase, reason=reason, outcome=Outcome(now_s, reason=reason, run_s=max(0.0, now_s - (array.eligible_at_s or now_s))))


def startable(array: Job) -> Job:
    """Nothing keeps its pending elements back any more."""
    return replace(array, phase=Phase.RUNNING if _progress(array).active else Phase.QUEUED)


def _settled(array: Job) -> Job:
    """HELD and WAITING speak of the elements still pending; otherwise what lives decides."""
    progress = _progress(array)
    if progress.pending and array.phase in (Phase.HELD, Phase.WAITING):
        return array
    reason = "" if array.phase in (Phase.HELD, Phase.WAITING) else array.reason
    return replace(array, phase=Phase.RUNNING if progress.active else Phase.QUEUED, reason=reason)


def _progress(array: Job) -> ArrayProgress:
    assert array.array is not None, f"job {array.id} is no array"
    return array.array
