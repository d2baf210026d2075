"""The shim's side of control groups: make a run's cell, enter it, kill and count what is in it, remove it; imports next to nothing.

What a cell is made of is decided by the daemon (`aiosd/host/cells/`): this does as the plan says, for v1 and v2 alike.
"""

import _signal  # type: ignore[import-not-found]
import os
import time

TRIAL = "trial"  # the cell in which the daemon tries out at its start what works
_PAUSE_S = 0.002
_PATIENCE_S = 5.0
_READ_BYTES = 1 << 16
_SHORT_BYTES = 2048  # of a control file the kernel gives at least a page at a time: what is shorter is all
_NEARLY_BYTES = 1 << 18  # the kernel gives up a few pages before the limit

Value = str | int | float | bool | None


class CannotConfine(Exception):
    """The cell could not be made as planned; the text is a sentence for the user."""


class Cell:
    """Where a run is confined; travels as a tuple in this order.

    directories  the run's control groups, absolute; made in this order, one in each hierarchy
    writes       pairs (file, text): the limits, written in this order
    killing      of the directories, the one through which all processes are reached: it has cgroup.kill, or a freezer
    memory       of the directories, the one that counts memory; empty: none does
    pressure     of the directories, the one that has PSI; empty: none has
    program      an eBPF program that decides which devices may be opened, attached to `killing`; empty: none
    """

    def __init__(
        self, directories: tuple[str, ...], writes: tuple[tuple[str, str], ...], killing: str, memory: str = "", pressure: str = "", program: bytes = b""
    ) -> None:
        self.directories, self.writes, self.killing = directories, writes, killing
        self.memory, self.pressure, self.program = memory, pressure, program

    def packed(self) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...], str, str, str, bytes]:
        return self.directories, self.writes, self.killing, self.memory, self.pressure, self.program

    def make(self) -> None:
        """Every directory with its limits. Raises CannotConfine, and then nothing of it is left."""
        path = ""
        try:
            for path in self.directories:
                try:
                    os.mkdir(path, 0o755)
                except FileExistsError:
                    self._replace(path)
            for path, text in self.writes:
                write(path, text)
            path = self.killing
            if self.program:
                from aiosd.host import bpf  # only where there are devices to keep from jobs

                bpf.attach(self.program, self.killing)
        except OSError as error:
            self.remove()
            raise CannotConfine(f"cannot set up the control group '{path}': {error.strerror}") from None

    def enter(self) -> None:
        """This process, and all that it will start. Raises OSError."""
        for directory in self.directories:
            write(directory + "/cgroup.procs", "0")

    def usage(self) -> dict[str, Value]:
        """What the kernel counted; to be read before `remove`."""
        found: dict[str, Value] = {}
        if self.memory:
            found["cell_peak_bytes"] = _number(self.memory, "memory.peak", "memory.max_usage_in_bytes")
            kills, short = _oom(self.memory)
            found["oom_kills"], found["oom_by_limit"] = kills, short
        if self.pressure:
            for name in ("cpu", "memory", "io"):
                found[name + "_pressure_s"] = _pressure_s(f"{self.pressure}/{name}.pressure")
        return found

    def kill(self) -> None:
        """Every process in it, at once; returns when they are told, not when they are gone."""
        kill(self.killing)

    def remove(self) -> bool:
        """Kill what is left, and remove the directories; False when something would not go: the daemon removes it later."""
        give_up_s = time.monotonic() + _PATIENCE_S
        gone = [remove(directory, self.killing, give_up_s) for directory in reversed(self.directories)]
        return all(gone)

    def _replace(self, path: str) -> None:
        """A cell of this name is there: its run is over, or there would be two of them."""
        remove(path, self.killing, time.monotonic() + _PATIENCE_S)
        os.mkdir(path, 0o755)


def kill(directory: str) -> None:
    """Every process of a control group: by cgroup.kill, else frozen, so that none forks meanwhile. OSErrors mean that it is gone."""
    try:
        write(directory + "/cgroup.kill", "1")
    except FileNotFoundError:
        _kill_frozen(directory)
    except OSError:
        return


def remove(directory: str, killing: str, give_up_s: float) -> bool:
    """Remove one directory, killing what keeps it from going; False when it is still there at `give_up_s` (monotonic)."""
    while True:
        try:
            os.rmdir(directory)
        except FileNotFoundError:
            return True
        except OSError:
            if time.monotonic() > give_up_s:
                return False
            kill(killing)
            time.sleep(_PAUSE_S)
        else:
            return True


def can_kill(directory: str) -> bool:
    """Whether `kill` reaches the processes of this group."""
    return os.path.exists(directory + "/cgroup.kill") or os.path.exists(directory + "/freezer.state")


def occupied(directory: str) -> bool:
    """Whether any process is in a control group."""
    return bool(_content(directory + "/cgroup.procs").strip())


def write(path: str, text: str) -> None:
    """In one write, as control files want it. Raises OSError."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def _kill_frozen(directory: str) -> None:
    """With the freezer of v1. What does not freeze in time (a process deep in the kernel) is killed all the same."""
    try:
        if not occupied(directory):
            return
        write(directory + "/freezer.state", "FROZEN")
        give_up_s = time.monotonic() + 10 * _PAUSE_S
        while _content(directory + "/freezer.state").strip() != b"FROZEN" and time.monotonic() < give_up_s:
            time.sleep(_PAUSE_S / 10)
        for pid in _content(directory + "/cgroup.procs").split():
            try:
                os.kill(int(pid), _signal.SIGKILL)
            except OSError:
                continue  # it has just ended
    except OSError:
        return
    finally:
        _try_write(directory + "/freezer.state", "THAWED")


def _oom(directory: str) -> tuple[int, bool]:
    """How many processes the kernel killed for want of memory, and whether it was the cell's own limit that was reached.

    v1 has no counter of that which every kernel keeps: there, a group that was killed at its limit has once been as large as that.
    """
    events = _pairs(directory + "/memory.events")
    if events:
        return events.get("oom_kill", 0), events.get("oom", 0) > 0
    kills = _pairs(directory + "/memory.oom_control").get("oom_kill", 0)
    if not kills:
        return 0, False
    return kills, _number(directory, "memory.max_usage_in_bytes") + _NEARLY_BYTES >= _number(directory, "memory.limit_in_bytes")


def _pairs(path: str) -> dict[str, int]:
    words = (line.split() for line in _content(path).decode().splitlines())
    return {word[0]: int(word[1]) for word in words if len(word) == 2 and word[1].isdigit()}


def _number(directory: str, *names: str) -> int:
    """What the first of these files says that is there."""
    for name in names:
        text = _content(f"{directory}/{name}").strip()
        if text.isdigit():
            return int(text)
    return 0


def _pressure_s(path: str) -> float:
    """For how long at least one process of the cell was kept waiting."""
    first = _content(path).partition(b"\n")[0]
    total = first.rpartition(b"total=")[2]
    return int(total) / 1e6 if total.isdigit() else 0.0


def _content(path: str) -> bytes:
    """All of a control file; empty when it is not there."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        data = os.read(fd, _READ_BYTES)
        while len(data) > _SHORT_BYTES and (piece := os.read(fd, _READ_BYTES)):
            data += piece
        return data
    except OSError:
        return b""  # the group was removed in between
    finally:
        os.close(fd)


def _try_write(path: str, text: str) -> None:
    try:
        write(path, text)
    except OSError:
        return
