"""How NVIDIA GPUs are connected: NVLinks, directly or through switches, and what lies between them on PCIe."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

from aiosd.host.probes.kernel_files import read_int, read_text
from aiosd.host.probes.nvml import Nvml, pci_directory, quietly, text_of
from aiosd.resources.inventory import Device, DeviceLink
from aiosd.resources.topology import nvlink_bytes_per_s, pcie_bytes_per_s, slot_bytes_per_s

# From nvml.h. Numbers, because the fake in the tests has no header.
_P2P_NVLINK, _P2P_OK = 2, 0
_LINK_ENABLED, _REMOTE_IS_GPU, _REMOTE_IS_SWITCH = 1, 0, 2
_MOST_NVLINKS = 36
_LEVELS = ((10, "pix"), (20, "pxb"), (30, "phb"), (40, "node"), (50, "sys"))  # nearest common ancestor, up to this level


@dataclass(slots=True)
class _End:
    """One GPU: its NVLinks by the address of the GPU at their other end, and those to switches; the bandwidth of its slot."""

    device: Device
    handle: object
    bus: str
    capability: int
    slot: int
    to: Counter[str] = field(default_factory=Counter)
    to_switches: int = 0


def probe_links(nvml: Nvml, gpus: Sequence[tuple[Device, object]], root: Path) -> tuple[DeviceLink, ...]:
    """The link of each pair of GPUs, given with their handles; of a pair about which the driver says nothing there is none."""
    ends = [_end(nvml, device, handle, root) for device, handle in gpus]
    return tuple(link for a, b in combinations(ends, 2) if (link := _link(nvml, a, b)) is not None)


def _end(nvml: Nvml, device: Device, handle: object, root: Path) -> _End:
    major, minor = quietly(nvml, lambda: nvml.nvmlDeviceGetCudaComputeCapability(handle), (0, 0))
    end = _End(device, handle, _bus(nvml, handle), 10 * major + minor, _slot(pci_directory(nvml, handle, root)))
    for link in range(_MOST_NVLINKS):
        try:
            if nvml.nvmlDeviceGetNvLinkState(handle, link) != _LINK_ENABLED:
                continue
            remote = nvml.nvmlDeviceGetNvLinkRemoteDeviceType(handle, link)
            if remote == _REMOTE_IS_SWITCH:
                end.to_switches += 1
            elif remote == _REMOTE_IS_GPU:
                end.to[text_of(nvml.nvmlDeviceGetNvLinkRemotePciInfo(handle, link).busId).lower()] += 1
        except nvml.NVMLError:  # it has no such link, or none at all
            break
    return end


def _bus(nvml: Nvml, handle: object) -> str:
    return quietly(nvml, lambda: text_of(nvml.nvmlDeviceGetPciInfo(handle).busId), "").lower()


def _slot(directory: Path | None) -> int:
    """By what the slot can do: an idle one is slowed down. `16.0 GT/s PCIe` and `16`."""
    if directory is None:
        return 0
    speed = read_text(directory / "max_link_speed").partition(" ")[0]
    return slot_bytes_per_s(float(speed) if speed.replace(".", "", 1).isdecimal() else 0.0, read_int(directory / "max_link_width", 0))


def _link(nvml: Nvml, a: _End, b: _End) -> DeviceLink | None:
    status = quietly(nvml, lambda: nvml.nvmlDeviceGetP2PStatus(a.handle, b.handle, _P2P_NVLINK), -1)
    if status == _P2P_OK:
        count = a.to[b.bus] if b.bus in a.to else min(a.to_switches, b.to_switches)
        return DeviceLink(a.device.id, b.device.id, "nvlink", count, nvlink_bytes_per_s(count, min(a.capability, b.capability)))
    level = quietly(nvml, lambda: nvml.nvmlDeviceGetTopologyCommonAncestor(a.handle, b.handle), -1)
    kind = next((kind for limit, kind in _LEVELS if 0 <= level <= limit), "")
    return DeviceLink(a.device.id, b.device.id, kind, 0, pcie_bytes_per_s(kind, min(a.slot, b.slot))) if kind else None
