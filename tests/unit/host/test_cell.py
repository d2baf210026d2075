"""The shim's side of cells on plain directories: what is made, counted and removed, and what is said when it cannot be."""

import time
from pathlib import Path

import pytest

from aiosd.host import cell
from aiosd.host.cell import CannotConfine, Cell


def test_it_is_made_limited_and_removed(tmp_path: Path) -> None:
    made = Cell((str(tmp_path / "a"), str(tmp_path / "b")), (), str(tmp_path / "a"))
    made.make()
    assert (tmp_path / "a").is_dir()
    assert (tmp_path / "b").is_dir()
    assert made.remove()
    assert list(tmp_path.iterdir()) == []
    assert made.remove()  # once more changes nothing


def test_a_limit_that_is_refused_leaves_nothing_behind(tmp_path: Path) -> None:
    made = Cell((str(tmp_path / "a"),), ((str(tmp_path / "a" / "memory.max"), "1"),), str(tmp_path / "a"))
    with pytest.raises(CannotConfine, match=r"cannot set up the control group '.*memory\.max': No such file"):
        made.make()
    assert list(tmp_path.iterdir()) == []


def test_what_is_left_of_one_of_the_same_name_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    Cell((str(tmp_path / "a"),), (), str(tmp_path / "a")).make()
    assert (tmp_path / "a").is_dir()


def test_what_does_not_go_is_left_when_patience_ends(tmp_path: Path) -> None:
    (tmp_path / "a" / "inner").mkdir(parents=True)
    assert not cell.remove(str(tmp_path / "a"), str(tmp_path / "a"), time.monotonic())


def test_it_travels(tmp_path: Path) -> None:
    made = Cell((str(tmp_path),), (("file", "text"),), "k", "m", "p", b"code")
    assert Cell(*made.packed()).packed() == made.packed()


V2 = {"memory.peak": "4096\n", "memory.events": "low 0\nhigh 0\nmax 3\noom 1\noom_kill 2\n"}
V1 = {"memory.max_usage_in_bytes": "1048576\n", "memory.limit_in_bytes": "1048576\n", "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n"}
PRESSURE = {f"{name}.pressure": f"some avg10=0.00 avg60=0.00 avg300=0.00 total={total}\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=9\n"
            for name, total in (("cpu", 1_500_000), ("memory", 0), ("io", 250_000))}  # fmt: skip


def counted(directory: Path, files: dict[str, str]) -> dict[str, cell.Value]:
    for name, text in files.items():
        (directory / name).write_text(text)
    return Cell((str(directory),), (), str(directory), str(directory), str(directory)).usage()


def test_what_the_kernel_counted_by_v2(tmp_path: Path) -> None:
    found = counted(tmp_path, V2 | PRESSURE)
    assert found == {"cell_peak_bytes": 4096, "oom_kills": 2, "oom_by_limit": True, "cpu_pressure_s": 1.5, "memory_pressure_s": 0.0, "io_pressure_s": 0.25}


def test_who_is_killed_because_the_machine_is_short_has_not_reached_its_limit(tmp_path: Path) -> None:
    found = counted(tmp_path, {"memory.events": "oom 0\noom_kill 1\n"})
    assert (found["oom_kills"], found["oom_by_limit"]) == (1, False)


def test_what_the_kernel_counted_by_v1(tmp_path: Path) -> None:
    found = counted(tmp_path, V1)
    assert (found["cell_peak_bytes"], found["oom_kills"], found["oom_by_limit"], found["cpu_pressure_s"]) == (1 << 20, 1, True, 0.0)


def test_by_v1_too_the_machine_can_have_been_short(tmp_path: Path) -> None:
    found = counted(tmp_path, V1 | {"memory.limit_in_bytes": str(1 << 30)})
    assert (found["oom_kills"], found["oom_by_limit"]) == (1, False)


def test_of_a_group_that_was_never_made_nothing_is_counted(tmp_path: Path) -> None:
    gone = str(tmp_path / "gone")
    assert Cell((gone,), (), gone, gone, "").usage() == {"cell_peak_bytes": 0, "oom_kills": 0, "oom_by_limit": False}
    cell.kill(gone)
    assert not cell.occupied(gone)
