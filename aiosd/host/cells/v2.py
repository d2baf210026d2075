"""Cells of control groups v2: one tree that is delegated to AIOS, `shims` for the spawner and its shims, `jobs` with a leaf for each run."""

import os
from collections.abc import Collection, Mapping
from contextlib import suppress

from aiosd.host import cell
from aiosd.host.cell import Cell
from aiosd.host.cells.device_program import program
from aiosd.host.cells.limits import PERIOD_US, Limits
from aiosd.host.cells.port import Packed
from aiosd.host.cells.scope import Scope

CONTROLLERS = ("cpuset", "cpu", "memory", "pids", "io")
NEEDS = {"cpu": ("cpuset", "cpu"), "memory": ("memory",), "processes": ("pids",), "io": ("io",), "io weight": ("io",), "devices": ()}
_WEIGHTS = ("io.bfq.weight", "io.weight")
_EBUSY = 16


class V2:
    """`root` is a group that is ours, with nobody else's processes in it. Raises OSError where it cannot be used at all.

    scope   the scope of systemd whose group this is; None: nobody's
    """

    version = 2

    def __init__(self, root: str, scope: Scope | None = None) -> None:
        self._root, self._shims, self._jobs = root, f"{root}/shims", f"{root}/jobs"
        self._scope = scope
        self.parents: Mapping[str, str] = {"": self._jobs}
        self._lacking = self._prepare()
        self._swap = os.path.exists(f"{self._jobs}/memory.swap.max")

    def lacks(self, resource: str) -> str:
        missing = "; ".join(self._lacking[name] for name in NEEDS[resource] if name in self._lacking)
        if not missing and resource == "io weight" and not self._weight():
            return "the kernel has no weights of block I/O (they come with BFQ or io.cost)"
        return missing

    def cell(self, name: str, limits: Limits, uses: Collection[str]) -> Packed:
        """With the limits of the resources in `uses`; the others are left as they are."""
        path, files = f"{self._jobs}/{name}", dict[str, str]()
        if "cpu" in uses:
            files |= _cpu(limits)
        if "memory" in uses and limits.memory_bytes:
            files |= self._memory(limits)
        if "processes" in uses and limits.pids:
            files["pids.max"] = str(limits.pids)
        if "io weight" in uses and limits.io_weight:
            files[self._weight()] = str(limits.io_weight)
        writes = [(f"{path}/{file}", text) for file, text in files.items()]
        if "io" in uses and (rates := _rates(limits)):
            writes += [(f"{path}/io.max", f"{disk} {rates}") for disk in limits.disks]
        devices = program(limits.denied) if "devices" in uses and limits.denied else b""
        return Cell((path,), tuple(writes), path, path, path, devices).packed()

    def loosening(self, name: str) -> list[tuple[str, str]]:
        """What takes the quota from a cell that may have one."""
        quota = f"{self._jobs}/{name}/cpu.max"
        return [(quota, f"max {PERIOD_US}")] if os.path.exists(quota) else []

    def place_spawner(self, pid: int) -> None:
        """Out of the daemon's service: a service cannot be restarted while its own group has groups below it."""
        if self._scope is not None:
            self._scope.place(pid)
            self._prepare()
        else:
            cell.write(f"{self._shims}/cgroup.procs", str(pid))

    def settled(self) -> None:
        """The spawner is in its place, and keeps the scope."""
        if self._scope is not None:
            self._scope.release()

    def close(self) -> None:
        if self._scope is not None:
            self._scope.release()  # systemd removes the groups of a scope in which nobody is left; it would miss a removal by us
            return
        for path in (self._jobs, self._shims, self._root):
            with suppress(OSError):
                os.rmdir(path)

    def _prepare(self) -> dict[str, str]:
        """The groups and their controllers; what is lacking, and why. Again after a scope had to be made anew."""
        for path in (self._root, self._shims, self._jobs):
            with suppress(FileExistsError):
                os.mkdir(path, 0o755)
        return {name: why for name in CONTROLLERS if (why := self._enable(name))}

    def _enable(self, controller: str) -> str:
        """Why the groups of runs cannot have this controller; empty: they have it."""
        try:
            for group in (self._root, self._jobs):
                if controller not in _words(f"{group}/cgroup.controllers"):
                    return f"the controller '{controller}' is not delegated to '{group}'"
                cell.write(f"{group}/cgroup.subtree_control", f"+{controller}")
        except OSError as error:
            return f"cannot enable the controller '{controller}' below '{group}': {error.strerror}"
        return ""

    def _memory(self, limits: Limits) -> dict[str, str]:
        """No swap beyond it; and who runs out of memory ends as a whole, not by the loss of one process."""
        files = {"memory.max": str(limits.memory_bytes), "memory.oom.group": "1"}
        if self._swap:
            files["memory.swap.max"] = "0"
        if limits.memory_high_bytes:
            files["memory.high"] = str(limits.memory_high_bytes)
        return files

    def _weight(self) -> str:
        return next((name for name in _WEIGHTS if os.path.exists(f"{self._jobs}/{name}")), "")


def _cpu(limits: Limits) -> dict[str, str]:
    files = {"cpuset.cpus": ",".join(map(str, limits.cpus))} if limits.cpus else {}
    if limits.nodes:
        files["cpuset.mems"] = ",".join(map(str, limits.nodes))
    if limits.cpu_weight:
        files["cpu.weight"] = str(limits.cpu_weight)
    if limits.quota_us:
        files["cpu.max"] = f"{limits.quota_us} {PERIOD_US}"
    return files


def _rates(limits: Limits) -> str:
    rates = (("rbps", limits.io_read_bytes_per_s), ("wbps", limits.io_write_bytes_per_s))
    return " ".join(f"{name}={amount}" for name, amount in rates if amount)


def open_root(mount: str, name: str) -> str:
    """A group of ours in the mounted tree, for where no service manager owns it. Raises OSError.

    In a container everybody is in the group that is mounted, and a group with processes cannot give controllers to others: they
    are moved into one beside ours, where they are limited as before.
    """
    for controller in _words(f"{mount}/cgroup.controllers"):
        try:
            _give(mount, controller)
        except OSError:
            continue  # what is missing then is told for our own group
    root = f"{mount}/{name}"
    with suppress(FileExistsError):
        os.mkdir(root, 0o755)
    return root


def _give(mount: str, controller: str) -> None:
    if controller not in CONTROLLERS or controller in _words(f"{mount}/cgroup.subtree_control"):
        return
    try:
        cell.write(f"{mount}/cgroup.subtree_control", f"+{controller}")
    except OSError as error:
        if error.errno != _EBUSY:
            raise
        _move_aside(mount)
        cell.write(f"{mount}/cgroup.subtree_control", f"+{controller}")


def _move_aside(mount: str) -> None:
    aside = f"{mount}/init"
    with suppress(FileExistsError):
        os.mkdir(aside, 0o755)
    for pid in _words(f"{mount}/cgroup.procs"):
        with suppress(OSError):  # it has ended
            cell.write(f"{aside}/cgroup.procs", pid)


def _words(path: str) -> list[str]:
    with open(path, encoding="ascii") as file:
        return file.read().split()
