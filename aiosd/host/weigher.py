"""Weighs the memory of runs exactly, for the watchdog over machines without control groups: every page once, divided by who shares it."""

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from aiosd.host import processes
from aiosd.monitoring.ports import WatchedRun


class PssWeigher:
    """Implements Weigher of the monitoring domain, on a thread of its own: the kernel walks all pages of each process."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="weigher")

    async def weigh(self, runs: Sequence[WatchedRun]) -> Mapping[str, int]:
        return await asyncio.get_running_loop().run_in_executor(self._threads, weigh, runs)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def weigh(runs: Sequence[WatchedRun]) -> dict[str, int]:
    """By key; a run whose processes cannot be looked into, or are gone, weighs nothing."""
    table = processes.snapshot()
    return {run.key: sum(_proportional_bytes(process.pid) for process in processes.descendants(table, run.shim_pid)) for run in runs}


def _proportional_bytes(pid: int) -> int:
    """PSS, and what of it was swapped out."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
            fields = dict(line.split(":", 1) for line in file if line.startswith(("Pss:", "SwapPss:")))
    except (OSError, ValueError):
        return 0
    return sum(int(value.split()[0]) << 10 for value in fields.values())
