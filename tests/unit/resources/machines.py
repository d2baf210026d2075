"""Inventories that the tests of resources share."""

from dataclasses import replace
from itertools import combinations

from aiosd.resources.inventory import Cpu, Device, DeviceLink, Inventory

GIB = 1 << 30


def machine(cpus: int = 8, nodes: int = 2, devices: tuple[Device, ...] = (), memory_bytes: int = 64 * GIB) -> Inventory:
    """`cpus` processors, two threads a core, evenly on `nodes` NUMA nodes."""
    per_node = cpus // nodes
    processors = tuple(Cpu(id=n, core=n // 2, socket=n // per_node, numa_node=n // per_node) for n in range(cpus))
    return Inventory("node", processors, memory_bytes, memory_bytes + 2 * GIB, devices=devices, disk_bytes=100 * GIB)


def gpu(index: int, model: str = "NVIDIA A100-SXM4-40GB", memory_bytes: int = 40 * GIB, numa_node: int = -1, health: str = "ok") -> Device:
    return Device(f"GPU-{index}", "gpu", index, model, memory_bytes, numa_node, (f"/dev/nvidia{index}",), health=health)


def linked(kinds: dict[tuple[int, int], str], count: int, nodes: int = 1, nvlinks: dict[tuple[int, int], int] | None = None) -> Inventory:
    """`count` GPUs on 8 processors a node, connected as `kinds` says by pair; `nvlinks` of the second version, where it has the pair."""
    devices = tuple(gpu(index, numa_node=index * nodes // count) for index in range(count))
    many = nvlinks or {}
    links = tuple(DeviceLink(f"GPU-{a}", f"GPU-{b}", kind, many.get((a, b), 0), 20 * 10**9 * many.get((a, b), 0)) for (a, b), kind in kinds.items())
    inventory = machine(cpus=8 * nodes, nodes=nodes, devices=devices)
    return replace(inventory, links=links)


def pcie_box() -> Inventory:
    """8 GPUs, two beneath each switch, two switches on each of two sockets."""
    return linked({(a, b): "pix" if a // 2 == b // 2 else "node" if a // 4 == b // 4 else "sys" for a, b in combinations(range(8), 2)}, 8, nodes=2)


def nvswitch_box() -> Inventory:
    """8 GPUs with 12 NVLinks each through a switch, four on each of two sockets."""
    pairs = list(combinations(range(8), 2))
    return linked(dict.fromkeys(pairs, "nvlink"), 8, nodes=2, nvlinks=dict.fromkeys(pairs, 12))


def cube_mesh_box() -> Inventory:
    """8 GPUs of which each has six NVLinks to four others: the hybrid cube mesh of NVIDIA's DGX-1 with V100."""
    doubled = {(0, 3), (0, 4), (1, 2), (1, 5), (2, 3), (4, 7), (5, 6), (6, 7)}
    single = {(0, 1), (0, 2), (1, 3), (2, 6), (3, 7), (4, 5), (4, 6), (5, 7)}
    many = dict.fromkeys(doubled, 2) | dict.fromkeys(single, 1)
    pairs = combinations(range(8), 2)
    return linked({pair: "nvlink" if pair in many else "node" if pair[0] // 4 == pair[1] // 4 else "sys" for pair in pairs}, 8, nodes=2, nvlinks=many)
