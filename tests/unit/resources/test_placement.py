"""Where a grant lies on the machine: devices that are connected, processors near to them, cores that stay whole."""

from copy import deepcopy
from dataclasses import replace

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from aiosd.resources.grant import CpuGrant, DeviceGrant, Grant
from aiosd.resources.inventory import Cpu, Device, Inventory, NumaNode
from aiosd.resources.pool import Pool
from aiosd.resources.processors import Processors
from aiosd.resources.request import DeviceRequest, Request
from tests.unit.resources.machines import GIB, gpu, machine, nvswitch_box, pcie_box


def gpus(millis: int, cpus: int = 1, memory_bytes: int = 0, model: str = "") -> Request:
    return Request(1000 * cpus, 0, (DeviceRequest("gpu", millis, model, memory_bytes),))


def taken(pool: Pool, request: Request) -> Grant:
    grant = pool.take(request)
    assert grant is not None
    return grant


def devices_of(grant: Grant) -> list[int]:
    return [device.index for device in grant.devices]


def cpus_of(grant: Grant) -> list[int]:
    return [cpu.cpu for cpu in grant.cpus]


# Devices


def test_a_pair_of_gpus_is_connected_although_lower_numbers_are_free() -> None:
    pool = Pool(pcie_box())
    assert devices_of(taken(pool, gpus(1000))) == [0]
    assert devices_of(taken(pool, gpus(2000))) == [2, 3]
    assert devices_of(taken(pool, gpus(1000))) == [1]  # its switch has no pair any more
    assert devices_of(taken(pool, gpus(4000))) == [4, 5, 6, 7]


def test_fractions_fill_a_gpu_that_is_shared_already_and_then_one_without_a_neighbour() -> None:
    pool = Pool(pcie_box())
    taken(pool, gpus(1000))
    assert devices_of(taken(pool, gpus(600))) == [1]
    assert devices_of(taken(pool, gpus(300))) == [1]
    assert devices_of(taken(pool, gpus(500))) == [2]


def test_a_single_gpu_is_where_there_are_processors_for_it() -> None:
    pool = Pool(nvswitch_box())
    taken(pool, Request(6000, 0))  # leaves 2 of the 8 processors of the first node
    grant = taken(pool, gpus(1000, cpus=4))
    assert (devices_of(grant), cpus_of(grant)) == ([4], [8, 9, 10, 11])
    assert devices_of(taken(pool, gpus(1000, cpus=2))) == [5]  # the second node has the fewest GPUs left


def test_gpus_of_two_nodes_have_processors_of_both() -> None:
    grant = taken(Pool(nvswitch_box()), gpus(8000, cpus=8))
    assert cpus_of(grant) == [0, 1, 2, 3, 8, 9, 10, 11]
    odd = taken(Pool(nvswitch_box()), gpus(8000, cpus=3))
    assert {cpu // 8 for cpu in cpus_of(odd)} == {0, 1}


def test_memory_that_a_suspended_job_left_on_a_gpu_keeps_whole_requests_away() -> None:
    pool = Pool(machine(devices=(gpu(0), gpu(1, numa_node=-1))))
    asleep = Grant((), 8 * GIB, (DeviceGrant("GPU-0", "gpu", 0, 0, 30 * GIB),))
    pool.assign(asleep)
    assert pool.take(gpus(2000)) is None
    assert devices_of(taken(pool, gpus(1000))) == [1]
    assert pool.take(gpus(1000)) is None
    assert pool.take(gpus(500)) is None  # its part of the memory would be 20 GiB
    assert devices_of(taken(pool, gpus(250))) == [0]
    assert pool.take(gpus(100, memory_bytes=GIB)) is None
    pool.give_back(asleep)
    assert devices_of(taken(pool, gpus(500))) == [0]


def test_a_suspended_job_holds_memory_without_processors_and_wakes_to_what_is_free() -> None:
    pool = Pool(machine(cpus=4, nodes=1, devices=(gpu(0),)))
    awake = taken(pool, gpus(1000, cpus=4))
    asleep = replace(awake, cpus=(), devices=(replace(awake.devices[0], millis=0),))
    pool.give_back(awake)
    pool.assign(asleep)
    other = taken(pool, Request(4000, 0))
    with pytest.raises(ValueError, match="cannot assign"):
        pool.assign(awake)
    pool.give_back(other)
    pool.give_back(asleep)
    pool.assign(awake)
    assert pool.used().devices == awake.devices


def test_a_part_of_a_named_model_is_of_that_model_even_where_another_is_fuller() -> None:
    pool = Pool(machine(devices=(gpu(0, "Tesla T4", 16 * GIB), gpu(1), gpu(2))))
    assert devices_of(taken(pool, gpus(500, model="t4"))) == [0]
    assert devices_of(taken(pool, gpus(500, model="a100"))) == [1]
    assert devices_of(taken(pool, gpus(250))) == [0]
    assert devices_of(taken(pool, gpus(250, memory_bytes=20 * GIB))) == [1]  # the T4 is too small
    assert pool.take(gpus(500, model="t4")) is None
    assert devices_of(taken(pool, gpus(1000, memory_bytes=20 * GIB))) == [2]


def test_an_exclusive_job_that_asks_for_a_model_gets_the_machine_only_where_it_has_that() -> None:
    pool = Pool(machine(devices=(gpu(0, "Tesla T4", 16 * GIB), gpu(1))))
    asked = Request(1000, 0, (DeviceRequest("gpu", 1000, "h100"),), exclusive=True)
    assert pool.take(asked) is None
    assert devices_of(taken(pool, replace(asked, devices=(DeviceRequest("gpu", 1000, "t4"),)))) == [0, 1]


def test_several_kinds_at_once_are_all_or_nothing() -> None:
    pool = Pool(machine(devices=(gpu(0), Device("fpga-0", "fpga", 0, "U250"), Device("fpga-1", "fpga", 1, "U50"))))
    both = Request(1000, 0, (DeviceRequest("fpga", 1000, "u250"), DeviceRequest("gpu", 500)))
    grant = taken(pool, both)
    assert sorted(device.device_id for device in grant.devices) == ["GPU-0", "fpga-0"]
    before = pool.free()
    assert pool.take(both) is None
    assert pool.free() == before
    assert taken(pool, Request(1000, 0, (DeviceRequest("fpga", 1000),))).devices[0].device_id == "fpga-1"


# MIG


PARTS = (
    Device("GPU-0", "gpu", 0, "NVIDIA A100", 40 * GIB),
    Device("MIG-a", "gpu", 1, "NVIDIA A100 MIG 3g.20gb", 20 * GIB, parent_id="GPU-0"),
    Device("MIG-b", "gpu", 2, "NVIDIA A100 MIG 3g.20gb", 20 * GIB, parent_id="GPU-0"),
)


def test_nobody_gets_an_instance_of_a_gpu_that_is_held_nor_a_gpu_of_which_an_instance_is() -> None:
    pool = Pool(machine(devices=PARTS))
    instance = taken(pool, gpus(1000, model="3g.20gb"))
    assert devices_of(instance) == [1]
    assert pool.shortage(gpus(1000, memory_bytes=30 * GIB)) is not None
    assert devices_of(taken(pool, gpus(1000))) == [2]
    pool.give_back(instance)
    assert pool.take(gpus(1000, memory_bytes=30 * GIB)) is None  # the other instance is still held
    whole = Pool(machine(devices=PARTS))
    assert devices_of(taken(whole, gpus(500))) == [0]
    assert whole.take(gpus(500, model="mig")) is None
    assert devices_of(taken(whole, gpus(500))) == [0]


def test_a_gpu_that_was_split_or_joined_below_a_job_is_not_handed_out_twice() -> None:
    joined, split = machine(devices=PARTS[:1]), machine(devices=PARTS[1:])
    pool = Pool(split)
    instance = taken(pool, gpus(1000))
    pool = pool.with_inventory(joined)
    assert pool.take(gpus(100)) is None
    pool.give_back(instance)
    held = taken(pool, gpus(1000))
    pool = pool.with_inventory(split)
    assert pool.take(gpus(100)) is None
    pool.give_back(held)
    assert pool.take(gpus(2000)) is not None


# Processors


def test_whole_cores_go_first_and_single_threads_to_cores_that_are_shared_already() -> None:
    pool = Pool(machine(cpus=8, nodes=1))  # 0 and 1 are one core
    assert cpus_of(taken(pool, Request(1000, 0))) == [0]
    assert cpus_of(taken(pool, Request(2000, 0))) == [2, 3]
    assert cpus_of(taken(pool, Request(3000, 0))) == [1, 4, 5]
    assert cpus_of(taken(pool, Request(2000, 0))) == [6, 7]


def test_broken_cores_make_up_what_whole_ones_lack() -> None:
    pool = Pool(machine(cpus=8, nodes=1))
    pool.assign(Grant((CpuGrant(0, 1000), CpuGrant(2, 1000)), 0))
    assert cpus_of(taken(pool, Request(6000, 0))) == [1, 3, 4, 5, 6, 7]


def test_cores_with_one_thread_beside_cores_with_two() -> None:
    """Performance and efficiency cores of one processor."""
    cpus = tuple(Cpu(n, n // 2, 0, 0) for n in range(4)) + tuple(Cpu(n, n, 0, 0) for n in range(4, 8))
    pool = Pool(Inventory("node", cpus, GIB, GIB))
    assert cpus_of(taken(pool, Request(2000, 0))) == [0, 1]
    assert cpus_of(taken(pool, Request(1000, 0))) == [4]
    assert cpus_of(taken(pool, Request(5000, 0))) == [2, 3, 5, 6, 7]


@settings(max_examples=150, deadline=None)
@given(st.sets(st.integers(0, 15)), st.data())
def test_a_job_never_breaks_more_than_one_core(busy: set[int], data: st.DataObject) -> None:
    """And none at all while single threads are left for its odd one."""
    pool = Pool(machine(cpus=16, nodes=1))
    if busy:
        pool.assign(Grant(tuple(CpuGrant(cpu, 1000) for cpu in sorted(busy)), 0))
    free = set(range(16)) - busy
    if not free:
        return
    singles = {cpu for cpu in free if cpu ^ 1 in busy}
    count = data.draw(st.integers(1, len(free)))
    chosen = set(cpus_of(taken(pool, Request(1000 * count, 0))))
    broken = {cpu for cpu in chosen if cpu ^ 1 in free - chosen}
    assert len(chosen) == count and chosen <= free
    assert len(broken) <= (0 if singles or count % 2 == 0 else 1)


def test_what_no_node_has_comes_from_nodes_that_are_close() -> None:
    distances = ((10, 32, 12, 32), (32, 10, 32, 12), (12, 32, 10, 32), (32, 12, 32, 10))
    nodes = tuple(NumaNode(n, tuple(range(2 * n, 2 * n + 2)), GIB, distances[n]) for n in range(4))
    cpus = [Cpu(n, n, n // 2, n // 2) for n in range(8)]
    assert [grant.cpu for grant in Processors(cpus, nodes).pick(4000)] == [0, 1, 4, 5]
    assert [grant.cpu for grant in Processors(cpus, nodes).pick(3000, (3,))] == [2, 6, 7]
    assert [grant.cpu for grant in Processors(cpus).pick(4000)] == [0, 1, 2, 3]  # nothing is known of distances


def test_near_to_a_device_or_else_near_to_its_node() -> None:
    distances = ((10, 20, 40), (20, 10, 40), (40, 40, 10))
    nodes = tuple(NumaNode(n, tuple(range(4 * n, 4 * n + 4)), GIB, distances[n]) for n in range(3))
    processors = Processors([Cpu(n, n, n // 4, n // 4) for n in range(12)], nodes)
    processors.change((CpuGrant(0, 1000), CpuGrant(1, 1000)), -1)
    assert [grant.cpu for grant in processors.pick(2000, (0,))] == [2, 3]
    assert [grant.cpu for grant in processors.pick(3000, (0,))] == [4, 5, 6]
    assert [grant.cpu for grant in processors.pick(1000, (7,))] == [2]  # of a node that has no processors nothing is near


def test_a_copy_of_a_pool_keeps_its_own_books() -> None:
    pool = Pool(nvswitch_box())
    first = taken(pool, gpus(2000, cpus=4))
    copy = deepcopy(pool)
    copy.give_back(first)
    assert copy.free() == Pool(nvswitch_box()).free()
    assert taken(copy, gpus(2000, cpus=4)) == first
    assert pool.used() == copy.used() == first


def test_a_device_on_a_node_without_processors_is_near_to_the_closest_that_has_some() -> None:
    """As on a machine whose GPU memory, or memory on a bus, is a NUMA node of its own."""
    distances = ((10, 20, 80), (20, 10, 40), (80, 40, 10))
    nodes = tuple(NumaNode(n, (2 * n, 2 * n + 1) if n < 2 else (), GIB, distances[n]) for n in range(3))
    cpus = [Cpu(n, n, n // 2, n // 2) for n in range(4)]
    assert [grant.cpu for grant in Processors(cpus, nodes).pick(1000, (2,))] == [2]
    assert [grant.cpu for grant in Processors(cpus).pick(1000, (2,))] == [0]
    assert Processors((), nodes).pick(0) == ()


# The quick answer


@pytest.mark.parametrize(
    ("request_", "could"),
    [
        (Request(8000, 0), True),
        (Request(8001, 0), False),
        (Request(0, 0), False),
        (Request(1000, 65 * GIB), False),
        (Request(1000, 0, (), 101 * GIB), False),
        (gpus(2000), True),
        (gpus(3000), False),
        (gpus(1000, model="h100"), False),
        (gpus(500), True),
        (Request(1000, 0, exclusive=True), True),
    ],
)
def test_what_does_not_fit_is_refused(request_: Request, could: bool) -> None:
    pool = Pool(machine(devices=(gpu(0), gpu(1))))
    assert (pool.take(request_) is not None) is could


def test_an_exclusive_job_gets_nothing_while_anything_runs() -> None:
    pool = Pool(machine())
    pool.take(Request(1, 0))
    assert pool.take(Request(1, 0, exclusive=True)) is None
