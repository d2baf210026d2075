"""Resources between wire and records: requests, grants, what was used, the inventory."""

from aios.v1 import jobs_pb2
from aios.v1 import resources_pb2 as pb
from aiosd.jobs.draft import RequestDraft
from aiosd.resources.grant import DeviceGrant, Grant
from aiosd.resources.inventory import Cpu, Device, DeviceLink, Inventory, NumaNode
from aiosd.resources.oversubscription import physical
from aiosd.resources.request import DeviceRequest, Request
from aiosd.resources.topology import bytes_per_s
from aiosd.resources.usage import Usage
from aiosd.rpc.fields import amount, needed, printable, text


def from_request(wire: pb.Request, at: str = "") -> RequestDraft:
    """`at` is put before the names of fields in errors: "specs[2].request."."""
    return RequestDraft(
        cpu_millis=amount(wire.cpu_millis, at, "cpu_millis"),
        memory_bytes=amount(wire.memory_bytes, at, "memory_bytes"),
        devices=tuple(_from_device_request(device, f"{at}devices[{place}].") for place, device in enumerate(wire.devices)),
        disk_bytes=amount(wire.disk_bytes, at, "disk_bytes"),
        exclusive=wire.exclusive,
    )


def _from_device_request(wire: pb.DeviceRequest, at: str) -> DeviceRequest:
    return DeviceRequest(
        kind=needed(wire.kind, at, "kind"),
        millis=amount(wire.millis, at, "millis"),
        model=text(wire.model, at, "model"),
        memory_bytes=amount(wire.memory_bytes, at, "memory_bytes"),
    )


def to_request(request: Request) -> pb.Request:
    wire = pb.Request(cpu_millis=request.cpu_millis, memory_bytes=request.memory_bytes, disk_bytes=request.disk_bytes, exclusive=request.exclusive)
    if request.devices:
        wire.devices.extend(pb.DeviceRequest(kind=d.kind, millis=d.millis, model=d.model, memory_bytes=d.memory_bytes) for d in request.devices)
    return wire


def to_grant(grant: Grant) -> pb.Grant:
    return pb.Grant(
        cpus=[pb.CpuGrant(cpu=physical(c.cpu), millis=c.millis) for c in grant.cpus],
        memory_bytes=grant.memory_bytes,
        devices=[_to_device_grant(d) for d in grant.devices],
        disk_bytes=grant.disk_bytes,
    )


def _to_device_grant(grant: DeviceGrant) -> pb.DeviceGrant:
    return pb.DeviceGrant(device_id=grant.device_id, kind=grant.kind, index=grant.index, millis=grant.millis, memory_bytes=grant.memory_bytes)


def to_usage(usage: Usage) -> jobs_pb2.Usage:
    return jobs_pb2.Usage(
        cpu_user_s=usage.cpu_user_s,
        cpu_system_s=usage.cpu_system_s,
        memory_peak_bytes=usage.memory_peak_bytes,
        read_bytes=usage.read_bytes,
        write_bytes=usage.write_bytes,
        voluntary_switches=usage.voluntary_switches,
        involuntary_switches=usage.involuntary_switches,
        major_faults=usage.major_faults,
        cpu_pressure_s=usage.cpu_pressure_s,
        memory_pressure_s=usage.memory_pressure_s,
        io_pressure_s=usage.io_pressure_s,
        oom_kills=usage.oom_kills,
    )


def to_inventory(inventory: Inventory) -> pb.Inventory:
    return pb.Inventory(
        hostname=printable(inventory.hostname),
        cpus=[_to_cpu(cpu) for cpu in inventory.cpus],
        memory_bytes=inventory.memory_bytes,
        memory_total_bytes=inventory.memory_total_bytes,
        numa_nodes=[_to_numa_node(node) for node in inventory.numa_nodes],
        devices=[_to_device(device) for device in inventory.devices],
        links=[_to_link(link) for link in inventory.links],
        disk_bytes=inventory.disk_bytes,
        cpu_model=printable(inventory.cpu_model),
        kernel=printable(inventory.kernel),
    )


def _to_cpu(cpu: Cpu) -> pb.Cpu:
    return pb.Cpu(id=physical(cpu.id), core=physical(cpu.core), socket=cpu.socket, numa_node=cpu.numa_node)


def _to_numa_node(node: NumaNode) -> pb.NumaNode:
    return pb.NumaNode(id=node.id, cpus=node.cpus, memory_bytes=node.memory_bytes, distances=node.distances)


def _to_device(device: Device) -> pb.Device:
    return pb.Device(
        id=printable(device.id),
        kind=device.kind,
        index=device.index,
        model=printable(device.model),
        memory_bytes=device.memory_bytes,
        numa_node=device.numa_node,
        paths=[printable(path) for path in device.paths],
        parent_id=device.parent_id,
        health=printable(device.health),
        quarantined=device.quarantined,
    )


def _to_link(link: DeviceLink) -> pb.DeviceLink:
    return pb.DeviceLink(a=link.a, b=link.b, kind=link.kind, nvlinks=link.nvlinks, bytes_per_s=bytes_per_s(link))
