"""Measures the processes of runs as /proc shows them: one look at the machine serves all runs."""

import asyncio
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

from aiosd.clock import Clock
from aiosd.host.gpu_meter import GpuUse, GpuUses, NoGpus
from aiosd.monitoring.ports import WatchedRun
from aiosd.monitoring.series import Totals

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class ProcessStat(NamedTuple):
    """What /proc/PID/stat says; ticks and faults of children are of those that it has waited for."""

    parent: int
    state: bytes
    user_ticks: int
    system_ticks: int
    children_user_ticks: int
    children_system_ticks: int
    major_faults: int
    children_major_faults: int


@dataclass(frozen=True, slots=True)
class _Memory:
    own_bytes: int
    shared_bytes: int


class ProcMeter:
    """Implements Meter of the monitoring domain, on its own thread.

    Processor time is complete: what a process used counts with it while it lives (also as a zombie), and then with
    whoever waited for it; the shim waits for all that is left. The shim itself is not counted.
    Memory is the sum of what each process has for itself, plus the largest of what they share: exact shares (PSS) would
    make the kernel walk every page, and the plain sum would count the tensors that data loaders share once for each.
    Pages shared by fork and not yet written count for each process.
    """

    def __init__(self, clock: Clock, gpus: GpuUses | None = None) -> None:
        self._clock = clock
        self._gpus = gpus or NoGpus()
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="meter")

    async def measure(self, runs: Sequence[WatchedRun]) -> Mapping[str, Totals]:
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._measure, runs)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _measure(self, runs: Sequence[WatchedRun]) -> dict[str, Totals]:
        table = dict(_processes())
        children: dict[int, list[int]] = {}
        for pid, process in table.items():
            children.setdefault(process.parent, []).append(pid)
        gpu_use = self._gpus.by_process() if any(run.uses_gpu for run in runs) else {}
        return {run.key: self._totals(run.shim_pid, table, children, gpu_use) for run in runs if run.shim_pid in table}

    def _totals(self, shim: int, table: Mapping[int, ProcessStat], children: Mapping[int, list[int]], gpu_use: Mapping[int, GpuUse]) -> Totals:
        tree = _below(shim, children)
        stats = [table[pid] for pid in tree]
        memory = [_memory(pid) for pid in tree]
        read_bytes, write_bytes = _sum_pairs(_disk_bytes(pid) for pid in (shim, *tree))
        uses = [gpu_use[pid] for pid in tree if pid in gpu_use]
        now, above = self._clock.now(), table[shim]
        return Totals(
            at_s=now.wall_s,
            steady_s=now.steady_s,
            cpu_user_s=(above.children_user_ticks + sum(p.user_ticks + p.children_user_ticks for p in stats)) / _TICKS_PER_S,
            cpu_system_s=(above.children_system_ticks + sum(p.system_ticks + p.children_system_ticks for p in stats)) / _TICKS_PER_S,
            memory_bytes=sum(m.own_bytes for m in memory) + max((m.shared_bytes for m in memory), default=0),
            read_bytes=read_bytes,
            write_bytes=write_bytes,
            major_faults=above.children_major_faults + sum(p.major_faults + p.children_major_faults for p in stats),
            processes=sum(p.state not in b"ZX" for p in stats),
            gpu_permille=sum(use.permille for use in uses),
            gpu_memory_bytes=sum(use.memory_bytes for use in uses),
        )


def _processes() -> Iterator[tuple[int, ProcessStat]]:
    for name in os.listdir("/proc"):
        if name.isdigit() and (content := _content(f"/proc/{name}/stat")):
            yield int(name), parse_stat(content)


def parse_stat(content: bytes) -> ProcessStat:
    """The line of /proc/PID/stat; the command's name in it may hold anything, parentheses too."""
    fields = content.rpartition(b")")[2].split()
    faults, children_faults, user, system, children_user, children_system = map(int, fields[9:15])
    return ProcessStat(int(fields[1]), fields[0], user, system, children_user, children_system, faults, children_faults)


def _below(root: int, children: Mapping[int, list[int]]) -> list[int]:
    found = list(children.get(root, ()))
    for pid in found:  # grows while it is walked
        found.extend(children.get(pid, ()))
    return found


def _memory(pid: int) -> _Memory:
    fields = _content(f"/proc/{pid}/statm").split()
    if len(fields) < 3:
        return _Memory(0, 0)
    resident, shared = int(fields[1]) * _PAGE_BYTES, int(fields[2]) * _PAGE_BYTES
    return _Memory(max(0, resident - shared), shared)


def _disk_bytes(pid: int) -> tuple[int, int]:
    """Read from and written to storage by the process and those it has waited for; zeros where we may not look."""
    found = {b"read_bytes": 0, b"write_bytes": 0}
    for line in _content(f"/proc/{pid}/io").splitlines():
        name, _, value = line.partition(b": ")
        if name in found:
            found[name] = int(value)
    return found[b"read_bytes"], found[b"write_bytes"]


def _sum_pairs(pairs: Iterator[tuple[int, int]]) -> tuple[int, int]:
    first = second = 0
    for a, b in pairs:
        first, second = first + a, second + b
    return first, second


def _content(path: str) -> bytes:
    """All of a small file of /proc; empty when the process is gone or not ours."""
    try:
        opened = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(opened, 4096)
    except OSError:
        return b""
    finally:
        os.close(opened)
