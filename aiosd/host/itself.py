"""What the daemon knows of itself and of the machine at this moment."""

import os
import pwd
from pathlib import Path

import psutil

from aiosd.jobs.job import Owner
from aiosd.monitoring.machine import MachineLoad


def own_user() -> Owner:
    """Whose daemon this is."""
    uid = os.getuid()
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:  # a container's user without an entry
        name = str(uid)
    return Owner(uid, os.getgid(), name)


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def log_file() -> str:
    """The file that standard error goes to; empty when it is a terminal, a pipe or the journal."""
    target = os.readlink("/proc/self/fd/2")
    return target if target.startswith("/") and os.path.isfile(target) else ""


class LoadMeter:
    """How busy the machine is; processor time counts since the look before."""

    def __init__(self) -> None:
        self._last = psutil.cpu_times()

    def look(self) -> MachineLoad:
        now = psutil.cpu_times()
        spent = [after - before for after, before in zip(now, self._last, strict=True)]
        idle = (now.idle - self._last.idle) + (now.iowait - self._last.iowait)
        # guest time is in user time already, see proc(5)
        total = sum(spent) - (now.guest - self._last.guest) - (now.guest_nice - self._last.guest_nice)
        busy = 1000 * max(0.0, 1 - idle / total) if total > 0 else 0.0
        if total >= 0.5:  # two looks at once must not leave the second without a span
            self._last = now
        return MachineLoad(os.getloadavg()[0], psutil.virtual_memory().available, busy)
