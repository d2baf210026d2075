"""What lies in the state directory and runs on the machine, against the jobs that there are. Blocks; finds, and mends when asked."""

import os
import re
import signal
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from aiosd.host import processes
from aiosd.host.cells import opening
from aiosd.host.directories import remove_tree
from aiosd.host.launch import Layout
from aiosd.host.prepare import SPARE
from aiosd.host.records import read_run
from aiosd.host.recovery import remove_unexpected
from aiosd.jobs.job import Job

LOST = "lost+found"
YOUNG_S = 3.0  # longer than an idle shim keeps what it has for its next run
_VOID_KEPT_S = 3600.0  # a bar stays so long, because the shim that it bars may still be on its way
_KEY = re.compile(r"\d+\.-?\d+\.\d+")
_MARK = re.compile(rb"(?:^|\0)AIOS_SCRATCH=([^\0]*)")


@dataclass(frozen=True, slots=True)
class Stray:
    """Something that does not belong, or is missing. `mend` does something about it, and says what; None: nothing can be done here."""

    subject: str
    problem: str
    mend: Callable[[], str] | None = None
    advice: str = ""  # where nothing can be done here


@dataclass(frozen=True, slots=True)
class Present:
    """What there is, listed before anybody asks which jobs there are: what is made later is not seen, and so not suspected."""

    runs: Sequence[str]
    scratches: Sequence[str]
    checkpoints: Sequence[str]
    logs: Sequence[tuple[int, Path]]  # job number, directory
    cells: Sequence[str]
    marked: Mapping[int, str]  # pid -> run key of a process that carries one of this state directory

    @property
    def count(self) -> int:
        return len(self.runs) + len(self.scratches) + len(self.checkpoints) + len(self.logs) + len(self.cells) + len(self.marked)


def look(layout: Layout) -> Present:
    return Present(
        [name for name in _names(layout.runs) if _older_than(Path(layout.runs, name), YOUNG_S)],
        [name for name in _names(layout.scratches) if _KEY.fullmatch(name)],
        [name for name in _names(layout.checkpoints) if not name.startswith(SPARE)],
        [(int(name), Path(layout.logs, group, name)) for group in _names(layout.logs) for name in _names(f"{layout.logs}/{group}") if name.isdigit()],
        sorted(opening.leaves(layout.state)),
        _marked(layout),
    )


def compare(layout: Layout, present: Present, active: Collection[Job], numbers: Collection[int], boot_id: str, *, watched: bool) -> Iterator[Stray]:
    """What does not fit. `active`: the jobs that hold resources; `numbers`: of all jobs; `watched`: a daemon looks after the runs."""
    keys = {job.run_key for job in active}
    for job in active:
        yield from _missing(layout, job, boot_id, watched)
    yield from _unexpected(layout, present, keys, boot_id)
    yield from _unowned(layout, present, numbers)


def _missing(layout: Layout, job: Job, boot_id: str, watched: bool) -> Iterator[Stray]:
    """A run that has begun has a file, and somebody who will write its end there."""
    if job.run is None or not job.run.started_at_s or job.run.boot_id != boot_id:
        return  # not yet; or another boot's, which the next start of the daemon settles
    record = read_run(layout.run_file(job.run_key))
    if record is None or record.void:
        yield Stray(f"job {job.id}", f"runs, and its run file {layout.run_file(job.run_key)} is missing", advice="its end cannot be known: it will be lost")
    elif watched and record.end is None:
        pidfd = processes.open_shim(record, boot_id)
        if pidfd is None:
            yield Stray(
                f"job {job.id}", f"runs, and its supervisor (pid {record.shim_pid}) is gone", advice="restart the daemon: jobs go on, and this one is settled"
            )
        else:
            os.close(pidfd)


def _unexpected(layout: Layout, present: Present, keys: Collection[str], boot_id: str) -> Iterator[Stray]:
    """Files, directories and processes of runs that no job has."""
    for name in present.runs:
        key = ".".join(name.split(".")[:3])
        path = Path(layout.runs, name)
        if key in keys or (not _older_than(path, _VOID_KEPT_S) and (key != name or _is_void(path))):
            continue

        yield Stray(f"run {key}", f"has the file {path}, and no job runs so", partial(_end, layout, name, keys, boot_id))
    for name in present.scratches:
        if name not in keys and not os.path.exists(layout.run_file(name)) and os.path.isdir(layout.scratch(name)):
            yield Stray(f"run {name}", f"has the directory {layout.scratch(name)}, and no job runs so", partial(_remove_scratch, layout.scratch(name)))
    for name in present.cells:
        if name not in keys and not os.path.exists(layout.run_file(name)):
            yield Stray(f"run {name}", "has a control group, and no job runs so", partial(_remove_cell, layout, name))
    for pid, key in present.marked.items():
        if key not in keys and not os.path.exists(layout.run_file(key)):
            yield Stray(f"process {pid}", f"belongs to run {key}, and no job runs so", partial(_kill, layout, pid, key))


def _unowned(layout: Layout, present: Present, numbers: Collection[int]) -> Iterator[Stray]:
    """What jobs leave for good, of jobs that nobody knows: moved, for it may be all that is left of somebody's work."""
    for name in present.checkpoints:
        owner = name.partition(".")[0]
        if not owner.isdigit() or int(owner) not in numbers:
            path = Path(layout.checkpoints, name)
            yield Stray(f"checkpoint {name}", f"{path} is of a job that there is not", partial(_move, layout, path))
    for number, path in present.logs:
        if number not in numbers:
            yield Stray(f"job {number}", f"has outputs in {path}, and there is no such job", partial(_move, layout, path))


def _end(layout: Layout, name: str, keys: Collection[str], boot_id: str) -> str:
    """As the daemon does it with what it finds at its start: first what runs under the file is killed."""
    path = Path(layout.runs, name)
    remove_unexpected(layout, [name], keys, boot_id)
    return f"{path} was not removed: something under it does not die" if path.exists() else f"{path} was removed, after what ran under it was killed"


def _remove_scratch(path: str) -> str:
    remove_tree(path)
    return f"{path} was removed" if not os.path.exists(path) else f"{path} could not be removed whole"


def _remove_cell(layout: Layout, key: str) -> str:
    opening.remove(layout.state, key)
    return "it could not be removed: something in it does not die" if key in opening.leaves(layout.state) else "it was removed, after what ran in it was killed"


def _kill(layout: Layout, pid: int, key: str) -> str:
    """Only if it still is the one that was seen."""
    table = processes.snapshot()
    found = table.get(pid)
    if found is None or _marked(layout).get(pid) != key:
        return "it has ended"
    return "it was killed" if processes.send(found, signal.SIGKILL) else "it could not be killed"


def _move(layout: Layout, path: Path) -> str:
    """Out of the way, below lost+found, which only the daemon's user can read."""
    to = Path(layout.state, LOST, time.strftime("%Y%m%d-%H%M%S"), path.relative_to(layout.state))
    Path(layout.state, LOST).mkdir(mode=0o700, exist_ok=True)
    to.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.rename(to)
    return f"it was moved to {to}"


def _marked(layout: Layout) -> dict[int, str]:
    found = {}
    for name in _names("/proc"):
        if name.isdigit():
            with suppress(OSError), open(f"/proc/{name}/environ", "rb") as file:
                mark = _MARK.search(file.read())
                directory, _, key = os.fsdecode(mark[1]).rpartition("/") if mark else ("", "", "")
                if directory == layout.scratches and _KEY.fullmatch(key):
                    found[int(name)] = key
    return found


def _is_void(path: Path) -> bool:
    record = read_run(path)
    return record is None or record.void


def _older_than(path: Path, age_s: float) -> bool:
    try:
        return time.time() - path.lstat().st_mtime > age_s
    except OSError:
        return False


def _names(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except OSError:
        return []


def lives(layout: Layout, name: str, boot_id: str) -> bool:
    """Whether somebody supervises the run of this file."""
    record = read_run(layout.run_file(name)) if _KEY.fullmatch(name) else None
    pidfd = processes.open_shim(record, boot_id) if record is not None and not record.void and record.end is None else None
    if pidfd is not None:
        os.close(pidfd)
    return pidfd is not None
