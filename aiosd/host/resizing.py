"""Holds a run that lives to another grant: the limits of its cell are written anew, and its threads may run where the grant says. Blocks."""

import os
from collections.abc import Collection
from contextlib import suppress

from aiosd.host import cell, processes
from aiosd.host.cells.port import Cells
from aiosd.jobs.job import Job
from aiosd.resources.oversubscription import processors

_ROUNDS = 3  # for threads that were born while others were told


def apply(cells: Cells, job: Job, shim_pid: int) -> str:
    """What the kernel refused of it, in words; "" when it is done. Doing it twice does no harm."""
    if job.run is None:
        return ""
    told: list[str] = []
    packed = cells.plan_of(job)
    if packed:
        directories, writes, killing = packed[0], packed[1], packed[2]
        assert isinstance(directories, tuple)
        assert isinstance(writes, tuple)
        _complete(directories, str(killing))
        told += _write([*cells.loosening(job.run_key), *writes])
    spread(shim_pid, processors(job.run.grant))
    return "; ".join(told)


def _complete(directories: Collection[str], killing: str) -> None:
    """A hierarchy that the run had no need of until now gets a group for it, with all of its processes in it."""
    for directory in directories:
        if not os.path.isdir(directory) and os.path.isdir(killing):
            os.mkdir(directory, 0o755)
            for _ in range(_ROUNDS):
                _move(killing, directory)


def _move(source: str, target: str) -> None:
    with open(f"{source}/cgroup.procs", encoding="ascii") as file:
        pids = file.read().split()
    with open(f"{target}/cgroup.procs", encoding="ascii") as file:
        there = set(file.read().split())
    for pid in pids:
        if pid not in there:
            with suppress(OSError):  # it has ended
                cell.write(f"{target}/cgroup.procs", pid)


def _write(writes: Collection[tuple[str, str]]) -> list[str]:
    """In their order; what fails is tried again after the rest: a limit of memory and swap must not fall below that of memory alone."""
    failed = [(path, text) for path, text in writes if _try(path, text)]
    return [f"'{path}': {error}" for path, text in reversed(failed) if (error := _try(path, text))]


def _try(path: str, text: str) -> str:
    """Why it could not be written; "" when it was, or when the run is gone."""
    try:
        cell.write(path, text)
    except FileNotFoundError:
        return ""
    except OSError as error:
        return error.strerror or str(error)
    return ""


def spread(shim_pid: int, cpus: Collection[int]) -> None:
    """Every thread below the shim may run on these processors; children of those are born so."""
    done: set[int] = set()
    for _ in range(_ROUNDS):
        table = processes.snapshot()
        threads = {int(thread) for process in processes.descendants(table, shim_pid) for thread in _threads(process.pid)} - done
        for thread in threads:
            with suppress(OSError):  # it has ended
                os.sched_setaffinity(thread, cpus)
        done |= threads
        if not threads:
            return


def _threads(pid: int) -> list[str]:
    try:
        return os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []
