"""From a grant to limits: processors, nodes, quotas, memory, disks and the devices that are not granted."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiosd.host.cells.limits import PERIOD_US, CellSettings, DeviceFile, Machine, denied_devices, limits_of, memory_nodes
from aiosd.jobs.job import Environment, JobSpec
from aiosd.resources.grant import CpuGrant, DeviceGrant, Grant
from aiosd.resources.inventory import Cpu, Device, Inventory, NumaNode
from aiosd.resources.request import Request

GIB = 1 << 30
SPEC = JobSpec(name="n", command=("true",), cwd="/", environment=Environment("d", {}), request=Request(1000, GIB))
CPUS = tuple(Cpu(n, n, n // 4, n // 4) for n in range(8))
NODES = (NumaNode(0, (0, 1, 2, 3), 16 * GIB), NumaNode(1, (4, 5, 6, 7), 16 * GIB))
TWO_NODES = Inventory("h", CPUS, 32 * GIB, 32 * GIB, NODES)
FILES = {name: (DeviceFile("c", 195, n),) for n, name in enumerate(("GPU-0", "GPU-1", "GPU-2"))}
GPUS = tuple(Device(name, "gpu", n) for n, name in enumerate(FILES))


def grant(cpus: dict[int, int], memory_bytes: int = GIB, devices: tuple[str, ...] = ()) -> Grant:
    return Grant(tuple(CpuGrant(*each) for each in cpus.items()), memory_bytes, tuple(DeviceGrant(name, "gpu", 0, 1000, 0) for name in devices))


def test_whole_processors_are_held_by_their_cpuset_alone() -> None:
    limits = limits_of(grant({5: 1000, 2: 1000}), SPEC, Machine(TWO_NODES), CellSettings(pids_max=7))
    assert (limits.cpus, limits.quota_us, limits.cpu_weight, limits.memory_bytes, limits.memory_high_bytes, limits.pids) == ((2, 5), 0, 200, GIB, 0, 7)


@pytest.mark.parametrize(("millis", "quota_us", "weight"), [(500, 50_000, 50), (250, 25_000, 25), (1, 1000, 1)])
def test_a_part_of_a_processor_is_a_quota_that_the_kernel_takes(millis: int, quota_us: int, weight: int) -> None:
    limits = limits_of(grant({0: millis}), SPEC, Machine(TWO_NODES), CellSettings())
    assert (limits.quota_us, limits.cpu_weight) == (quota_us, weight)


def test_one_and_a_half_processors_are_a_quota_over_both() -> None:
    assert limits_of(grant({0: 1000, 1: 500}), SPEC, Machine(TWO_NODES), CellSettings()).quota_us == PERIOD_US * 3 // 2


def test_a_job_is_slowed_down_before_its_end_only_where_it_is_configured() -> None:
    assert limits_of(grant({0: 1000}), SPEC, Machine(TWO_NODES), CellSettings(memory_high_permille=900)).memory_high_bytes == GIB * 900 // 1000


def test_disks_are_limited_as_asked() -> None:
    spec = replace(SPEC, io_read_bytes_per_s=5, io_weight=300)
    limits = limits_of(grant({0: 1000}), spec, Machine(TWO_NODES, disks=("8:0",)), CellSettings())
    assert (limits.disks, limits.io_read_bytes_per_s, limits.io_write_bytes_per_s, limits.io_weight) == (("8:0",), 5, 0, 300)


def test_memory_comes_from_the_nodes_of_the_processors() -> None:
    assert memory_nodes(grant({0: 1000}, 4 * GIB), TWO_NODES) == (0,)
    assert memory_nodes(grant({3: 1000, 4: 1000}, 8 * GIB), TWO_NODES) == (0, 1)


def test_who_has_more_than_its_part_of_a_node_takes_memory_from_anywhere() -> None:
    assert memory_nodes(grant({0: 1000}, 4 * GIB + 1), TWO_NODES) == ()


def test_without_several_nodes_nothing_is_bound() -> None:
    assert memory_nodes(grant({0: 1000}), Inventory("h", CPUS, GIB, GIB, NODES[:1])) == ()
    assert memory_nodes(grant({0: 1000}), Inventory("h", CPUS, GIB, GIB)) == ()


@settings(deadline=None)
@given(st.lists(st.tuples(st.sets(st.integers(0, 3), min_size=1), st.integers(1, 16 * GIB)), max_size=8))
def test_all_that_are_bound_to_a_node_fit_into_it(wishes: list[tuple[set[int], int]]) -> None:
    """Whatever is granted: as long as no processor is granted twice, the memory that is bound to a node is there."""
    taken: set[int] = set()
    bound = 0
    for cpus, memory_bytes in wishes:
        if cpus & taken:
            continue
        taken |= cpus
        if memory_nodes(grant(dict.fromkeys(cpus, 1000), memory_bytes), TWO_NODES) == (0,):
            bound += memory_bytes
    assert bound <= NODES[0].memory_bytes


def test_the_files_of_everything_that_was_not_granted_are_denied() -> None:
    machine = Machine(replace(TWO_NODES, devices=GPUS), FILES)
    assert [file.minor for file in denied_devices(grant({0: 1000}, devices=("GPU-1",)), machine)] == [0, 2]
    assert [file.minor for file in denied_devices(grant({0: 1000}), machine)] == [0, 1, 2]


def test_a_part_of_a_gpu_needs_the_files_of_the_whole() -> None:
    parts = (Device("MIG-a", "gpu", 3, parent_id="GPU-0"), Device("MIG-b", "gpu", 4, parent_id="GPU-0"))
    files = {**FILES, "MIG-a": (DeviceFile("c", 195, 0), DeviceFile("c", 236, 1)), "MIG-b": (DeviceFile("c", 195, 0), DeviceFile("c", 236, 2))}
    denied = denied_devices(grant({0: 1000}, devices=("MIG-a",)), Machine(replace(TWO_NODES, devices=(*GPUS, *parts)), files))
    assert {(file.major, file.minor) for file in denied} == {(195, 1), (195, 2), (236, 2)}


def test_a_file_that_two_devices_share_is_denied_only_to_who_has_neither() -> None:
    files = {"a": (DeviceFile("c", 1, 1),), "b": (DeviceFile("c", 1, 1, "another name of it"),)}
    machine = Machine(replace(TWO_NODES, devices=(Device("a", "gpu", 0), Device("b", "gpu", 1))), files)
    assert denied_devices(grant({0: 1000}, devices=("a",)), machine) == ()
    assert len(denied_devices(grant({0: 1000}), machine)) == 1
