"""The best-connected set: held to brute force, and to what one expects of boxes that exist."""

from itertools import combinations

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from aiosd.resources import choosing
from aiosd.resources.choosing import Chooser, bits, lowest, score
from aiosd.resources.inventory import Inventory
from aiosd.resources.topology import MB, Topology, places_of, topology_of
from tests.unit.resources.machines import cube_mesh_box, gpu, linked, nvswitch_box, pcie_box

ALL = 0xFF


def chooser(inventory: Inventory) -> Chooser:
    return Chooser(topology_of(places_of(inventory.devices), inventory.links))


def chosen(inventory: Inventory, count: int, free: int = ALL) -> list[int]:
    return list(bits(chooser(inventory).choose(free, count)))


@st.composite
def graphs(draw: st.DrawFn) -> Topology:
    """Up to 7 devices; few different bandwidths, so that ties, twins and gaps are common."""
    size = draw(st.integers(1, 7))
    width = st.sampled_from([0, 1, 2, 5])
    bandwidth = [[0] * size for _ in range(size)]
    weight = [[0] * size for _ in range(size)]
    for a, b in combinations(range(size), 2):
        bandwidth[a][b] = bandwidth[b][a] = draw(width) * MB
        weight[a][b] = weight[b][a] = bandwidth[a][b] + draw(st.sampled_from([0, 0, 1, 3]))
    return Topology(tuple(map(tuple, bandwidth)), tuple(map(tuple, weight)))


@settings(max_examples=250, deadline=None)
@given(graphs(), st.data())
def test_no_set_of_that_size_is_better(topology: Topology, data: st.DataObject) -> None:
    size = len(topology.weight)
    free = data.draw(st.integers(1, (1 << size) - 1))
    count = data.draw(st.integers(1, free.bit_count()))
    found = list(bits(Chooser(topology).choose(free, count)))
    candidates = list(bits(free))
    assert len(found) == count
    assert set(found) <= set(candidates)
    assert score(topology, found, candidates) == max(score(topology, some, candidates) for some in combinations(candidates, count))


@settings(max_examples=100, deadline=None)
@given(graphs(), st.data())
def test_a_set_that_was_grown_is_connected_as_well_as_the_best(topology: Topology, data: st.DataObject) -> None:
    """Beyond the size where all are compared the sum may be less than the best, the bottleneck never."""
    count = data.draw(st.integers(1, len(topology.weight)))
    candidates = list(range(len(topology.weight)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(choosing, "MOST_COMPARED", 0)
        found = list(bits(Chooser(topology).choose((1 << len(candidates)) - 1, count)))
    assert len(found) == count
    assert score(topology, found, candidates)[0] == max(score(topology, some, candidates)[0] for some in combinations(candidates, count))


def test_a_pair_is_beneath_one_switch_and_four_on_one_socket() -> None:
    assert chosen(pcie_box(), 2) == [0, 1]
    assert chosen(pcie_box(), 2, free=0b0110_1010) == [1, 3]  # no switch has two left: at least one socket
    assert chosen(pcie_box(), 2, free=0b1100_1010) == [6, 7]
    assert chosen(pcie_box(), 4, free=0b1111_1110) == [4, 5, 6, 7]
    assert chosen(pcie_box(), 3, free=0b1111_1110) == [1, 2, 3]  # and leaves a whole socket


def test_one_comes_from_where_least_is_broken() -> None:
    assert chosen(pcie_box(), 1, free=0b1111_1011) == [3]  # its neighbour is gone already
    assert chosen(nvswitch_box(), 1, free=0b1110_1111) == [5]
    assert chosen(nvswitch_box(), 4, free=0b1111_1011) == [4, 5, 6, 7]  # NVLink is everywhere, processors are not


def test_a_cube_mesh_gives_the_squares_with_the_doubled_links() -> None:
    assert chosen(cube_mesh_box(), 2) == [0, 3]
    best = score(topology_of(places_of(cube_mesh_box().devices), cube_mesh_box().links), chosen(cube_mesh_box(), 4), range(8))
    assert best[0] == 40_000 * MB  # a ring of doubled links


def test_a_machine_of_64_is_grown_not_compared() -> None:
    kinds = {(a, b): "pix" if a // 4 == b // 4 else "phb" if a // 16 == b // 16 else "sys" for a, b in combinations(range(64), 2)}
    inventory = linked(kinds, 64, nodes=4)
    busy_first_of_each_switch = sum(0b1110 << 4 * switch for switch in range(16))
    assert chosen(inventory, 4, free=(1 << 64) - 1) == [0, 1, 2, 3]
    assert {one // 16 for one in chosen(inventory, 8, free=busy_first_of_each_switch)} == {0}
    assert len(chosen(inventory, 30, free=busy_first_of_each_switch)) == 30


def test_alike_devices_go_together_where_connections_do_not_tell() -> None:
    mixed = Inventory("node", (), 0, 0, devices=(gpu(0, "T4", numa_node=0), gpu(1, "A100", numa_node=0), gpu(2, "T4", numa_node=0)))
    assert chosen(mixed, 2, free=0b111) == [0, 2]


def test_without_a_graph_the_first_are_taken() -> None:
    nowhere = Inventory("node", (), 0, 0, devices=tuple(gpu(index) for index in range(4)))
    assert chosen(nowhere, 2, free=0b1110) == [1, 2]


def test_the_same_question_has_the_same_answer_however_often_it_is_asked() -> None:
    box = chooser(cube_mesh_box())
    first = [box.choose(free, 3) for free in range(1 << 8) if free.bit_count() >= 3]
    assert first == [box.choose(free, 3) for free in range(1 << 8) if free.bit_count() >= 3]
    assert first == [chooser(cube_mesh_box()).choose(free, 3) for free in range(1 << 8) if free.bit_count() >= 3]


@given(st.integers(0, 1 << 70), st.data())
def test_the_lowest_bits(mask: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(0, mask.bit_count()))
    assert list(bits(lowest(mask, count))) == list(bits(mask))[:count]
