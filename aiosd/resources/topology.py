"""The devices of a machine as a graph: how fast any two of them reach each other."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from aiosd.resources.inventory import Device, DeviceLink

MB = 10**6  # bandwidths are whole numbers of it, so that what is added to break ties never counts as bandwidth
_GB = 10**9

# Bytes a second that a transfer reaches, one way; not what the data sheet says. From NCCL's model of machines (src/graph/topo.h),
# which is measured: one NVLink by the GPU's compute capability (7.0 is 70), 16 lanes of PCIe 3, and the link between two sockets.
NVLINK_BYTES_PER_S = {60: 18 * _GB, 70: 20 * _GB, 80: 20 * _GB, 86: 12 * _GB, 90: 20_600 * MB, 100: 40_100 * MB}
PCIE_BYTES_PER_S = 12 * _GB  # 16 lanes at 8 GT/s
_PCIE_GIGATRANSFERS, _PCIE_LANES = 8.0, 16

# What is left of the way to a switch, in thousandths, when a transfer goes further. Of `pix` nothing is lost; through a host bridge
# Intel's processors cost a sixth (NCCL). `pxb` and `node` lie between their neighbours: how many share the way is not known.
_LEFT = {"pix": 1000, "pxb": 917, "phb": 833, "node": 750, "sys": 500}
_SOCKETS_BYTES_PER_S = 10 * _GB  # at most, from one socket to another: Skylake's, as NCCL has it
_NVLINK_UNKNOWN = 2 * NVLINK_BYTES_PER_S[70]  # a driver that does not tell how many there are

_SAME_NODE, _SAME_MODEL = 1, 2  # bytes a second: they decide only between sets that are connected equally well


def nvlink_bytes_per_s(count: int, capability: int) -> int:
    """The bandwidth of so many NVLinks together, of GPUs of a compute capability (8.0 is 80): as those of the last known one before it."""
    known = [each for since, each in NVLINK_BYTES_PER_S.items() if since <= capability]
    return count * (known[-1] if known else NVLINK_BYTES_PER_S[60])


def slot_bytes_per_s(gigatransfers: float, lanes: int) -> int:
    """The bandwidth of a PCIe slot; 0: not known."""
    return int(PCIE_BYTES_PER_S * gigatransfers / _PCIE_GIGATRANSFERS * lanes / _PCIE_LANES) if gigatransfers > 0 and lanes > 0 else 0


def pcie_bytes_per_s(kind: str, slot: int = 0) -> int:
    """The bandwidth between two devices that are connected as `kind` says, the slower of which has such a slot; 0: not known."""
    bandwidth = (slot or PCIE_BYTES_PER_S) * _LEFT.get(kind, 0) // 1000
    return (min(bandwidth, _SOCKETS_BYTES_PER_S) if kind == "sys" else bandwidth) // MB * MB


def bytes_per_s(link: DeviceLink) -> int:
    """The bandwidth of a link: what the probe found, else what its kind has at least."""
    if link.bytes_per_s > 0:
        return link.bytes_per_s // MB * MB
    return _NVLINK_UNKNOWN if link.kind == "nvlink" else pcie_bytes_per_s(link.kind)


class Place(NamedTuple):
    """What of a device counts here: a device that falls ill is as far from the others as before."""

    device_id: str
    numa_node: int
    model: str


@dataclass(frozen=True, slots=True)
class Topology:
    """Between every two places, in the order given: bandwidth in bytes a second, and the same with what breaks ties."""

    bandwidth: tuple[tuple[int, ...], ...]
    weight: tuple[tuple[int, ...], ...]


def places_of(devices: Iterable[Device]) -> tuple[Place, ...]:
    return tuple(Place(device.id, device.numa_node, device.model) for device in devices)


def topology_of(places: Sequence[Place], links: Iterable[DeviceLink]) -> Topology:
    """The graph of these places. Where no link is known they reach each other as their NUMA nodes do, or nobody knows how."""
    known = {pair: bytes_per_s(link) for link in links for pair in ((link.a, link.b), (link.b, link.a))}
    bandwidth = tuple(tuple(known.get((a.device_id, b.device_id), _by_node(a, b)) if a is not b else 0 for b in places) for a in places)
    weight = tuple(tuple(bandwidth[i][j] + _likeness(a, b) if i != j else 0 for j, b in enumerate(places)) for i, a in enumerate(places))
    return Topology(bandwidth, weight)


def _by_node(a: Place, b: Place) -> int:
    if a.numa_node < 0 or b.numa_node < 0:
        return 0
    return pcie_bytes_per_s("node" if a.numa_node == b.numa_node else "sys")


def _likeness(a: Place, b: Place) -> int:
    near = _SAME_NODE if a.numa_node == b.numa_node >= 0 else 0
    return near + (_SAME_MODEL if a.model == b.model else 0)
