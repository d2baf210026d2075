"""Cells that the kernel keeps: plans of runs over a tree of control groups, and the tidying of what killed shims have left."""

import os
import re
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import Protocol

from aiosd.host import cell
from aiosd.host.cells.limits import CellSettings, Limits, Machine, limits_of
from aiosd.host.cells.port import Enforcement, Packed
from aiosd.jobs.job import Job

_RUN_KEY = re.compile(r"\d+\.-?\d+\.\d+")
_PATIENCE_S = 5.0


class Tree(Protocol):
    """Where leaves are made: v1 or v2. `parents` are all directories in which a run's leaf may be."""

    @property
    def version(self) -> int: ...

    @property
    def parents(self) -> Mapping[str, str]: ...

    def lacks(self, resource: str) -> str: ...

    def cell(self, name: str, limits: Limits, uses: Collection[str]) -> Packed: ...

    def loosening(self, name: str) -> Sequence[tuple[str, str]]: ...

    def place_spawner(self, pid: int) -> None: ...

    def settled(self) -> None: ...

    def close(self) -> None: ...


class KernelCells:
    """Implements Cells over a tree that was tried."""

    def __init__(self, tree: Tree, machine: Machine, settings: CellSettings, enforcement: Enforcement) -> None:
        self._tree, self._machine, self._settings = tree, machine, settings
        self.enforcement = enforcement

    @property
    def parents(self) -> Collection[str]:
        return set(self._tree.parents.values())

    def plan_of(self, job: Job) -> Packed:
        if job.run is None:
            return ()
        limits = limits_of(job.run.grant, job.spec, self._machine, self._settings)
        return self._tree.cell(job.run_key, limits, self.enforcement.held)

    def loosening(self, key: str) -> Sequence[tuple[str, str]]:
        return self._tree.loosening(key)

    def place_spawner(self, pid: int) -> None:
        self._tree.place_spawner(pid)
        self._tree.settled()

    def names(self) -> Collection[str]:
        found: set[str] = set()
        for parent in self.parents:
            with suppress(OSError):
                found.update(name for name in os.listdir(parent) if _RUN_KEY.fullmatch(name))
        return found

    def remove(self, names: Collection[str]) -> None:
        remove_leaves(self.parents, names)

    def close(self) -> None:
        self._tree.close()


def remove_leaves(parents: Collection[str], names: Collection[str]) -> None:
    """Kill what is in the leaves of these names, through each that can kill, and remove them."""
    give_up_s = time.monotonic() + _PATIENCE_S
    for name in names:
        leaves = [leaf for parent in sorted(parents) if os.path.isdir(leaf := f"{parent}/{name}")]
        killing = [leaf for leaf in leaves if cell.can_kill(leaf)]
        for leaf in [*(leaf for leaf in leaves if leaf not in killing), *killing]:
            cell.remove(leaf, (killing or leaves)[0], give_up_s)
