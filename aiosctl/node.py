"""`node`: what the machine has, who holds it, what is enforced; drain and resume."""

from collections import Counter
from collections.abc import Iterable, Iterator

import click

from aios.node import ForeignUse, IdleDevice, NodeStatus
from aios.resources import Device
from aios.units import format_bytes, format_millis, format_seconds
from aiosctl import describe, session
from aiosctl.lazy import Nouns, verb
from aiosctl.options import output_options
from aiosctl.output import Column, Shape, coloured, colourful, escaped, print_one, section, table

TABLE = {
    "show": ("aiosctl.node:show", "Inventory, topology, health, isolation in force"),
    "topology": ("aiosctl.topology:topology", "Which devices are near to which, and to which processors"),
    "drain": ("aiosctl.drain:drain", "Let running jobs finish and start nothing new"),
    "resume": ("aiosctl.node:resume", "The end of a drain"),
    "reserve": ("aiosctl.reservations:reserve", "Keep a part of the machine for somebody, for some time"),
    "unreserve": ("aiosctl.reservations:unreserve", "End a reservation"),
    "device": ("aiosctl.devices:device", "Take a device out of use, or let it be handed out again"),
}


@click.group(cls=Nouns, table=TABLE, default="show")
def node() -> None:
    """The machine. Without a verb: show."""


@verb("aiosctl node", "aiosctl node -o json", "aiosctl node show -o wide")
@output_options
def show(shape: Shape) -> None:
    """Show what the machine has, what is free, what is enforced, and how the daemon does."""
    with session.connect() as client:
        print_one(client.node(), layout, _name, shape)


@verb("aiosctl node resume")
@output_options
def resume(shape: Shape) -> None:
    """End a drain: jobs start again."""
    with session.connect() as client:
        print_one(client.resume_node(), layout, _name, shape)


def _name(status: NodeStatus) -> str:
    return status.inventory.hostname


def layout(status: NodeStatus, wide: bool) -> Iterator[str]:
    """The machine in sections; wide adds each processor's place. What lies between devices: `node topology`."""
    for warning in status.warnings:
        yield coloured(f"warning: {escaped(warning)}", "yellow", colourful_out())
    yield from section(f"Node {escaped(status.inventory.hostname)}", _summary(status))
    yield from section("Resources", _resources(status))
    if status.inventory.devices:
        yield coloured("Devices", "bold", colourful_out())
        yield from (f"  {line}" for line in table(status.inventory.devices, _device_columns(status, wide)))
    if status.reservations:
        from aiosctl.reservations import COLUMNS

        yield coloured("Reservations", "bold", colourful_out())
        yield from (f"  {line}" for line in table(status.reservations, COLUMNS))
    yield from section("Used by others", ((device_name(status, use.device_id), _foreign(use)) for use in status.foreign_use))
    yield from section("Idle", ((device_name(status, idle.device_id), idle_text(idle)) for idle in status.idle_devices))
    yield from section("Isolation", ((i.resource, i.state + (f" ({i.detail})" if i.detail else "")) for i in status.isolation))
    yield from section("Daemon", _daemon(status))
    if wide:
        yield from section("Processors", _processors(status))


def colourful_out() -> bool:
    import sys

    return colourful(sys.stdout)


def _summary(status: NodeStatus) -> list[tuple[str, str]]:
    jobs = ", ".join(f"{count} {state}" for state, count in sorted(status.jobs_by_state.items()) if count)
    reason = f": {status.drain_reason}" if status.drain_reason else ""
    return [
        ("state", f"drained{reason}" if status.drained else "ready"), ("jobs", jobs or "none"), ("policy", status.policy),
        ("processor", status.inventory.cpu_model),
        ("kernel", status.inventory.kernel), ("load", f"{status.load_average_1m:.2f}, processors {status.cpu_busy_permille / 10:.0f} % busy"),
    ]  # fmt: skip


def _resources(status: NodeStatus) -> list[tuple[str, str]]:
    have, used = status.inventory, status.used
    reserve = have.memory_total_bytes - have.memory_bytes
    kept = f" ({format_bytes(reserve)} kept for the system)" if reserve > 0 else ""
    memory = f"{format_bytes(used.memory_bytes)} of {format_bytes(have.memory_bytes)} in use{kept}; {format_bytes(status.memory_available_bytes)} available now"
    rows = [("cpus", f"{format_millis(used.cpu_millis)} of {len(have.cpus)} in use; {topology(status)}"), ("memory", memory)]
    for kind, devices in have.devices_by_kind().items():
        rows.append((kind, f"{format_millis(used.device_millis(kind))} of {len(devices)} in use"))
    if have.disk_bytes:
        rows.append(("disk", f"{format_bytes(used.disk_bytes)} of {format_bytes(have.disk_bytes)} in use"))
    return rows


def device_name(status: NodeStatus, device_id: str) -> str:
    """`gpu 0`, or the id of one that is not there any more."""
    return next((f"{d.kind} {d.index}" for d in status.inventory.devices if d.id == device_id), device_id)


def _foreign(use: ForeignUse) -> str:
    program = f" ({use.program})" if use.program else ""
    return f"{describe.size(use.memory_bytes) or describe.NONE} by pid {use.pid} of {use.user or 'an unknown user'}{program}"


def idle_text(idle: IdleDevice) -> str:
    return f"held by job {idle.job_id}, unused for {format_seconds(idle.idle_s)}"


def topology(status: NodeStatus) -> str:
    """`1 socket, 2 NUMA nodes, 8 cores, 16 threads`."""
    cpus = status.inventory.cpus
    counts = ((len({c.socket for c in cpus}), "socket"), (len(status.inventory.numa_nodes) or 1, "NUMA node"),
              (len({(c.socket, c.core) for c in cpus}), "core"), (len(cpus), "thread"))  # fmt: skip
    return ", ".join(f"{count} {what}{'' if count == 1 else 's'}" for count, what in counts)


def _device_columns(status: NodeStatus, wide: bool) -> list[Column[Device]]:
    held = Counter[str]()
    for grant in status.used.devices:
        held[grant.device_id] += grant.millis
    columns: list[Column[Device]] = [
        Column("DEVICE", lambda d: f"{d.kind} {d.index}"),
        Column("MODEL", lambda d: d.model or describe.NONE),
        Column("MEM", lambda d: describe.amount(d.memory_bytes), right=True),
        Column("NUMA", lambda d: str(d.numa_node) if d.numa_node >= 0 else describe.NONE, right=True),
        Column("HELD", lambda d: format_millis(held[d.id]), right=True),
        Column("HEALTH", _health, colour=lambda d: "" if _health(d) == "ok" else "red"),
        Column("ID", lambda d: d.id, wide=True),
        Column("FILES", lambda d: ", ".join(d.paths), wide=True),
        Column("PART OF", lambda d: d.parent_id or describe.NONE, wide=True),
    ]
    return [column for column in columns if wide or not column.wide]


def _health(device: Device) -> str:
    return device.health if not device.quarantined else "quarantine" if device.health == "ok" else f"quarantine: {device.health}"


def _daemon(status: NodeStatus) -> list[tuple[str, str]]:
    daemon = status.daemon
    return [
        ("version", daemon.version), ("pid", str(daemon.pid)), ("started", describe.moment(daemon.started_at_s)), ("memory", format_bytes(daemon.memory_bytes)),
        ("state directory", daemon.state_directory), ("configuration", daemon.config_file or "none: defaults"), ("database", daemon.database),
        ("log", daemon.log_file),
    ]  # fmt: skip


def _processors(status: NodeStatus) -> Iterable[tuple[str, str]]:
    return ((str(c.id), f"core {c.core}, socket {c.socket}, NUMA node {c.numa_node}") for c in status.inventory.cpus)
