"""Cells under test: each kind that this machine has, behind one shape; what it has not is skipped, with the reason."""

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from aiosd.host.cells.kernel import KernelCells
from aiosd.host.cells.limits import CellSettings, Machine
from aiosd.host.cells.mounts import Mounts, mounts
from aiosd.host.cells.opening import device_files, name_of, open_cells, remove_all, scope_of
from aiosd.host.cells.port import Cells
from aiosd.host.cells.trial import try_out
from aiosd.host.cells.v2 import V2, open_root
from aiosd.jobs.job import Job
from aiosd.resources.grant import CpuGrant, DeviceGrant, Grant
from aiosd.resources.inventory import Cpu, Device, Inventory
from tests.contract.launching import RealWorld, job

KINDS = ("v2", "v1", "v1-freezer", "none")
CPU = min(os.sched_getaffinity(0))
PIDS = 40


@dataclass(frozen=True)
class Confined:
    """Runs of the real launcher in cells of one kind. `devices`: two device files, of which a job may be given one."""

    world: RealWorld
    kind: str
    cells: Cells
    devices: tuple[Path, Path]

    def holds(self, resource: str) -> None:
        """Skips the test where the kernel does not hold jobs to this resource."""
        held = self.cells.enforcement
        if resource not in held.held:
            pytest.skip(f"{resource}: {held.lacking[resource]}")

    def job(self, *command: str, memory_bytes: int = 1 << 30, millis: int = 1000, devices: tuple[int, ...] = (), number: int = 1, **more: object) -> Job:
        made = job(*command, number=number, **more)  # type: ignore[arg-type]
        assert made.run is not None
        granted = tuple(DeviceGrant(f"fake-{n}", "fake", n, 1000, 0) for n in devices)
        return replace(made, run=replace(made.run, grant=Grant((CpuGrant(CPU, millis),), memory_bytes, granted)))

    def sh(self, script: str, **more: object) -> Job:
        return self.job("/bin/sh", "-c", script, **more)  # type: ignore[arg-type]


def what_there_is(kind: str) -> Mounts | str:
    """The hierarchies that cells of this kind are made of; or why there are none."""
    found = mounts()
    if kind == "none":
        return Mounts()
    if os.geteuid() != 0:
        return "needs to be root"
    if kind == "v2":
        return Mounts({}, found.unified) if found.unified else "this machine has no v2 tree"
    if not found.v1:
        return "this machine has no v1 controllers"
    return found if kind == "v1" else Mounts(found.v1, "")


@pytest.fixture(params=KINDS)
def confined(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Confined]:
    kind: str = request.param
    there = what_there_is(kind)
    if isinstance(there, str):
        pytest.skip(there)
    state = tmp_path / "state"
    devices = _device_files(tmp_path) if os.geteuid() == 0 else (tmp_path / "a", tmp_path / "b")
    settings = CellSettings(pids_max=PIDS)
    cells = open_cells(state, inventory(devices), settings, there)
    if kind == "v2" and not cells.enforcement.version:
        cells = _bare_v2(there.unified, state, inventory(devices), settings)
    world = RealWorld(state, cells)
    yield Confined(world, kind, cells, devices)
    remove_all(state)


def _bare_v2(mount: str, state: Path, machine: Inventory, settings: CellSettings) -> Cells:
    """A daemon leaves a tree without controllers alone; but runs can be killed in it, and kept from devices."""
    try:
        tree = V2(open_root(mount, name_of(state)))
    except OSError as error:
        pytest.skip(f"the v2 tree cannot be written: {error.strerror}")
    there = Machine(machine, device_files(machine))
    enforcement = try_out(tree, there)
    if not enforcement.version:
        tree.close()
        pytest.skip("; ".join(set(enforcement.lacking.values())))
    return KernelCells(tree, there, settings, enforcement)


def inventory(devices: tuple[Path, ...] = ()) -> Inventory:
    cpus = tuple(Cpu(cpu, cpu, 0, 0) for cpu in sorted(os.sched_getaffinity(0)))
    return Inventory("test", cpus, 1 << 40, 1 << 40, devices=tuple(Device(f"fake-{n}", "fake", n, paths=(str(path),)) for n, path in enumerate(devices)))


def _device_files(directory: Path) -> tuple[Path, Path]:
    """Of /dev/full and /dev/port's kind: harmless to open, and needed by nobody else in these tests."""
    made = []
    for name, numbers in (("one", os.makedev(1, 7)), ("other", os.makedev(1, 11))):
        path = directory / name
        os.mknod(path, 0o666 | stat.S_IFCHR, numbers)
        made.append(path)
    return made[0], made[1]


def memberships(pid: int | str = "self") -> Mapping[str, str]:
    """The group of a process in each hierarchy; of v2, whose name is empty, too."""
    lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    return {name: path for _, name, path in (line.split(":", 2) for line in lines)}


def trees(state: Path) -> list[Path]:
    """The directories that hold the cells of the daemon with this state directory."""
    there = mounts()
    places = sorted({*there.v1.values(), there.unified} - {""})
    scopes = Path(there.unified).glob(f"*/{scope_of(name_of(state))}") if there.unified else ()
    return [*(tree for place in places if (tree := Path(place, name_of(state))).is_dir()), *scopes]
