"""NVIDIA GPUs and MIG instances, through NVML; a machine without NVIDIA's driver simply has none."""

from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path
from typing import Protocol, TypeVar, cast

from aiosd.host.probes.found import Found
from aiosd.host.probes.kernel_files import read_int, read_text
from aiosd.resources.inventory import Device, DeviceLink
from aiosd.resources.settings import ResourceSettings

_T = TypeVar("_T")

# From nvml.h. Numbers, because the fake in the tests has no header.
_NOT_SUPPORTED, _NOT_FOUND, _DRIVER_NOT_LOADED, _LIBRARY_NOT_FOUND = 3, 6, 9, 12
_P2P_NVLINK, _P2P_OK = 2, 0
_LEVELS = ((10, "pix"), (20, "pxb"), (30, "phb"), (40, "node"), (50, "sys"))  # nearest common ancestor, up to this level


class NvmlError(Exception):
    """How NVML's errors look: the number is in `value`."""

    value: int


class _MemoryInfo(Protocol):
    total: int


class _PciInfo(Protocol):
    @property
    def busId(self) -> str | bytes: ...  # noqa: N802  # NVML's name


class Nvml(Protocol):
    """The functions of pynvml used here. Handles are opaque."""

    NVMLError: type[NvmlError]

    def nvmlInit(self) -> None: ...  # noqa: N802
    def nvmlShutdown(self) -> None: ...  # noqa: N802
    def nvmlDeviceGetCount(self) -> int: ...  # noqa: N802
    def nvmlDeviceGetHandleByIndex(self, index: int) -> object: ...  # noqa: N802
    def nvmlDeviceGetUUID(self, handle: object) -> str | bytes: ...  # noqa: N802
    def nvmlDeviceGetName(self, handle: object) -> str | bytes: ...  # noqa: N802
    def nvmlDeviceGetMemoryInfo(self, handle: object) -> _MemoryInfo: ...  # noqa: N802
    def nvmlDeviceGetMinorNumber(self, handle: object) -> int: ...  # noqa: N802
    def nvmlDeviceGetPciInfo(self, handle: object) -> _PciInfo: ...  # noqa: N802
    def nvmlDeviceGetMigMode(self, handle: object) -> list[int]: ...  # noqa: N802
    def nvmlDeviceGetMaxMigDeviceCount(self, handle: object) -> int: ...  # noqa: N802
    def nvmlDeviceGetMigDeviceHandleByIndex(self, handle: object, index: int) -> object: ...  # noqa: N802
    def nvmlDeviceGetGpuInstanceId(self, handle: object) -> int: ...  # noqa: N802
    def nvmlDeviceGetComputeInstanceId(self, handle: object) -> int: ...  # noqa: N802
    def nvmlDeviceGetP2PStatus(self, a: object, b: object, capability: int) -> int: ...  # noqa: N802
    def nvmlDeviceGetTopologyCommonAncestor(self, a: object, b: object) -> int: ...  # noqa: N802


def probe_nvidia(_settings: ResourceSettings, root: Path = Path("/"), nvml: Nvml | None = None) -> Found:
    """All GPUs, or the MIG instances of those that are split, and how they are connected.

    No library or no driver is normal. A GPU that answers with an error is listed with what it said as its health.
    """
    nvml = nvml or _library()
    if nvml is None:
        return Found()
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        absent = error.value in (_LIBRARY_NOT_FOUND, _DRIVER_NOT_LOADED)
        return Found() if absent else Found(warnings=(f"NVIDIA's management library cannot be used: {error}",))
    try:
        return _Survey(nvml, root).look()
    except nvml.NVMLError as error:
        return Found(warnings=(f"the NVIDIA GPUs cannot be counted: {error}",))
    finally:
        _quietly(nvml, nvml.nvmlShutdown, None)


def _library() -> Nvml | None:
    try:
        import pynvml  # imported here: it costs 50 ms, and most machines that test this have no GPU
    except ImportError:
        return None
    return cast(Nvml, pynvml)


def _quietly(nvml: Nvml, ask: Callable[[], _T], default: _T) -> _T:
    """The answer, or `default` for any error: for what a GPU can do its work without."""
    try:
        return ask()
    except nvml.NVMLError:
        return default


def _text(value: str | bytes) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value


class _Survey:
    """One look at all GPUs, between nvmlInit and nvmlShutdown."""

    def __init__(self, nvml: Nvml, root: Path) -> None:
        self._nvml = nvml
        self._root = root

    def look(self) -> Found:
        devices: list[Device] = []
        whole: list[tuple[Device, object]] = []
        for index in range(self._nvml.nvmlDeviceGetCount()):
            try:
                handle = self._nvml.nvmlDeviceGetHandleByIndex(index)
            except self._nvml.NVMLError as error:
                devices.append(Device(id="", kind="gpu", index=index, health=str(error)))
                continue
            gpu = self._gpu(handle, index)
            parts = list(self._instances(handle, gpu)) if gpu.health == "ok" and self._split(handle) else [gpu]
            devices += parts
            if gpu.health == "ok" and parts == [gpu]:
                whole.append((gpu, handle))
        links = tuple(link for a, b in combinations(whole, 2) if (link := self._link(*a, *b)) is not None)
        return Found(tuple(devices), links)

    def _gpu(self, handle: object, index: int) -> Device:
        uuid = _quietly(self._nvml, lambda: _text(self._nvml.nvmlDeviceGetUUID(handle)), "")
        model = _quietly(self._nvml, lambda: _text(self._nvml.nvmlDeviceGetName(handle)), "")
        minor = _quietly(self._nvml, lambda: self._nvml.nvmlDeviceGetMinorNumber(handle), -1)
        memory_bytes, health = self._memory(handle)
        if not uuid and health == "ok":
            health = "it does not tell its uuid, without which no program can be given it"
        paths = (f"/dev/nvidia{minor}",) if minor >= 0 else ()
        return Device(uuid, "gpu", index, model, memory_bytes, self._numa_node(handle), paths, health=health)

    def _memory(self, handle: object) -> tuple[int, str]:
        """(bytes, health). A GPU that shares the machine's memory has no number; one that is lost fails here first."""
        try:
            return int(self._nvml.nvmlDeviceGetMemoryInfo(handle).total), "ok"
        except self._nvml.NVMLError as error:
            return 0, "ok" if error.value == _NOT_SUPPORTED else str(error)

    def _numa_node(self, handle: object) -> int:
        bus = _quietly(self._nvml, lambda: _text(self._nvml.nvmlDeviceGetPciInfo(handle).busId), "")
        domain, _, rest = bus.lower().partition(":")  # NVML writes 00000000:3B:00.0, the kernel 0000:3b:00.0
        return read_int(self._root / "sys/bus/pci/devices" / f"{domain[-4:]}:{rest}" / "numa_node", -1) if rest else -1

    def _split(self, handle: object) -> bool:
        return _quietly(self._nvml, lambda: self._nvml.nvmlDeviceGetMigMode(handle)[0], 0) == 1

    def _instances(self, handle: object, gpu: Device) -> Iterator[Device]:
        """The MIG instances instead of their GPU, which nobody can use as a whole now."""
        found = 0
        for slot in range(_quietly(self._nvml, lambda: self._nvml.nvmlDeviceGetMaxMigDeviceCount(handle), 0)):
            try:
                part = self._nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, slot)
            except self._nvml.NVMLError as error:
                if error.value == _NOT_FOUND:  # an empty slot
                    continue
                yield Device("", "gpu", slot, gpu.model, 0, gpu.numa_node, gpu.paths, gpu.id, health=str(error))
            else:
                yield self._instance(part, slot, gpu)
            found += 1
        if not found:
            yield Device(gpu.id, "gpu", gpu.index, gpu.model, gpu.memory_bytes, gpu.numa_node, gpu.paths, health="MIG is on, but it has no instances")

    def _instance(self, part: object, slot: int, gpu: Device) -> Device:
        found = self._gpu(part, slot)
        paths = (*gpu.paths, *self._capabilities(part, gpu))
        return Device(found.id, "gpu", slot, found.model or f"{gpu.model} MIG", found.memory_bytes, gpu.numa_node, paths, gpu.id, found.health)

    def _capabilities(self, part: object, gpu: Device) -> Iterator[str]:
        """The files that open the two halves of an instance, by the minor numbers that the driver lists."""
        minor = "".join(path.removeprefix("/dev/nvidia") for path in gpu.paths)
        gi = _quietly(self._nvml, lambda: self._nvml.nvmlDeviceGetGpuInstanceId(part), -1)
        ci = _quietly(self._nvml, lambda: self._nvml.nvmlDeviceGetComputeInstanceId(part), -1)
        top = self._root / "proc/driver/nvidia/capabilities" / f"gpu{minor}" / "mig" / f"gi{gi}"
        for access in (top / "access", top / f"ci{ci}" / "access"):
            for line in read_text(access).splitlines():
                name, _, value = line.partition(":")
                if name.strip() == "DeviceFileMinor":
                    yield f"/dev/nvidia-caps/nvidia-cap{value.strip()}"

    def _link(self, a: Device, first: object, b: Device, second: object) -> DeviceLink | None:
        status = _quietly(self._nvml, lambda: self._nvml.nvmlDeviceGetP2PStatus(first, second, _P2P_NVLINK), -1)
        if status == _P2P_OK:
            return DeviceLink(a.id, b.id, "nvlink")
        level = _quietly(self._nvml, lambda: self._nvml.nvmlDeviceGetTopologyCommonAncestor(first, second), -1)
        kind = next((kind for limit, kind in _LEVELS if 0 <= level <= limit), "")
        return DeviceLink(a.id, b.id, kind) if kind else None
