"""From a job's grant to the limits of its cell, in the kernel's units and the same for both versions of control groups; pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from aiosd.jobs.job import JobSpec
from aiosd.resources.grant import Grant
from aiosd.resources.inventory import Inventory
from aiosd.resources.oversubscription import processors

PERIOD_US = 100_000  # of the processor quota
_LEAST_QUOTA_US = 1000  # what the kernel takes
_WEIGHT_OF_ONE = 100  # of a whole processor; the kernel's own default of a group
_MOST_WEIGHT = 10_000
WHOLE = 1000


@dataclass(frozen=True, slots=True)
class DeviceFile:
    """A device file by its numbers; `kind` is "c" or "b", as in /proc/devices."""

    kind: str
    major: int
    minor: int
    path: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Machine:
    """What of this machine the limits depend on: `devices` has the files of each device, `disks` are numbers as "8:0"."""

    inventory: Inventory
    devices: Mapping[str, tuple[DeviceFile, ...]] = field(default_factory=dict)
    disks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CellSettings:
    """What the configuration says of every cell."""

    cgroups: str = "auto"  # auto, v2, v1, off
    memory_high_permille: int = 0  # of memory_bytes; 0: none
    pids_max: int = 0  # 0: no limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """0, "" and () mean no limit. `quota_us` is of each PERIOD_US; weights are 1 to 10000, of which 100 is everybody's."""

    cpus: tuple[int, ...] = ()
    nodes: tuple[int, ...] = ()
    quota_us: int = 0
    cpu_weight: int = 0
    memory_bytes: int = 0
    memory_high_bytes: int = 0
    pids: int = 0
    disks: tuple[str, ...] = ()
    io_read_bytes_per_s: int = 0
    io_write_bytes_per_s: int = 0
    io_weight: int = 0
    denied: tuple[DeviceFile, ...] = ()


def limits_of(grant: Grant, spec: JobSpec, machine: Machine, settings: CellSettings) -> Limits:
    """What a run with this grant is held to."""
    return Limits(
        cpus=processors(grant),
        nodes=memory_nodes(grant, machine.inventory),
        quota_us=_quota_us(grant),
        cpu_weight=max(1, min(_MOST_WEIGHT, _WEIGHT_OF_ONE * grant.cpu_millis // WHOLE)),
        memory_bytes=grant.memory_bytes,
        memory_high_bytes=grant.memory_bytes * settings.memory_high_permille // 1000,
        pids=settings.pids_max,
        disks=machine.disks,
        io_read_bytes_per_s=spec.io_read_bytes_per_s,
        io_write_bytes_per_s=spec.io_write_bytes_per_s,
        io_weight=spec.io_weight,
        denied=denied_devices(grant, machine),
    )


def memory_nodes(grant: Grant, inventory: Inventory) -> tuple[int, ...]:
    """The NUMA nodes that the run's memory must come from; () for any.

    It is bound to the nodes of its processors only if it was granted no larger part of their memory than of their processors:
    then all who are bound fit together. Whoever has more memory than that takes it from anywhere.
    """
    node_of = {cpu.id: cpu.numa_node for cpu in inventory.cpus}
    nodes = {node_of[cpu.cpu] for cpu in grant.cpus if cpu.cpu in node_of}
    known = {node.id: node for node in inventory.numa_nodes}
    if len(known) < 2 or not nodes or not nodes <= known.keys():
        return ()
    memory = sum(known[node].memory_bytes for node in nodes)
    millis = sum(WHOLE * len(known[node].cpus) for node in nodes)
    return tuple(sorted(nodes)) if millis and grant.memory_bytes * millis <= memory * grant.cpu_millis else ()


def denied_devices(grant: Grant, machine: Machine) -> tuple[DeviceFile, ...]:
    """The files of all devices but the granted ones; of a part of a GPU, those of the whole are granted with it."""
    parent_of = {device.id: device.parent_id for device in machine.inventory.devices}
    granted = {device.device_id for device in grant.devices}
    granted |= {parent_of.get(device, "") for device in granted}
    allowed = {file for device in granted for file in machine.devices.get(device, ())}
    files = (file for of_device in machine.devices.values() for file in of_device)
    return tuple(file for file in dict.fromkeys(files) if file not in allowed)


def _quota_us(grant: Grant) -> int:
    """None where whole processors are granted: the run has them for itself, and is held to them by its cpuset."""
    if not grant.cpus or all(cpu.millis == WHOLE for cpu in grant.cpus):
        return 0
    return max(_LEAST_QUOTA_US, grant.cpu_millis * PERIOD_US // WHOLE)
