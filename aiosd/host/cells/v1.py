"""Cells of control groups v1: a directory in the hierarchy of each controller that a run needs, and no more of them than that.

Where there is a v2 tree beside it, even an empty one (hybrid), runs are killed and their pressure is read there; else the freezer does it.
"""

import os
from collections.abc import Collection
from contextlib import suppress

from aiosd.host import cell
from aiosd.host.cell import Cell
from aiosd.host.cells.limits import Limits
from aiosd.host.cells.mounts import Mounts
from aiosd.host.cells.port import Packed

UNIFIED = "unified"
NEEDS = {"cpu": ("cpuset",), "memory": ("memory",), "processes": ("pids",), "io": ("blkio",), "io weight": ("blkio",), "devices": ("devices",)}
_SHARES_OF_ONE = 1024
_WEIGHTS = ("blkio.bfq.weight", "blkio.weight")


class V1:
    """`parents` has the directory of this daemon in each hierarchy: controller -> path; `lacking` why one has none."""

    version = 1

    def __init__(self, mounts: Mounts, name: str) -> None:
        self.parents: dict[str, str] = {}
        self.lacking: dict[str, str] = {}
        for controller in ("memory", "cpuset", "cpu", "pids", "blkio", "devices", "freezer"):
            self._open(controller, mounts.v1.get(controller, ""), name)
        self._open(UNIFIED, mounts.unified, name)
        self._swap = os.path.exists(f"{self.parents.get('memory', '')}/memory.memsw.limit_in_bytes")
        self._nodes = _read(f"{self.parents['cpuset']}/cpuset.mems") if "cpuset" in self.parents else ""
        weights = (name for name in _WEIGHTS if os.path.exists(f"{self.parents.get('blkio', '')}/{name}"))
        self._weight = next(weights, "")
        self._can_kill = _has_kill(self.parents.get(UNIFIED, ""))

    @property
    def killing(self) -> str:
        """The hierarchy through which runs are killed; empty where there is none that can."""
        if self._can_kill:
            return UNIFIED
        return "freezer" if "freezer" in self.parents else ""

    def lacks(self, resource: str) -> str:
        """Why this resource cannot be limited; empty: it may be tried."""
        missing = [controller for controller in NEEDS[resource] if controller not in self.parents]
        if not missing and resource == "io weight" and not self._weight:
            return "the kernel has no weights of block I/O (they come with the BFQ scheduler)"
        return "; ".join(self.lacking[controller] for controller in missing)

    def cell(self, name: str, limits: Limits, uses: Collection[str]) -> Packed:
        """With the limits of the resources in `uses`; the others are left as they are."""
        writes: list[tuple[str, str]] = []
        directories = [f"{self.parents[self.killing]}/{name}"]

        def group(controller: str) -> str:
            path = f"{self.parents[controller]}/{name}"
            if path not in directories:
                directories.append(path)
            return path

        if "memory" in uses and limits.memory_bytes:
            writes += self._memory(group("memory"), limits)
        if "cpu" in uses and limits.cpus:
            writes += self._cpuset(group("cpuset"), limits)
            if limits.quota_us and "cpu" in self.parents:
                writes += _cpu(group("cpu"), limits)
        if "processes" in uses and limits.pids:
            writes.append((f"{group('pids')}/pids.max", str(limits.pids)))
        if limits.io_read_bytes_per_s or limits.io_write_bytes_per_s or limits.io_weight:
            writes += self._io(group("blkio"), limits, uses) if {"io", "io weight"}.intersection(uses) else []
        if "devices" in uses and limits.denied:
            devices = group("devices")
            writes += [(f"{devices}/devices.deny", f"{file.kind} {file.major}:{file.minor} rwm") for file in limits.denied]
        memory = f"{self.parents['memory']}/{name}" if "memory" in uses and limits.memory_bytes else ""
        return Cell(tuple(directories), tuple(writes), directories[0], memory, directories[0] if self.killing == UNIFIED else "").packed()

    def loosening(self, name: str) -> list[tuple[str, str]]:
        """What takes the quota from a cell that has one."""
        quota = f"{self.parents.get('cpu', '')}/{name}/cpu.cfs_quota_us"
        return [(quota, "-1")] if os.path.exists(quota) else []

    def place_spawner(self, pid: int) -> None:
        """Nothing keeps it from outliving the daemon where it is: no service manager ends what is in these groups."""

    def settled(self) -> None:
        """Nothing was held for the spawner."""

    def close(self) -> None:
        for path in set(self.parents.values()):
            with suppress(OSError):
                os.rmdir(path)

    def _open(self, controller: str, mount: str, name: str) -> None:
        if not mount:
            self.lacking[controller] = f"this machine has no {controller} hierarchy"
            return
        path = f"{mount}/{name}"
        try:
            os.makedirs(path, exist_ok=True)
            if controller == "cpuset":
                for file in ("cpuset.cpus", "cpuset.mems"):
                    cell.write(f"{path}/{file}", _read(f"{mount}/{file}"))
        except OSError as error:
            self.lacking[controller] = f"cannot write '{path}': {error.strerror}"
        else:
            self.parents[controller] = path

    def _memory(self, path: str, limits: Limits) -> list[tuple[str, str]]:
        """No swap beyond it: memory and swap together have the same limit."""
        names = ["memory.limit_in_bytes", *(["memory.memsw.limit_in_bytes"] if self._swap else [])]
        soft = [(f"{path}/memory.soft_limit_in_bytes", str(limits.memory_high_bytes))] if limits.memory_high_bytes else []
        return [*((f"{path}/{name}", str(limits.memory_bytes)) for name in names), *soft]

    def _cpuset(self, path: str, limits: Limits) -> list[tuple[str, str]]:
        nodes = ",".join(map(str, limits.nodes)) or self._nodes
        return [(f"{path}/cpuset.mems", nodes), (f"{path}/cpuset.cpus", ",".join(map(str, limits.cpus)))]

    def _io(self, path: str, limits: Limits, uses: Collection[str]) -> list[tuple[str, str]]:
        rates = (("read", limits.io_read_bytes_per_s), ("write", limits.io_write_bytes_per_s)) if "io" in uses else ()
        lines = [(f"{path}/blkio.throttle.{way}_bps_device", f"{disk} {amount}") for way, amount in rates if amount for disk in limits.disks]
        return [*lines, (f"{path}/{self._weight}", str(limits.io_weight))] if limits.io_weight and "io weight" in uses else lines


def _cpu(path: str, limits: Limits) -> list[tuple[str, str]]:
    shares = max(2, _SHARES_OF_ONE * limits.cpu_weight // 100)
    return [(f"{path}/cpu.cfs_quota_us", str(limits.quota_us)), (f"{path}/cpu.shares", str(shares))]


def _has_kill(parent: str) -> bool:
    """Linux 5.14 and later; the file is there in every group but the root."""
    return bool(parent) and os.path.exists(f"{parent}/cgroup.kill")


def _read(path: str) -> str:
    with open(path, encoding="ascii") as file:
        return file.read().strip()
