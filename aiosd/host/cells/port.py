"""What the launcher needs of cells, whatever they are made of."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from aiosd.jobs.job import Job

Packed = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Enforcement:
    """What was tried at the start of the daemon. `version`: 2, 1, or 0 for no cells at all.

    held        the resources that the kernel holds jobs to, of RESOURCES
    lacking     why not, of each of the others
    """

    version: int = 0
    held: frozenset[str] = frozenset()
    lacking: Mapping[str, str] = field(default_factory=dict)


RESOURCES = ("cpu", "memory", "processes", "io", "io weight", "devices", "end")


class Cells(Protocol):
    """One implementation a kind of control groups. All of it blocks, and none of it for long."""

    @property
    def enforcement(self) -> Enforcement: ...

    @property
    def parents(self) -> Collection[str]:
        """The directories in which the cells of runs are made."""

    def plan_of(self, job: Job) -> Packed:
        """The packed cell of a run (see `aiosd/host/cell.py`); () where it gets none."""

    def loosening(self, key: str) -> Sequence[tuple[str, str]]:
        """What is to be written so that the cell of this run has no quota of processors any more."""

    def place_spawner(self, pid: int) -> None:
        """Put a new spawner, which has forked nothing yet, where it outlives the daemon."""

    def names(self) -> Collection[str]:
        """The run keys of the cells that exist now."""

    def remove(self, names: Collection[str]) -> None:
        """Kill what is in these cells, and remove them; what does not exist is removed already."""

    def close(self) -> None:
        """Remove what is only there for cells, if no run is in one any more."""


class NoCells:
    """Jobs run where the daemon runs; they are measured instead."""

    def __init__(self, why: str = "control groups are switched off (isolation.cgroups = off)") -> None:
        self.enforcement = Enforcement(lacking=dict.fromkeys(RESOURCES, why))
        self.parents: Collection[str] = ()

    def plan_of(self, job: Job) -> Packed:
        return ()

    def loosening(self, key: str) -> Sequence[tuple[str, str]]:
        return ()

    def place_spawner(self, pid: int) -> None:
        """It stays where it is."""

    def names(self) -> Collection[str]:
        return ()

    def remove(self, names: Collection[str]) -> None:
        """There are none."""

    def close(self) -> None:
        """There is nothing."""


NO_CELLS = NoCells()
