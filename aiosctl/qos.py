"""`qos`: the qualities of service that jobs can ask for."""

from collections.abc import Iterator

import click

from aios.errors import NotFound
from aios.queues import Qos
from aios.units import format_bytes, format_millis, format_seconds
from aiosctl import session
from aiosctl.lazy import Nouns, verb
from aiosctl.options import output_options
from aiosctl.output import Column, Shape, print_one, print_rows, section

TABLE = {
    "ls": ("aiosctl.qos:ls", "List the qualities of service"),
    "show": ("aiosctl.qos:show", "Show one"),
}


def _number(count: float) -> str:
    return f"{count:g}" if count else "-"


COLUMNS: list[Column[Qos]] = [
    Column("NAME", lambda q: q.name, cut=True),
    Column("PRIORITY", lambda q: str(q.priority), right=True),
    Column("QUEUED", lambda q: str(q.queued), right=True),
    Column("RUNNING", lambda q: str(q.running), right=True),
    Column("MAX", lambda q: _number(q.max_running), right=True),
    Column("BILLED", lambda q: f"x{q.usage_factor:g}", right=True),
    Column("CPUS", lambda q: _number(q.cpu_millis / 1000), right=True, wide=True),
    Column("GPUS", lambda q: _number(q.gpu_millis / 1000), right=True, wide=True),
    Column("MAX TIME", lambda q: format_seconds(q.max_time_limit_s) if q.max_time_limit_s else "-", right=True, wide=True),
    Column("USERS", lambda q: ",".join(q.allowed_users) or "-", wide=True),
    Column("PREEMPTS", lambda q: ",".join(q.preempts) or "-", wide=True),
]


@click.group(cls=Nouns, table=TABLE)
def qos() -> None:
    """Qualities of service: sections [qos.NAME] of the configuration, which jobs ask for by --qos NAME."""


@verb("aiosctl qos ls", "aiosctl qos ls -o wide")
@output_options
def ls(shape: Shape) -> None:
    """List the qualities of service."""
    with session.connect() as client:
        print_rows(client.qos(), COLUMNS, lambda q: q.name, shape, nothing="there are none: a section [qos.NAME] of the configuration makes one")


@verb("aiosctl qos show high")
@click.argument("name")
@output_options
def show(name: str, shape: Shape) -> None:
    """Show a quality of service."""
    with session.connect() as client:
        known = {one.name: one for one in client.qos()}
    if name not in known:
        raise NotFound(f"there is no QoS {name!r}", hint=f"there are {', '.join(known) or 'none'}")
    print_one(known[name], _layout, lambda q: q.name, shape)


def _layout(qos: Qos, wide: bool) -> Iterator[str]:
    yield from section(f"QoS {qos.name}", [
        ("priority", str(qos.priority)), ("queued", str(qos.queued)), ("running", str(qos.running)), ("for", ", ".join(qos.allowed_users) or "everybody"),
        ("billed", f"x{qos.usage_factor:g}"), ("longest time limit", format_seconds(qos.max_time_limit_s) if qos.max_time_limit_s else ""),
        ("preempts", ", ".join(qos.preempts)), ("its jobs, preempted", qos.preempt_mode if qos.preempt_mode != "off" else ""),
    ])  # fmt: skip
    yield from section("At once", [
        ("jobs", str(qos.max_running or "")), ("processors", format_millis(qos.cpu_millis) if qos.cpu_millis else ""),
        ("memory", format_bytes(qos.memory_bytes) if qos.memory_bytes else ""), ("GPUs", format_millis(qos.gpu_millis) if qos.gpu_millis else ""),
        ("jobs of a user", str(qos.user_running or "")),
        ("processors of a user", format_millis(qos.user_cpu_millis) if qos.user_cpu_millis else ""),
        ("GPUs of a user", format_millis(qos.user_gpu_millis) if qos.user_gpu_millis else ""),
    ])  # fmt: skip
