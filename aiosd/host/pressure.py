"""What the kernel tells of the pressure on this machine: /proc/pressure, where it has it, and the memory that is available."""

import os

from aiosd.monitoring.pressure import PressureLook

_KIB = 1024


class KernelPressure:
    """Implements PressureProbe of the monitoring domain. Four small files, read in some ten microseconds. `root`: where /proc is, for tests."""

    def __init__(self, root: str = "/proc") -> None:
        self._root = root

    def look(self) -> PressureLook:
        memory = _amounts(_content(f"{self._root}/meminfo"))
        total = memory.get("MemTotal", 0)
        available = memory.get("MemAvailable", total)
        return PressureLook(available, total, self._pressure("memory"), self._pressure("cpu"), self._pressure("io"))

    def _pressure(self, resource: str) -> float | None:
        return some_avg10(_content(f"{self._root}/pressure/{resource}"))


def some_avg10(content: str) -> float | None:
    """The part of the last ten seconds in which some process waited, in [0, 1]; None where the file says nothing of it."""
    for line in content.splitlines():
        kind, *pairs = line.split()
        if kind == "some":
            values = dict(pair.partition("=")[::2] for pair in pairs)
            try:
                return min(1.0, max(0.0, float(values["avg10"]) / 100))
            except (KeyError, ValueError):
                return None
    return None


def _amounts(meminfo: str) -> dict[str, int]:
    words = (line.split() for line in meminfo.splitlines())
    return {word[0].rstrip(":"): int(word[1]) * _KIB for word in words if len(word) >= 2 and word[1].isdigit()}


def _content(path: str) -> str:
    """Empty where there is no such file, or the kernel was started without PSI (reading then fails)."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        return os.read(fd, 16384).decode("ascii", "replace")
    except OSError:
        return ""
    finally:
        os.close(fd)
