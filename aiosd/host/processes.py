"""The machine's processes as /proc shows them: trees, identities, signals that never hit a stranger, leftovers of a run."""

import os
import signal
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from aiosd.host import cell, runfile
from aiosd.host.records import RunRecord
from aiosd.host.waiting import readable

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAUSE_S = 0.02


@dataclass(frozen=True, slots=True)
class Process:
    """A process; `start_ticks` (since boot) and `pid` together are its identity."""

    pid: int
    parent: int
    session: int
    state: str
    start_ticks: int

    @property
    def stopped(self) -> bool:
        return self.state == "T"


Table = Mapping[int, Process]


def snapshot() -> dict[int, Process]:
    """Every process there is, in no consistent moment: whoever needs all of a tree looks again until nothing new appears."""
    found = (_read(name) for name in os.listdir("/proc") if name.isdigit())
    return {process.pid: process for process in found if process is not None}


def descendants(table: Table, root: int) -> list[Process]:
    """The tree below `root`, without it, parents first."""
    children: dict[int, list[Process]] = {}
    for process in table.values():
        children.setdefault(process.parent, []).append(process)
    found = list(children.get(root, ()))
    for process in found:  # grows while it is walked
        found.extend(children.get(process.pid, ()))
    return [process for process in found if process.state not in "ZX"]


def send(process: Process, number: int) -> bool:
    """Signal exactly this process; False when it is gone (another may have its number by now) or not ours to signal."""
    try:
        pidfd = os.pidfd_open(process.pid)
    except OSError:
        return False
    try:
        if runfile.start_ticks(process.pid) != process.start_ticks:
            return False
        signal.pidfd_send_signal(pidfd, number)
    except OSError:
        return False
    finally:
        os.close(pidfd)
    return True


def open_shim(record: RunRecord, boot_id: str) -> int | None:
    """A pidfd of the shim that claimed the run; None when it does not live. The caller closes it."""
    if record.boot_id != boot_id:
        return None
    try:
        pidfd = os.pidfd_open(record.shim_pid)
    except OSError:
        return None
    try:
        if runfile.start_ticks(record.shim_pid) == record.shim_start_ticks:
            return pidfd
    except OSError:
        pass  # gone between the two looks
    os.close(pidfd)
    return None


def open_main(record: RunRecord) -> int | None:
    """The directory in /proc of a run's main process, which shows that process and never one that gets its number later.

    None when it has ended. The caller closes it.
    """
    try:
        opened = os.open(f"/proc/{record.main_pid}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        started_ticks = int(read_in(opened, "stat").rpartition(b")")[2].split()[19])
        if record.main_pid and started_ticks <= record.spawned_steady_s * _TICKS_PER_S + 1:
            return opened
    except (OSError, IndexError):
        pass  # gone between the two looks
    os.close(opened)
    return None


def read_in(directory: int, name: str) -> bytes:
    """A file of a process in /proc. Raises OSError, also when the process has ended."""
    with open(os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=directory), "rb") as file:
        return file.read()


def ended(pidfd: int) -> bool:
    """Whether the process behind a pidfd has ended."""
    return bool(readable((pidfd,), 0.0))


def kill_leftovers(scratch: str, record: RunRecord, patience_s: float = 10.0) -> bool:
    """Kill what a run has left behind after its shim was killed. Blocks; False when something would not die in time."""
    give_up_s = time.monotonic() + patience_s
    if record.cell:
        cell.kill(record.cell)
    while left := leftovers(snapshot(), scratch, record):
        for process in left:
            send(process, signal.SIGKILL)
        if time.monotonic() > give_up_s:
            return False
        time.sleep(_PAUSE_S)
    return True


def leftovers(table: Table, scratch: str, record: RunRecord) -> list[Process]:
    """Processes of a run without its shim: they belong to its session, carry the name of its scratch directory (a run's
    key alone may be another daemon's too), or descend from one that does.
    """
    mark = f"AIOS_SCRATCH={scratch}".encode()
    young = [p for p in table.values() if p.start_ticks >= record.shim_start_ticks and p.state not in "ZX" and p.pid != os.getpid()]
    found = {p.pid: p for p in young if _in_session(p, table, record) or _carries(p.pid, mark)}
    for root in list(found):
        found.update((p.pid, p) for p in descendants(table, root))
    found.pop(os.getpid(), None)
    return list(found.values())


def kill_tree(pidfd: int, root: int, patience_s: float = 10.0) -> bool:
    """Kill everything below the process `root` behind `pidfd` until it has ended by itself. Blocks; False when it does not in time."""
    give_up_s = time.monotonic() + patience_s
    while not ended(pidfd):
        for process in descendants(snapshot(), root):
            send(process, signal.SIGKILL)
        if time.monotonic() > give_up_s:
            return False
        readable((pidfd,), _PAUSE_S)
    return True


def _in_session(process: Process, table: Table, record: RunRecord) -> bool:
    """In the session of the run's main process; its number is not given away while the session has members."""
    if not record.main_pid or process.session != record.main_pid:
        return False
    leader = table.get(record.main_pid)
    return leader is None or leader.start_ticks <= record.spawned_steady_s * _TICKS_PER_S + 1


def _carries(pid: int, mark: bytes) -> bool:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return mark in file.read().split(b"\0")
    except OSError:
        return False


def _read(name: str) -> Process | None:
    try:
        fd = os.open(f"/proc/{name}/stat", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fields: Iterable[bytes] = os.read(fd, 1024).rpartition(b")")[2].split()
    except OSError:
        return None
    finally:
        os.close(fd)
    state, parent, _, session, *rest = fields
    return Process(int(name), int(parent), int(session), state.decode(), int(rest[15]))
