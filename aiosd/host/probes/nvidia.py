"""NVIDIA GPUs and MIG instances, through NVML; a machine without NVIDIA's driver simply has none."""

from collections.abc import Iterator
from pathlib import Path
from typing import cast

from aiosd.host.probes.found import Found
from aiosd.host.probes.kernel_files import read_int, read_text
from aiosd.host.probes.nvidia_links import probe_links
from aiosd.host.probes.nvml import Nvml, pci_directory, quietly, text_of
from aiosd.resources.inventory import Device
from aiosd.resources.settings import ResourceSettings

# From nvml.h. Numbers, because the fake in the tests has no header.
_NOT_SUPPORTED, _NOT_FOUND, _DRIVER_NOT_LOADED, _LIBRARY_NOT_FOUND = 3, 6, 9, 12


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
        quietly(nvml, nvml.nvmlShutdown, None)


def _library() -> Nvml | None:
    try:
        import pynvml  # imported here: it costs 50 ms, and most machines that test this have no GPU
    except ImportError:
        return None
    return cast(Nvml, pynvml)


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
        return Found(tuple(devices), probe_links(self._nvml, whole, self._root))

    def _gpu(self, handle: object, index: int) -> Device:
        uuid = quietly(self._nvml, lambda: text_of(self._nvml.nvmlDeviceGetUUID(handle)), "")
        model = quietly(self._nvml, lambda: text_of(self._nvml.nvmlDeviceGetName(handle)), "")
        minor = quietly(self._nvml, lambda: self._nvml.nvmlDeviceGetMinorNumber(handle), -1)
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
        place = pci_directory(self._nvml, handle, self._root)
        return read_int(place / "numa_node", -1) if place else -1

    def _split(self, handle: object) -> bool:
        return quietly(self._nvml, lambda: self._nvml.nvmlDeviceGetMigMode(handle)[0], 0) == 1

    def _instances(self, handle: object, gpu: Device) -> Iterator[Device]:
        """The MIG instances instead of their GPU, which nobody can use as a whole now."""
        found = 0
        for slot in range(quietly(self._nvml, lambda: self._nvml.nvmlDeviceGetMaxMigDeviceCount(handle), 0)):
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
        gi = quietly(self._nvml, lambda: self._nvml.nvmlDeviceGetGpuInstanceId(part), -1)
        ci = quietly(self._nvml, lambda: self._nvml.nvmlDeviceGetComputeInstanceId(part), -1)
        top = self._root / "proc/driver/nvidia/capabilities" / f"gpu{minor}" / "mig" / f"gi{gi}"
        for access in (top / "access", top / f"ci{ci}" / "access"):
            for line in read_text(access).splitlines():
                name, _, value = line.partition(":")
                if name.strip() == "DeviceFileMinor":
                    yield f"/dev/nvidia-caps/nvidia-cap{value.strip()}"
