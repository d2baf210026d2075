"""`top`: the whole machine, live: processors, memory, devices, jobs."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from aios.jobs import Job
from aios.node import NodeStatus
from aios.units import format_bytes, format_millis
from aiosctl import session
from aiosctl.jobs import job_columns
from aiosctl.lazy import verb
from aiosctl.node import idle_text
from aiosctl.output import escaped, is_terminal, print_lines, table, terminal_columns

if TYPE_CHECKING:
    from aios import Client

_BAR_CELLS = 24
_MOST_JOBS = 200
_ORDER = ("running", "starting", "stopping", "suspended", "queued", "waiting", "held")


@verb("aiosctl top", "aiosctl top --interval 5", "aiosctl top | head")
@click.option("--interval", type=click.FloatRange(0.2, 3600), default=2.0, show_default=True, metavar="SECONDS", help="Between two looks.")
def top(interval: float) -> None:
    """Show the whole machine, live; q quits. Where stdout is no terminal, print it once."""
    with session.connect() as client:
        if is_terminal(sys.stdout) and is_terminal(sys.stdin):
            _live(client, interval)
        else:
            print_lines(screen(*_look(client), time.time(), terminal_columns(sys.stdout)))


def _look(client: "Client") -> tuple[NodeStatus, list[Job]]:
    return client.node(), list(client.jobs(limit=_MOST_JOBS))


def _live(client: "Client", interval: float) -> None:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console = Console()
    with _keys() as pressed, Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            lines = screen(*_look(client), time.time(), console.width)
            live.update(Text("\n".join(lines[: console.height - 1]), no_wrap=True, overflow="ellipsis"), refresh=True)
            if pressed(interval) in ("q", "Q", "\x03", "\x1b"):
                return


@contextmanager
def _keys() -> Iterator[Callable[[float], str]]:
    """A function that waits so long for one key and gives it back, or ""."""
    import os
    import termios
    import tty
    from select import select

    def pressed(wait_s: float) -> str:
        return os.read(0, 1).decode("latin-1") if select([0], [], [], wait_s)[0] else ""

    before = termios.tcgetattr(0)
    try:
        tty.setcbreak(0)
        yield pressed
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)


def screen(node: NodeStatus, jobs: list[Job], now_s: float, columns: int | None) -> list[str]:
    """All lines: the machine, its devices, its jobs."""
    shown = sorted(jobs, key=lambda job: _ORDER.index(job.state.value) if job.state.value in _ORDER else len(_ORDER))
    narrow = [column for column in job_columns(now_s) if not column.wide]
    return [*_machine(node, now_s), *_devices(node), "", *table(shown, narrow, limit=columns)]


def _machine(node: NodeStatus, now_s: float) -> Iterator[str]:
    have, used = node.inventory, node.used
    state = f"drained: {node.drain_reason}" if node.drained else "ready"
    counts = ", ".join(f"{count} {name}" for name, count in sorted(node.jobs_by_state.items()) if count)
    yield escaped(f"{have.hostname}  {state}  policy {node.policy}  load {node.load_average_1m:.2f}  {time.strftime('%H:%M:%S', time.localtime(now_s))}")
    yield from (f"warning: {escaped(warning)}" for warning in node.warnings)
    cpus = f"{format_millis(used.cpu_millis)} of {len(have.cpus)} held, {node.cpu_busy_permille / 10:.0f} % busy"
    yield f"cpus    {bar(used.cpu_millis, 1000 * len(have.cpus))} {cpus}"
    memory = f"{format_bytes(used.memory_bytes)} of {format_bytes(have.memory_bytes)} held, {format_bytes(node.memory_available_bytes)} available"
    yield f"memory  {bar(used.memory_bytes, have.memory_bytes)} {memory}"
    yield f"jobs    {counts or 'none'}"


def _devices(node: NodeStatus) -> Iterator[str]:
    for device in node.inventory.devices:
        held = sum(grant.millis for grant in node.used.devices if grant.device_id == device.id)
        health = "" if device.health in ("ok", "") else f"  {device.health}"
        yield escaped(f"{device.kind} {device.index:<3} {bar(held, 1000)} {format_millis(held)} held  {device.model}{health}{_remarks(node, device.id)}")


def _remarks(node: NodeStatus, device_id: str) -> str:
    """Who else uses it, and who holds it for nothing."""
    others = sorted({use.user or "an unknown user" for use in node.foreign_use if use.device_id == device_id})
    idle = [f"idle: {idle_text(one)}" for one in node.idle_devices if one.device_id == device_id]
    return "".join(f"  {part}" for part in ([f"used by {', '.join(others)}"] if others else []) + idle)


def bar(part: float, whole: float, cells: int = _BAR_CELLS) -> str:
    """`[####----]`; nothing is left of it where there is nothing to have."""
    filled = round(cells * min(1.0, part / whole)) if whole > 0 else 0
    return "[" + "#" * filled + "-" * (cells - filled) + "]"
