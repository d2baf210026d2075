"""Bandwidths between devices: what the probe found, what a kind of link has, what NUMA nodes tell."""

import pytest

from aiosd.resources.inventory import DeviceLink
from aiosd.resources.topology import MB, bytes_per_s, nvlink_bytes_per_s, pcie_bytes_per_s, places_of, slot_bytes_per_s, topology_of
from tests.unit.resources.machines import gpu

GB = 1000 * MB


def test_the_kinds_are_in_the_order_of_their_bandwidth() -> None:
    found = [bytes_per_s(DeviceLink("a", "b", kind)) for kind in ("nvlink", "pix", "pxb", "phb", "node", "sys")]
    assert found == sorted(found, reverse=True)
    assert len(set(found)) == len(found)


def test_what_the_probe_found_counts_more_than_the_kind() -> None:
    assert bytes_per_s(DeviceLink("a", "b", "pix", bytes_per_s=25 * GB)) == 25 * GB
    assert bytes_per_s(DeviceLink("a", "b", "something new")) == 0


@pytest.mark.parametrize(
    ("count", "capability", "bandwidth"),
    [(4, 60, 72 * GB), (6, 70, 120 * GB), (2, 75, 40 * GB), (12, 80, 240 * GB), (4, 86, 48 * GB), (18, 90, 370_800 * MB), (18, 100, 721_800 * MB)],
)
def test_nvlinks_add_up(count: int, capability: int, bandwidth: int) -> None:
    assert nvlink_bytes_per_s(count, capability) == bandwidth


def test_a_gpu_that_is_not_known_yet_has_the_links_of_the_newest_that_is() -> None:
    assert nvlink_bytes_per_s(1, 200) == nvlink_bytes_per_s(1, 100)
    assert nvlink_bytes_per_s(1, 0) == nvlink_bytes_per_s(1, 60)


def test_a_slot_is_as_fast_as_its_generation_and_lanes() -> None:
    assert slot_bytes_per_s(8.0, 16) == 12 * GB == pcie_bytes_per_s("pix")
    assert pcie_bytes_per_s("pix", slot_bytes_per_s(32.0, 16)) == 48 * GB
    assert pcie_bytes_per_s("pix", slot_bytes_per_s(16.0, 8)) == 12 * GB
    assert slot_bytes_per_s(0.0, 16) == slot_bytes_per_s(16.0, 0) == 0
    assert pcie_bytes_per_s("sys", slot_bytes_per_s(32.0, 16)) == 10 * GB  # the way between the sockets is narrower than the slot
    assert pcie_bytes_per_s("unheard of", 12 * GB) == 0


def test_devices_without_a_link_are_as_near_as_their_nodes() -> None:
    a, b, c, lost = gpu(0, numa_node=0), gpu(1, numa_node=0), gpu(2, numa_node=1), gpu(3)
    topology = topology_of(places_of((a, b, c, lost)), ())
    assert topology.bandwidth[0][1] == pcie_bytes_per_s("node")
    assert topology.bandwidth[0][2] == pcie_bytes_per_s("sys")
    assert topology.bandwidth[0] == (0, pcie_bytes_per_s("node"), pcie_bytes_per_s("sys"), 0)
    assert topology.bandwidth[3] == (0, 0, 0, 0)


def test_what_breaks_ties_is_less_than_any_difference_of_bandwidth() -> None:
    devices = tuple(gpu(index, numa_node=0) for index in range(128))
    topology = topology_of(places_of(devices), ())
    pairs = len(devices) * (len(devices) - 1) // 2
    assert 0 < (topology.weight[0][1] - topology.bandwidth[0][1]) * pairs < MB
