"""What is planned for a run, as files and texts: the same limits in the words of v2 and of v1, and nothing that is not in force."""

from dataclasses import replace
from pathlib import Path

import pytest

from aiosd.host.cell import Cell
from aiosd.host.cells.limits import DeviceFile, Limits
from aiosd.host.cells.mounts import Mounts
from aiosd.host.cells.port import RESOURCES
from aiosd.host.cells.v1 import V1
from aiosd.host.cells.v2 import V2

GIB = 1 << 30
LIMITS = Limits(
    cpus=(1, 4), nodes=(0,), quota_us=150_000, cpu_weight=150, memory_bytes=GIB, memory_high_bytes=GIB // 2, pids=100, disks=("8:0", "8:16"),
    io_read_bytes_per_s=200, io_write_bytes_per_s=100, io_weight=500, denied=(DeviceFile("c", 195, 1),),
)  # fmt: skip
CONTROLLERS = ("memory", "cpuset", "cpu", "pids", "blkio", "devices", "freezer")


@pytest.fixture
def v1(tmp_path: Path) -> V1:
    """A machine whose hierarchies are plain directories."""
    for name in CONTROLLERS:
        (tmp_path / name / "aios").mkdir(parents=True)
    for file in ("cpuset.cpus", "cpuset.mems"):
        (tmp_path / "cpuset" / file).write_text("0-7\n" if file.endswith("cpus") else "0-1\n")
        (tmp_path / "cpuset" / "aios" / file).touch()
    (tmp_path / "memory" / "aios" / "memory.memsw.limit_in_bytes").touch()
    (tmp_path / "blkio" / "aios" / "blkio.bfq.weight").touch()
    return V1(Mounts({name: str(tmp_path / name) for name in CONTROLLERS}), "aios")


@pytest.fixture
def v2(tmp_path: Path) -> V2:
    (tmp_path / "jobs").mkdir()
    for file in ("memory.swap.max", "io.weight"):
        (tmp_path / "jobs" / file).touch()
    return V2(str(tmp_path))


def written(tree: V1 | V2, limits: Limits = LIMITS, uses: tuple[str, ...] = RESOURCES) -> dict[str, list[str]]:
    """File (without its directory) -> what is written to it, in order."""
    found: dict[str, list[str]] = {}
    for path, text in Cell(*tree.cell("1.-1.1", limits, uses)).writes:  # type: ignore[arg-type]
        found.setdefault(Path(path).name, []).append(text)
    return found


def test_v2_has_one_group_with_everything(v2: V2, tmp_path: Path) -> None:
    assert written(v2) == {
        "cpuset.cpus": ["1,4"], "cpuset.mems": ["0"], "cpu.weight": ["150"], "cpu.max": ["150000 100000"], "memory.max": [str(GIB)], "memory.oom.group": ["1"],
        "memory.swap.max": ["0"], "memory.high": [str(GIB // 2)], "pids.max": ["100"], "io.weight": ["500"],
        "io.max": ["8:0 rbps=200 wbps=100", "8:16 rbps=200 wbps=100"],
    }  # fmt: skip
    cell = Cell(*v2.cell("1.-1.1", LIMITS, RESOURCES))  # type: ignore[arg-type]
    leaf = str(tmp_path / "jobs" / "1.-1.1")
    assert (cell.directories, cell.killing, cell.memory, cell.pressure, bool(cell.program)) == ((leaf,), leaf, leaf, leaf, True)


def test_v1_has_a_group_in_each_hierarchy_that_is_needed(v1: V1) -> None:
    assert written(v1) == {
        "cpuset.cpus": ["1,4"], "cpuset.mems": ["0"], "cpu.shares": ["1536"], "cpu.cfs_quota_us": ["150000"], "memory.limit_in_bytes": [str(GIB)],
        "memory.memsw.limit_in_bytes": [str(GIB)], "memory.soft_limit_in_bytes": [str(GIB // 2)], "pids.max": ["100"], "blkio.bfq.weight": ["500"],
        "blkio.throttle.read_bps_device": ["8:0 200", "8:16 200"], "blkio.throttle.write_bps_device": ["8:0 100", "8:16 100"],
        "devices.deny": ["c 195:1 rwm"],
    }  # fmt: skip
    cell = Cell(*v1.cell("1.-1.1", LIMITS, RESOURCES))  # type: ignore[arg-type]
    assert [Path(path).parts[-3] for path in cell.directories] == ["freezer", "memory", "cpuset", "cpu", "pids", "blkio", "devices"]
    assert (Path(cell.killing).parts[-3], cell.pressure, cell.program) == ("freezer", "", b"")


def test_a_plain_job_costs_v1_four_groups(v1: V1) -> None:
    plain = Limits(cpus=(1,), cpu_weight=100, memory_bytes=GIB, pids=100, disks=("8:0",))
    cell = Cell(*v1.cell("1.-1.1", plain, RESOURCES))  # type: ignore[arg-type]
    assert [Path(path).parts[-3] for path in cell.directories] == ["freezer", "memory", "cpuset", "pids"]
    assert written(v1, plain)["cpuset.mems"] == ["0-1"]  # whoever is bound to no node has all of them


def test_nothing_is_written_of_what_is_not_held_or_not_limited(v1: V1, v2: V2) -> None:
    for tree in (v1, v2):
        assert written(tree, uses=()) == {}
        assert written(tree, Limits()) == {}
    assert set(written(v2, uses=("memory",))) == {"memory.max", "memory.oom.group", "memory.swap.max", "memory.high"}
    assert written(v2, replace(LIMITS, io_write_bytes_per_s=0), ("io",)) == {"io.max": ["8:0 rbps=200", "8:16 rbps=200"]}


def test_what_a_machine_has_not_is_said(tmp_path: Path) -> None:
    tree = V1(Mounts({}), "aios")
    assert tree.lacks("memory") == "this machine has no memory hierarchy"
    assert tree.killing == ""
    assert "'memory'" in V2(str(tmp_path)).lacks("memory")


def test_a_directory_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "memory").write_text("a file")
    assert "cannot write" in V1(Mounts({"memory": str(tmp_path / "memory")}), "aios").lacks("memory")
