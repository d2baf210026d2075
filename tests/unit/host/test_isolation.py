"""What is told of the isolation: what was tried and worked is enforced, of everything else it is said why not and what is done instead."""

import pytest

from aiosd.host import isolation
from aiosd.host.cells.port import NO_CELLS, RESOURCES, Enforcement
from aiosd.resources.inventory import Cpu, Device, Inventory
from aiosd.resources.isolation import Isolation

CPUS = (Cpu(0, 0, 0, 0),)
PLAIN = Inventory("h", CPUS, 1, 1)
FULL = Inventory("h", CPUS, 1, 1, devices=(Device("GPU-1", "gpu", 0, paths=("/dev/nvidia0",)), Device("fpga-0", "fpga", 0)))


def told(inventory: Inventory, enforcement: Enforcement, *, watched: bool = True) -> dict[str, Isolation]:
    return {line.resource: line for line in isolation.report(inventory, enforcement, watched=watched)}


def test_without_cells_nothing_is_claimed_that_is_not_there() -> None:
    lines = told(FULL, NO_CELLS.enforcement)
    assert list(lines) == ["cpu", "memory", "processes", "end of a job", "disk traffic", "gpu", "devices", "disk", "network"]
    assert {name for name, line in lines.items() if line.state != isolation.NOT_ENFORCED} == {"memory", "processes", "end of a job", "disk"}
    assert lines["memory"].state == isolation.WATCHED
    assert all(line.detail for line in lines.values())
    assert "isolation.cgroups = off" in lines["cpu"].detail


def test_without_a_watchdog_memory_is_not_watched() -> None:
    assert told(PLAIN, NO_CELLS.enforcement, watched=False)["memory"].state == isolation.NOT_ENFORCED


@pytest.mark.parametrize(("version", "state"), [(1, isolation.ENFORCED_V1), (2, isolation.ENFORCED_V2)])
def test_what_worked_is_enforced(version: int, state: str) -> None:
    lines = told(FULL, Enforcement(version, frozenset(RESOURCES)))
    assert {name for name, line in lines.items() if line.state == state} == {"cpu", "memory", "processes", "end of a job", "disk traffic", "gpu"}


def test_a_device_without_a_file_cannot_be_kept_from_anybody() -> None:
    line = told(FULL, Enforcement(2, frozenset(RESOURCES)))["devices"]
    assert (line.state, "no device file" in line.detail) == (isolation.NOT_ENFORCED, True)


def test_what_did_not_work_says_why_and_what_is_done_instead() -> None:
    held = frozenset(RESOURCES) - {"devices", "io weight"}
    lines = told(FULL, Enforcement(2, held, {"devices": "the kernel loads no programs", "io weight": "no BFQ"}))
    assert lines["gpu"].state == isolation.NOT_ENFORCED
    assert "the kernel loads no programs" in lines["gpu"].detail
    assert "CUDA_VISIBLE_DEVICES" in lines["gpu"].detail
    assert (lines["disk traffic"].state, "no BFQ" in lines["disk traffic"].detail) == (isolation.ENFORCED_V2, True)
