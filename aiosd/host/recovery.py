"""What a run file and /proc together say of a run that nobody watches: it ended, it lives, it is gone, or it never began. Blocks."""

import os
import re
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from aiosd.host import faults, processes, quota, runfile
from aiosd.host.directories import remove_tree
from aiosd.host.launch import Layout
from aiosd.host.prepare import SPARE
from aiosd.host.records import RunRecord, read_run
from aiosd.jobs.job import Exit, Job, Phase

SHIM_KILLED = "its supervisor process was killed"
_NEVER_BEGAN = "it had not begun when the daemon stopped"
_RESTORED = "it ran when the backup was made that this daemon's state was restored from"
_MISSING = "its run file is missing"
_VOID_KEPT_S = 3600.0
_RUN_KEY = re.compile(r"\d+\.-?\d+\.\d+")


@dataclass(frozen=True, slots=True)
class Over:
    """It ended; `exit` is None where how cannot be known."""

    exit: Exit | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Alive:
    pidfd: int
    record: RunRecord


@dataclass(frozen=True, slots=True)
class NotBegun:
    """It is barred: it has not begun, and never will."""

    reason: str


Finding = Over | Alive | NotBegun


def find(layout: Layout, job: Job, boot_id: str) -> Finding:
    """Settle a run, and clear up behind it where no shim could."""
    finding = _find(layout, job, boot_id)
    if isinstance(finding, Over):
        if finding.exit is None:
            _clear_up(layout, job.run_key)
        else:
            _remove_empty(layout.scratch(job.run_key))  # its shim may have been killed with what it had kept for a next run
    return finding


def remove_unexpected(layout: Layout, names: Sequence[str], kept: Collection[str], boot_id: str) -> None:
    """Remove those files of the run directory that belong to no run in `kept`, after killing what still runs under them."""
    now_s = time.time()
    for name in names:
        key = ".".join(name.split(".")[:3])
        if key in kept:
            continue
        if key != name:
            _remove_part(layout, name, key, now_s)
        elif _end_unexpected(layout, key, boot_id, now_s):
            _clear_up(layout, key)


def scratch_names(layout: Layout) -> list[str]:
    return _names(layout.scratches)


def remove_strays(layout: Layout, scratches: Sequence[str], kept: Collection[str]) -> None:
    """Remove the scratch directories of runs that neither are in `kept` nor have a file, and what killed shims had kept for a next run.

    An idle shim may lose so what it keeps for its next run; it then makes a new one.
    """
    for name in scratches:
        if name not in kept and _RUN_KEY.fullmatch(name) and not os.path.exists(layout.run_file(name)):
            _remove_scratch(layout, name)
    for name in _names(layout.handed_out):
        if name not in kept and not os.path.exists(layout.run_file(name)):
            remove_tree(layout.secrets(name))
    for spare in Path(layout.checkpoints).glob(f"{SPARE}*"):
        _remove_empty(str(spare))  # one that is not empty is no spare


def remove_spares(layout: Layout, shim_pid: int, last_key: str) -> None:
    """What a shim had kept for a next run, and could not remove because it was killed. Only what is empty goes."""
    kept = [f"{layout.checkpoints}/{SPARE}{shim_pid}", *([layout.scratch(last_key)] if last_key else [])]
    for name in kept:
        _remove_empty(name)


def _remove_empty(path: str) -> None:
    with suppress(OSError):
        os.rmdir(path)


def _remove_scratch(layout: Layout, key: str) -> None:
    quota.release(layout.scratch(key))
    remove_tree(layout.scratch(key))


def _names(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except FileNotFoundError:
        return []  # somebody has removed it; the next run makes it anew


def _find(layout: Layout, job: Job, boot_id: str) -> Finding:
    """One without a run file is barred first, so that a shim on its way cannot begin it any more."""
    path = layout.run_file(job.run_key)
    record = read_run(path)
    if record is None:
        faults.reached("recover.1-before-bar")
        if runfile.bar(path):
            faults.reached("recover.2-barred")
            return _barred(job, boot_id, layout.restored_at_s(), _MISSING)
        record = read_run(path)  # the shim was faster
    if record is None or record.void:
        return _barred(job, boot_id, layout.restored_at_s(), _NEVER_BEGAN)
    return _settle(layout, job.run_key, record, boot_id)


def _settle(layout: Layout, key: str, record: RunRecord, boot_id: str) -> Over | Alive:
    """How a run stands that a shim has claimed; what a dead shim left behind is killed."""
    if record.end is not None:
        return Over(record.end)
    if record.boot_id != boot_id:
        return Over(None, _restarted(record.boot_id, boot_id))
    pidfd = processes.open_shim(record, boot_id)
    if pidfd is not None:
        return Alive(pidfd, record)
    record = read_run(layout.run_file(key)) or record  # it may have ended between the two looks
    if record.end is not None:
        return Over(record.end)
    processes.kill_leftovers(layout.scratch(key), record)
    return Over(None, SHIM_KILLED)


def _clear_up(layout: Layout, key: str) -> None:
    """What a shim removes at the end of its run, when it could not."""
    layout.cells.remove([key])
    _remove_scratch(layout, key)
    remove_tree(layout.secrets(key))
    for path in (layout.input_fifo(key), layout.script(key)):
        Path(path).unlink(missing_ok=True)


def _end_unexpected(layout: Layout, key: str, boot_id: str, now_s: float) -> bool:
    """End a run and remove its file; True when its shim did not end in order."""
    path = Path(layout.run_file(key))
    record = read_run(str(path))
    if record is None:
        return False
    if record.void:
        if now_s - path.stat().st_mtime > _VOID_KEPT_S:
            path.unlink(missing_ok=True)
        return False
    finding = _settle(layout, key, record, boot_id)
    if isinstance(finding, Alive):
        try:
            if not processes.kill_tree(finding.pidfd, record.shim_pid):
                return False  # something would not die: its file stays for the next time
        finally:
            os.close(finding.pidfd)
    path.unlink(missing_ok=True)
    return isinstance(finding, Over) and finding.exit is None


def _remove_part(layout: Layout, name: str, key: str, now_s: float) -> None:
    """A fifo, a script or an unfinished claim whose run is gone."""
    path = Path(layout.runs, name)
    try:
        if not os.path.exists(layout.run_file(key)) and now_s - path.lstat().st_mtime > _VOID_KEPT_S:
            path.unlink()
    except FileNotFoundError:
        return


def _restarted(then: str, now: str) -> str:
    """Both boots by their ids, as `journalctl --list-boots` has them."""
    return f"the machine restarted while it ran (boot {then}, now {now})"


def _barred(job: Job, boot_id: str, restored_at_s: float, why: str) -> Finding:
    """Whether a run that is barred now can have taken place before: after a power cut its file may be lost, and not the journal."""
    run = job.run
    begun = job.phase in (Phase.RUNNING, Phase.SUSPENDED) or (run is not None and run.started_at_s > 0)
    if run is not None and run.dispatched_at_s < restored_at_s:
        return Over(None, _RESTORED)
    if run is not None and run.boot_id not in ("", boot_id):
        return Over(None, _restarted(run.boot_id, boot_id))
    return Over(None, why) if begun else NotBegun(_NEVER_BEGAN)
