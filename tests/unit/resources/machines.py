"""Inventories that the tests of resources share."""

from aiosd.resources.inventory import Cpu, Device, Inventory

GIB = 1 << 30


def machine(cpus: int = 8, nodes: int = 2, devices: tuple[Device, ...] = (), memory_bytes: int = 64 * GIB) -> Inventory:
    """`cpus` processors, two threads a core, evenly on `nodes` NUMA nodes."""
    per_node = cpus // nodes
    processors = tuple(Cpu(id=n, core=n // 2, socket=n // per_node, numa_node=n // per_node) for n in range(cpus))
    return Inventory("node", processors, memory_bytes, memory_bytes + 2 * GIB, devices=devices, disk_bytes=100 * GIB)


def gpu(index: int, model: str = "NVIDIA A100-SXM4-40GB", memory_bytes: int = 40 * GIB, numa_node: int = -1, health: str = "ok") -> Device:
    return Device(f"GPU-{index}", "gpu", index, model, memory_bytes, numa_node, (f"/dev/nvidia{index}",), health=health)
