"""Which cells this machine gives: v2 if its controllers can be had, else v1, else none; found out by trying, once, when the daemon starts."""

import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from aiosd.host.cells.kernel import KernelCells, Tree, remove_leaves
from aiosd.host.cells.limits import CellSettings, DeviceFile, Machine
from aiosd.host.cells.mounts import Mounts, mounts
from aiosd.host.cells.port import Cells, Enforcement, NoCells
from aiosd.host.cells.scope import SYSTEMD, Scope
from aiosd.host.cells.trial import try_out
from aiosd.host.cells.v1 import V1
from aiosd.host.cells.v2 import V2, open_root
from aiosd.resources.inventory import Inventory

SYSTEM_STATE = "/var/lib/aios"
_WORTH = frozenset({"cpu", "memory", "processes"})  # a tree that holds none of these is no better than none


def open_cells(state_directory: Path, inventory: Inventory, settings: CellSettings, found: Mounts | None = None) -> Cells:
    """The cells of the daemon with this state directory. Blocks for a tenth of a second; never fails, but says what is lacking."""
    if settings.cgroups == "off":
        return NoCells()
    there, name = found or mounts(), name_of(state_directory)
    machine = Machine(inventory, device_files(inventory), disks())
    reasons = []
    for version, opening in _ways(there, name, settings.cgroups):
        tried = _try(opening, machine)
        if isinstance(tried, str):
            reasons.append(f"{version}: {tried}")
            continue
        tree, enforcement = tried
        if enforcement.held & _WORTH:
            return KernelCells(tree, machine, settings, enforcement)
        tree.close()
        reasons.append(f"{version}: {'; '.join(sorted(set(enforcement.lacking.values())))}")
    return NoCells("; ".join(reasons) or "this machine has no control groups that are mounted")


def name_of(state_directory: Path) -> str:
    """Of the directories and the scope of a daemon: no other state directory has the same."""
    path = str(state_directory.absolute())
    return "aios" if path == SYSTEM_STATE else f"aios-{hashlib.sha256(path.encode()).hexdigest()[:12]}"


def scope_of(name: str) -> str:
    """The unit of systemd that holds the jobs of a daemon."""
    return f"{name}-jobs.scope"


def remove_all(state_directory: Path) -> None:
    """Kill what runs in any cell of this state directory, of whichever version, and remove them all."""
    trees = _trees(state_directory)
    remove_leaves(_parents(trees), leaves(state_directory))
    for path in (f"{tree}{part}" for tree in trees if not tree.endswith(".scope") for part in ("/jobs", "/shims", "")):
        with suppress(OSError):
            os.rmdir(path)


def leaves(state_directory: Path) -> set[str]:
    """The run keys of all cells of this state directory, of whichever version."""
    return {leaf.name for parent in _parents(_trees(state_directory)) for leaf in Path(parent).glob("*.*.*") if leaf.is_dir()}


def remove(state_directory: Path, key: str) -> None:
    """Kill what runs in the cell of that run, of whichever version, and remove it."""
    remove_leaves(_parents(_trees(state_directory)), {key})


def _trees(state_directory: Path) -> list[str]:
    there, name = mounts(), name_of(state_directory)
    trees = [f"{place}/{name}" for place in sorted({*there.v1.values(), there.unified} - {""})]
    return trees + (list(map(str, Path(there.unified).glob(f"*/{scope_of(name)}"))) if there.unified else [])


def _parents(trees: list[str]) -> list[str]:
    """Where the cells of runs may lie."""
    return [parent for tree in trees for parent in (tree, f"{tree}/jobs")]


def disks() -> tuple[str, ...]:
    """The numbers of the disks that are there for real, as "8:0"; what lies on top of them is limited by theirs."""
    found = []
    for disk in sorted(Path("/sys/block").glob("*")):
        with suppress(OSError):
            if (disk / "device").exists():
                found.append((disk / "dev").read_text(encoding="ascii").strip())
    return tuple(found)


def device_files(inventory: Inventory) -> dict[str, tuple[DeviceFile, ...]]:
    """The device files of each device; what is no device file, or not there, cannot be kept from anybody."""
    return {device.id: files for device in inventory.devices if (files := tuple(_files(device.paths)))}


def _files(paths: tuple[str, ...]) -> Iterator[DeviceFile]:
    for path in paths:
        with suppress(OSError):
            found = os.stat(path)
            kind = "c" if stat.S_ISCHR(found.st_mode) else "b" if stat.S_ISBLK(found.st_mode) else ""
            if kind:
                yield DeviceFile(kind, os.major(found.st_rdev), os.minor(found.st_rdev), path)


def _ways(there: Mounts, name: str, wanted: str) -> Iterator[tuple[str, Callable[[], Tree]]]:
    if wanted in ("auto", "v2") and there.unified:
        yield "v2", lambda: _open_v2(there.unified, name)
    if wanted in ("auto", "v1") and there.v1:
        yield "v1", lambda: _open_v1(there, name)


def _try(opening: Callable[[], Tree], machine: Machine) -> tuple[Tree, Enforcement] | str:
    try:
        tree = opening()
    except OSError as error:
        return error.strerror or str(error)
    return tree, try_out(tree, machine)


def _open_v1(there: Mounts, name: str) -> V1:
    tree = V1(there, name)
    if not tree.killing:
        tree.close()
        raise OSError(0, next(iter(tree.lacking.values())))  # the others say the same
    return tree


def _open_v2(mount: str, name: str) -> V2:
    if not SYSTEMD.is_dir():
        return V2(open_root(mount, name))
    scope = Scope(scope_of(name), mount, user=os.geteuid() != 0)
    return V2(scope.open(), scope)
