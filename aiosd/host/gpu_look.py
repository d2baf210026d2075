"""One look at the NVIDIA GPUs through NVML: processes, utilisation, errors. Blocks as long as the driver does; one thread only."""

import os
import pwd
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import ModuleType
from typing import Any  # NVML's handles and structures have no types

from aiosd.monitoring.looks import DeviceLook, GpuProcess

# From nvml.h.
_NOT_SUPPORTED, _NO_PERMISSION, _NOT_FOUND, _TIMEOUT, _FUNCTION_NOT_FOUND = 3, 4, 6, 10, 13
_HARMLESS = (_NOT_SUPPORTED, _NO_PERMISSION, _FUNCTION_NOT_FOUND)  # the device cannot tell this, and is well
_XID, _DOUBLE_BIT = 8, 2  # types of events
_DOUBLE_BIT_XID = 48
_MOST_EVENTS = 64  # in one look
_MOST_GENERATIONS = 1000
_TROUBLED_LOOKS = 10  # after so many, the library is opened anew: it does not see by itself that a GPU came back


@dataclass(frozen=True, slots=True)
class Watched:
    """A GPU or MIG instance that is looked at; `parent_id` of an instance: its GPU."""

    device_id: str
    name: str
    paths: tuple[str, ...] = ()
    parent_id: str = ""


class GpuEyes:
    """`look` again and again. Not for several threads at once."""

    def __init__(self, devices: Sequence[Watched], load: Callable[[], ModuleType] | None = None) -> None:
        self._devices = tuple(devices)
        self._load = load or _pynvml
        self._nvml: Any = None
        self._events: Any = None
        self._seen_us: dict[str, int] = {}  # by device: the time of the newest utilisation sample
        self._troubled = 0

    def look(self, runs: Mapping[str, int]) -> list[DeviceLook]:
        """All devices now; where the library cannot be used, each has that as its trouble."""
        problem = self._open()
        if problem:
            return [DeviceLook(device.device_id, device.name, None, trouble=problem) for device in self._devices]
        xids = self._xids()
        family = _Family(runs)
        looks = [self._device(device, xids, family) for device in self._devices]
        self._troubled = self._troubled + 1 if any(look.trouble for look in looks) else 0
        if self._troubled >= _TROUBLED_LOOKS:
            self._close()
        return looks

    def _open(self) -> str:
        """What keeps the library from being used; "" when it is open."""
        if self._nvml is not None:
            return ""
        try:
            nvml = self._load()
        except ImportError as error:
            return f"NVIDIA's management library cannot be loaded: {error}"
        try:
            nvml.nvmlInit()
        except nvml.NVMLError as error:
            return f"NVIDIA's driver does not answer: {error}"
        self._nvml, self._troubled = nvml, 0
        self._events = self._register()
        return ""

    def _close(self) -> None:
        nvml, self._nvml, self._events = self._nvml, None, None
        try:
            nvml.nvmlShutdown()
        except nvml.NVMLError:
            return  # it is opened anew all the same

    def _register(self) -> Any:
        """The driver's reports of errors; None where it has none."""
        nvml = self._nvml
        try:
            events = nvml.nvmlEventSetCreate()
        except nvml.NVMLError:
            return None
        for gpu in dict.fromkeys(device.parent_id or device.device_id for device in self._devices):
            for kind in (_XID, _DOUBLE_BIT):
                self._quietly(lambda gpu=gpu, kind=kind: nvml.nvmlDeviceRegisterEvents(nvml.nvmlDeviceGetHandleByUUID(gpu), kind, events))  # type: ignore[misc]
        return events

    def _xids(self) -> dict[str, list[int]]:
        """What was reported since the last look, by GPU."""
        found: dict[str, list[int]] = {}
        for _ in range(_MOST_EVENTS if self._events is not None else 0):
            event = self._quietly(lambda: self._nvml.nvmlEventSetWait_v2(self._events, 0))
            if event is None:
                break
            gpu = self._quietly(lambda event=event: _text(self._nvml.nvmlDeviceGetUUID(event.device)))  # type: ignore[misc]
            xid = _DOUBLE_BIT_XID if int(event.eventType) == _DOUBLE_BIT else int(event.eventData)
            if gpu is None:  # a lost one does not tell its name any more: who is alone is meant
                gpu = self._devices[0].device_id if len(self._devices) == 1 else ""
            found.setdefault(gpu, []).append(xid)
        return found

    def _quietly(self, ask: Callable[[], Any]) -> Any:
        """The answer; None for any error: for what a look can do without."""
        try:
            return ask()
        except self._nvml.NVMLError:
            return None

    def _device(self, device: Watched, xids: Mapping[str, list[int]], family: "_Family") -> DeviceLook:
        reported = tuple(xids.get(device.parent_id or device.device_id, ()))
        gone = next((path for path in device.paths if not os.path.exists(path)), "")
        if gone:
            return DeviceLook(device.device_id, device.name, None, trouble=f"its device file {gone} is gone", xids=reported)
        nvml = self._nvml
        try:
            handle = nvml.nvmlDeviceGetHandleByUUID(device.device_id)
            processes = self._processes(device.device_id, handle, family)
            busy = self._harmlessly(lambda: 10 * int(nvml.nvmlDeviceGetUtilizationRates(handle).gpu))
            errors = self._harmlessly(lambda: int(nvml.nvmlDeviceGetTotalEccErrors(handle, 1, 0)))  # uncorrected, volatile
        except nvml.NVMLError as error:
            return DeviceLook(device.device_id, device.name, None, trouble=str(error), xids=reported)
        return DeviceLook(device.device_id, device.name, processes, busy, "", reported, errors)

    def _harmlessly(self, ask: Callable[[], Any]) -> Any:
        """The answer; None where this device or this user has none. Raises NVMLError for what is wrong with the device."""
        try:
            return ask()
        except self._nvml.NVMLError as error:
            if error.value in (*_HARMLESS, _NOT_FOUND):
                return None
            raise

    def _processes(self, device_id: str, handle: Any, family: "_Family") -> tuple[GpuProcess, ...] | None:
        nvml = self._nvml
        computing = self._harmlessly(lambda: nvml.nvmlDeviceGetComputeRunningProcesses(handle))
        drawing = self._harmlessly(lambda: nvml.nvmlDeviceGetGraphicsRunningProcesses(handle))
        if computing is None and drawing is None:
            return None
        busy = self._busy(device_id, handle)
        found: dict[int, GpuProcess] = {}
        for process, graphics in (*((p, False) for p in computing or ()), *((p, True) for p in drawing or ())):
            pid = int(process.pid)
            if pid in found or not family.knows(pid):  # listed twice, or over meanwhile, or of another process namespace
                continue
            use = None if busy is None else busy.get(pid, 0)
            found[pid] = GpuProcess(pid, int(process.usedGpuMemory or 0), use, graphics, *family.place(pid))
        return tuple(found.values())

    def _busy(self, device_id: str, handle: Any) -> dict[int, int] | None:
        """Thousandths of the device by process, the mean of its samples since the look before.

        None where it is not told (MIG), or not now: that there is no new sample says nothing about what a process did.
        """
        try:
            samples = self._nvml.nvmlDeviceGetProcessUtilization(handle, self._seen_us.get(device_id, 0))
        except self._nvml.NVMLError:
            return None
        percents: dict[int, list[int]] = {}
        for sample in samples:
            self._seen_us[device_id] = max(self._seen_us.get(device_id, 0), int(sample.timeStamp))
            percents.setdefault(int(sample.pid), []).append(int(sample.smUtil))
        return {pid: 10 * sum(values) // len(values) for pid, values in percents.items()}


class _Family:
    """Whose a process is, by its parents: a run's shim gathers all that its processes leave behind, so the way up never breaks."""

    def __init__(self, runs: Mapping[str, int]) -> None:
        self._by_shim = {pid: key for key, pid in runs.items()}
        self._parents: dict[int, int | None] = {}  # of those that were asked for; None: there is no such process

    def knows(self, pid: int) -> bool:
        return self._parent(pid) is not None

    def place(self, pid: int) -> tuple[str, bool, str, str]:
        """(run, ours, user, program) of a process; a run's and the daemon's own need no name."""
        own = os.getpid()
        above: int | None = pid
        for _ in range(_MOST_GENERATIONS):  # pids that were given out again could make a circle
            if above in self._by_shim:
                return self._by_shim[above], False, "", ""
            if above == own:
                return "", True, "", ""
            above = self._parent(above) if above else None
            if above is None:
                break
        return "", False, _user_of(pid), _program_of(pid)

    def _parent(self, pid: int) -> int | None:
        if pid not in self._parents:
            self._parents[pid] = _parent_of(pid)
        return self._parents[pid]


def _parent_of(pid: int) -> int | None:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[1])
    except (OSError, IndexError):
        return None


def _user_of(pid: int) -> str:
    try:
        return _name_of(os.stat(f"/proc/{pid}").st_uid)
    except OSError:
        return ""


@lru_cache(256)
def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _program_of(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/comm", "rb") as file:
            short = file.read().strip().decode(errors="replace")
    except OSError:
        return ""
    try:  # the kernel cuts names after 15 letters
        return os.path.basename(os.readlink(f"/proc/{pid}/exe")) or short
    except OSError:
        return short


def _text(value: str | bytes) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def _pynvml() -> ModuleType:
    import pynvml  # costs 50 ms and memory, which a machine without GPUs need not spend

    return pynvml  # type: ignore[no-any-return]
