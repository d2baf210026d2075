"""The functions of NVIDIA's management library that the probes use, and how they are asked."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeVar

_T = TypeVar("_T")


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
    def nvmlDeviceGetCudaComputeCapability(self, handle: object) -> tuple[int, int]: ...  # noqa: N802
    def nvmlDeviceGetNvLinkState(self, handle: object, link: int) -> int: ...  # noqa: N802
    def nvmlDeviceGetNvLinkRemoteDeviceType(self, handle: object, link: int) -> int: ...  # noqa: N802
    def nvmlDeviceGetNvLinkRemotePciInfo(self, handle: object, link: int) -> _PciInfo: ...  # noqa: N802


def quietly(nvml: Nvml, ask: Callable[[], _T], default: _T) -> _T:
    """The answer, or `default` for any error: for what a GPU can do its work without."""
    try:
        return ask()
    except nvml.NVMLError:
        return default


def text_of(value: str | bytes) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def pci_directory(nvml: Nvml, handle: object, root: Path) -> Path | None:
    """Where the kernel tells about a GPU; None when its place is not known."""
    bus = quietly(nvml, lambda: text_of(nvml.nvmlDeviceGetPciInfo(handle).busId), "")
    domain, _, rest = bus.lower().partition(":")  # NVML writes 00000000:3B:00.0, the kernel 0000:3b:00.0
    return root / "sys/bus/pci/devices" / f"{domain[-4:]}:{rest}" if rest else None
