"""What is read of the kernel's files about pressure, be they there or not."""

from pathlib import Path

import pytest

from aiosd.host.pressure import KernelPressure, some_avg10

MEMINFO = "MemTotal:       1000 kB\nMemFree:         10 kB\nMemAvailable:    400 kB\nHugePages_Total:       0\n"


def written(root: Path, files: dict[str, str]) -> KernelPressure:
    (root / "pressure").mkdir()
    for name, text in files.items():
        (root / name).write_text(text)
    return KernelPressure(str(root))


def test_pressure_is_a_part_of_the_time(tmp_path: Path) -> None:
    some = "some avg10=12.50 avg60=1.00 avg300=0.00 total=12\nfull avg10=3.00 avg60=0.00 avg300=0.00 total=1\n"
    found = written(tmp_path, {"meminfo": MEMINFO, "pressure/memory": some, "pressure/cpu": some.replace("12.50", "100.00")}).look()
    assert (found.memory, found.cpu, found.io) == (0.125, 1.0, None)
    assert (found.available_bytes, found.total_bytes) == (400 << 10, 1000 << 10)


def test_a_kernel_without_psi_tells_of_memory_all_the_same(tmp_path: Path) -> None:
    found = written(tmp_path, {"meminfo": MEMINFO}).look()
    assert (found.memory, found.available_bytes) == (None, 400 << 10)


def test_a_kernel_that_does_not_know_what_is_available_holds_nobody_back(tmp_path: Path) -> None:
    found = written(tmp_path, {"meminfo": "MemTotal: 1000 kB\n"}).look()
    assert found.available_bytes == found.total_bytes


@pytest.mark.parametrize("content", ["", "some", "some avg10=", "some avg10=x", "full avg10=1.00"])
def test_what_is_no_pressure_file_says_nothing(content: str) -> None:
    assert some_avg10(content) is None


def test_this_machine_is_read() -> None:
    found = KernelPressure().look()
    assert 0 < found.available_bytes <= found.total_bytes
    assert found.memory is None or 0 <= found.memory <= 1
