"""The machine a benchmark runs on: what it is, how busy it is, what a process of it uses; and percentiles."""

import math
import os
import platform
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.report import Fact

Facts = dict[str, Fact]

QUIET_SHARE = 0.05  # of the machine that others may use while it counts as quiet
_LOOK_S = 1.0


def cpus() -> int:
    """Those this process may run on: as many slots as the daemon has."""
    return len(os.sched_getaffinity(0))


def facts(directory: Path, waited_s: float) -> Facts:
    """What a reader must know beside any figure. Waits up to `waited_s` for a moment when nobody else uses the machine."""
    others = wait_until_quiet(waited_s)
    return {
        "cpu": _cpu_model(), "cpus": cpus(), "kernel": platform.release(), "python": platform.python_version(),
        "file system": file_system(directory), "load before": [round(load, 2) for load in os.getloadavg()],
        "busy with other things": round(others, 2),
    }  # fmt: skip


def wait_until_quiet(patience_s: float) -> float:
    """The share of the processors that is busy, at the first look when it is small, or at the last."""
    give_up_s = time.monotonic() + patience_s
    while (busy := busy_share()) > QUIET_SHARE and time.monotonic() < give_up_s:
        pass
    return busy


def busy_share() -> float:
    """How much of all processors is used, by whomever, for a moment."""
    before = _ticks()
    time.sleep(_LOOK_S)
    after = _ticks()
    total = sum(after) - sum(before)
    idle = (after[3] + after[4]) - (before[3] + before[4])
    return 1 - idle / total if total else 0.0


def _ticks() -> list[int]:
    return [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith(("model name", "Model")):
            return line.partition(":")[2].strip()
    return platform.machine()


def file_system(directory: Path) -> str:
    """The type of the file system that holds it: on a tmpfs, durability costs nothing and figures mean less."""
    best, kind = "", "unknown"
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        mounted = left.split()[4].rstrip("/")
        if len(mounted) >= len(best) and f"{directory.resolve()}/".startswith(f"{mounted}/"):
            best, kind = mounted, right.split()[0]
    return kind


def cpu_s(pid: int) -> float:
    """Seconds that all live threads of a process have run; 0 when it is gone."""
    total = 0
    for thread in _threads(pid):
        try:
            total += int((thread / "schedstat").read_text().split()[0])
        except (FileNotFoundError, ProcessLookupError):
            continue
    return total / 1e9


def _threads(pid: int) -> list[Path]:
    try:
        return list(Path(f"/proc/{pid}/task").iterdir())
    except FileNotFoundError:
        return []


def memory(pid: int) -> dict[str, int]:
    """Of a process, in bytes: `rss` all that it has in memory, `pss` shared pages divided among the sharers, `private` its own."""
    sizes = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, _, amount = line.partition(":")
        sizes[name] = int(amount.split()[0]) * 1024
    return {"rss": sizes["Rss"], "pss": sizes["Pss"], "private": sizes["Private_Clean"] + sizes["Private_Dirty"]}


def peak(pid: int) -> int:
    """The most memory, in bytes, that a process has had since it began its program; 0 when it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM")), 0)


def children(pid: int) -> list[int]:
    try:
        return [int(child) for thread in _threads(pid) for child in (thread / "children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def percentile(values: Sequence[float], percent: float) -> float:
    """By nearest rank: a value that was measured. Raises ValueError for no values."""
    if not values:
        raise ValueError("there is no percentile of nothing")
    ranked = sorted(values)
    return ranked[max(0, math.ceil(percent / 100 * len(ranked)) - 1)]


def median(values: Sequence[float]) -> float:
    return percentile(values, 50)
