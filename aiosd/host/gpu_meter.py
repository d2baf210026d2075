"""What each process uses of the NVIDIA GPUs, by NVML; nothing where there is none, and no library is loaded before a run uses one."""

from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any  # NVML's handles and structures have no types


@dataclass(frozen=True, slots=True)
class GpuUse:
    """`permille` of one GPU, summed over the GPUs."""

    memory_bytes: int = 0
    permille: int = 0


class GpuMeter:
    """Not for several threads at once."""

    def __init__(self) -> None:
        self._nvml: ModuleType | None = None
        self._tried = False
        self._seen_us: dict[int, int] = {}  # by GPU: the time of the newest utilisation sample

    def by_process(self) -> dict[int, GpuUse]:
        """By pid, as NVML sees it now."""
        nvml = self._load()
        found: dict[int, GpuUse] = {}
        if nvml is None:
            return found
        for number in range(self._count(nvml)):
            for pid, use in self._of_gpu(nvml, number):
                before = found.get(pid, GpuUse())
                found[pid] = GpuUse(before.memory_bytes + use.memory_bytes, before.permille + use.permille)
        return found

    def _load(self) -> ModuleType | None:
        """NVML, once; a machine without it is normal."""
        if not self._tried:
            self._tried = True
            import pynvml  # costs memory that most machines need not spend

            try:
                pynvml.nvmlInit()
            except pynvml.NVMLError:
                return None
            self._nvml = pynvml
        return self._nvml

    def _count(self, nvml: ModuleType) -> int:
        try:
            return int(nvml.nvmlDeviceGetCount())
        except nvml.NVMLError:
            return 0

    def _of_gpu(self, nvml: ModuleType, number: int) -> Iterator[tuple[int, GpuUse]]:
        """What NVML does not tell (the utilisation in MIG mode) counts as nothing."""
        try:
            handle = nvml.nvmlDeviceGetHandleByIndex(number)
        except nvml.NVMLError:
            return
        try:
            for process in nvml.nvmlDeviceGetComputeRunningProcesses(handle):
                yield int(process.pid), GpuUse(memory_bytes=int(process.usedGpuMemory or 0))
        except nvml.NVMLError:
            pass  # the utilisation may still be known
        yield from self._utilisation(nvml, number, handle)

    def _utilisation(self, nvml: ModuleType, number: int, handle: Any) -> Iterator[tuple[int, GpuUse]]:
        """The mean of each process's samples since the look before."""
        try:
            samples = nvml.nvmlDeviceGetProcessUtilization(handle, self._seen_us.get(number, 0))
        except nvml.NVMLError:  # also: there is no new sample
            return
        percents: dict[int, list[int]] = {}
        for sample in samples:
            self._seen_us[number] = max(self._seen_us.get(number, 0), int(sample.timeStamp))
            percents.setdefault(int(sample.pid), []).append(int(sample.smUtil))
        for pid, values in percents.items():
            yield pid, GpuUse(permille=10 * sum(values) // len(values))
