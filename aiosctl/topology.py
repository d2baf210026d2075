"""`node topology`: which devices are near to which, and to which processors, as `nvidia-smi topo -m` shows it."""

from collections.abc import Iterator, Sequence

from aios.resources import Device, DeviceLink, Inventory
from aiosctl import describe, session
from aiosctl.lazy import verb
from aiosctl.node import colourful_out
from aiosctl.options import output_options
from aiosctl.output import Column, Shape, coloured, print_one, section, table

_LEGEND = (
    ("NV12", "that many NVLinks"),
    ("PIX", "one PCIe switch"),
    ("PXB", "several PCIe switches, no host bridge"),
    ("PHB", "a PCIe host bridge: through the processor"),
    ("NODE", "several host bridges of one NUMA node"),
    ("SYS", "the way between NUMA nodes"),
)


@verb("aiosctl node topology", "aiosctl node topology -o wide")
@output_options
def topology(shape: Shape) -> None:
    """Show what lies between devices, and the processors near to each; wide: with the bandwidths that the scheduler weighs."""
    with session.connect() as client:
        print_one(client.node().inventory, layout, lambda inventory: inventory.hostname, shape)


def layout(inventory: Inventory, wide: bool) -> Iterator[str]:
    """A matrix of the devices whose place is known, the NUMA nodes, and what the words mean."""
    links = {pair: link for link in inventory.links for pair in ((link.a, link.b), (link.b, link.a))}
    placed = [device for device in inventory.devices if device.numa_node >= 0 or any(device.id in pair for pair in links)]
    if placed:
        yield coloured("Devices", "bold", colourful_out())
        yield from (f"  {line}" for line in table(placed, _columns(inventory, placed, links)))
    if placed and wide:
        yield coloured("Bandwidth, GB/s one way", "bold", colourful_out())
        yield from (f"  {line}" for line in table(placed, [_name_column(), *(_speed_column(device, links) for device in placed)]))
    yield from section("NUMA nodes", ((f"node {node.id}", text) for node, text in zip(inventory.numa_nodes, _nodes(inventory), strict=True)))
    if links:
        yield from section("Between them", _LEGEND)
    if not placed and not inventory.numa_nodes:
        yield "nothing is known of how this machine is built: no NUMA nodes, and no device whose place is known"


def _columns(inventory: Inventory, placed: Sequence[Device], links: dict[tuple[str, str], DeviceLink]) -> list[Column[Device]]:
    return [
        _name_column(),
        *(Column(_name(other), lambda device, other=other: _between(device, other, links)) for other in placed),  # type: ignore[misc]
        Column("PROCESSORS", lambda device: near(inventory, device) or describe.NONE),
        Column("NUMA", lambda device: str(device.numa_node) if device.numa_node >= 0 else describe.NONE, right=True),
    ]


def _name_column() -> Column[Device]:
    return Column("", _name)


def _speed_column(other: Device, links: dict[tuple[str, str], DeviceLink]) -> Column[Device]:
    def speed(device: Device) -> str:
        link = links.get((device.id, other.id))
        return f"{link.bytes_per_s / 1e9:.1f}" if link and link.bytes_per_s else describe.NONE

    return Column(_name(other), speed, right=True)


def _name(device: Device) -> str:
    return f"{device.kind} {device.index}"


def _between(a: Device, b: Device, links: dict[tuple[str, str], DeviceLink]) -> str:
    if a.id == b.id:
        return "X"
    link = links.get((a.id, b.id))
    if link is None:
        return "same GPU" if a.parent_id and a.parent_id == b.parent_id else describe.NONE
    return f"NV{link.nvlinks or ''}" if link.kind == "nvlink" else link.kind.upper()


def near(inventory: Inventory, device: Device) -> str:
    """The processors of the device's NUMA node that jobs may have; nothing where that is not known."""
    return describe.numbers(cpu.id for cpu in inventory.cpus if cpu.numa_node == device.numa_node)


def _nodes(inventory: Inventory) -> Iterator[str]:
    for node in inventory.numa_nodes:
        to_others = [
            f"{distance} to node {other.id}" for other, distance in zip(inventory.numa_nodes, node.distances, strict=False) if other.id != node.id
        ]  # fmt: skip
        cpus = f"processors {describe.numbers(node.cpus)}" if node.cpus else "no processors"
        yield "; ".join([cpus, describe.size(node.memory_bytes) or "no memory", *([", ".join(to_others)] if to_others else [])])
