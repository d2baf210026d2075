"""`node topology`: the matrix that users of `nvidia-smi topo -m` know."""

import json
from dataclasses import replace

from aios.resources import Cpu, Device, DeviceLink, Inventory, NumaNode
from aiosctl.topology import layout
from tests.unit.aiosctl.fake_client import NODE

GB = 10**9


def gpu(index: int, node: int, parent: str = "") -> Device:
    return Device(f"GPU-{index}", "gpu", index, "NVIDIA A100", 40 << 30, node, (), parent, "ok")


BOX = replace(
    NODE.inventory,
    cpus=tuple(Cpu(n, n, n // 4, n // 4) for n in range(8) if n != 2),
    numa_nodes=(NumaNode(0, (0, 1, 2, 3), 64 << 30, (10, 21)), NumaNode(1, (4, 5, 6, 7), 64 << 30, (21, 10)), NumaNode(2, (), 0)),
    devices=(gpu(0, 0), gpu(1, 0), gpu(2, 1), Device("license-0", "license", 0, "", 0, -1, (), "", "ok")),
    links=(DeviceLink("GPU-0", "GPU-1", "nvlink", 12, 240 * GB), DeviceLink("GPU-0", "GPU-2", "sys", 0, 6 * GB)),
)


def test_what_lies_between_devices_and_which_processors_are_near(cli, fake) -> None:  # type: ignore[no-untyped-def]
    fake.status = replace(NODE, inventory=BOX)
    lines = [line.split() for line in cli("node", "topology").out.splitlines()]
    assert lines[1] == ["gpu", "0", "gpu", "1", "gpu", "2", "PROCESSORS", "NUMA"]
    assert lines[2] == ["gpu", "0", "X", "NV12", "SYS", "0-1,3", "0"]
    assert lines[3] == ["gpu", "1", "NV12", "X", "-", "0-1,3", "0"]
    assert lines[4] == ["gpu", "2", "SYS", "-", "X", "4-7", "1"]
    assert "license" not in cli("node", "topology").out
    assert "node 0  processors 0-3; 64 GiB; 21 to node 1" in cli("node", "topology").out
    assert "node 2  no processors; no memory" in cli("node", "topology").out


def test_wide_adds_the_bandwidths(cli, fake) -> None:  # type: ignore[no-untyped-def]
    fake.status = replace(NODE, inventory=BOX)
    lines = [line.split() for line in cli("node", "topology", "-o", "wide").out.splitlines()]
    assert ["gpu", "0", "-", "240.0", "6.0"] in lines
    assert json.loads(cli("node", "topology", "-o", "json").out)["links"][0]["nvlinks"] == 12


def test_instances_of_one_gpu_are_said_to_be_so() -> None:
    split = replace(BOX, devices=(gpu(0, 0, "GPU-x"), gpu(1, 0, "GPU-x")), links=())
    assert "same GPU" in "\n".join(layout(split, wide=False))


def test_a_driver_that_does_not_count_its_nvlinks() -> None:
    uncounted = replace(BOX, links=(DeviceLink("GPU-0", "GPU-1", "nvlink"),))
    assert ["gpu", "0", "X", "NV", "-", "0-1,3", "0"] in [line.split() for line in layout(uncounted, wide=False)]


def test_a_machine_of_which_nothing_is_known() -> None:
    bare = Inventory("box", (), 0, 0, (), (Device("license-0", "license", 0, "", 0, -1, (), "", "ok"),), (), 0, "", "")
    assert list(layout(bare, wide=True)) == ["nothing is known of how this machine is built: no NUMA nodes, and no device whose place is known"]
