"""`queue`: queues, what waits in them, and what they allow."""

from collections.abc import Iterator

import click

from aios.queues import Queue
from aios.units import format_seconds
from aiosctl import session
from aiosctl.failures import WrongUsage
from aiosctl.lazy import Nouns, verb
from aiosctl.options import COUNT, PRIORITY, Value, output_options
from aiosctl.output import Column, Shape, print_one, print_rows, section

TABLE = {
    "ls": ("aiosctl.queues:ls", "List queues"),
    "show": ("aiosctl.queues:show", "Show a queue"),
    "set": ("aiosctl.queues:set_queue", "Make a queue, or change what it allows"),
}


def _limit(text: str) -> float:
    from aios.units import parse_seconds

    return 0.0 if text.lower() == "none" else parse_seconds(text, zero=True)


LIMIT = Value("time", _limit, "2h, or none")


def _number(count: int) -> str:
    return str(count) if count else "-"


def _seconds(seconds: float) -> str:
    return format_seconds(seconds) if seconds else "-"


def _state(queue: Queue) -> str:
    """`open`, or what it does not do."""
    return ",".join(word for word, on in (("closed", not queue.open), ("stopped", not queue.started)) if on) or "open"


COLUMNS: list[Column[Queue]] = [
    Column("NAME", lambda q: q.name, cut=True),
    Column("STATE", _state, colour=lambda q: "" if q.open and q.started else "yellow"),
    Column("PRIORITY", lambda q: str(q.priority), right=True),
    Column("QUEUED", lambda q: str(q.queued), right=True),
    Column("RUNNING", lambda q: str(q.running), right=True),
    Column("MAX", lambda q: _number(q.max_running), right=True),
    Column("WAIT", lambda q: _seconds(round(q.mean_wait_s)), right=True),
    Column("OLDEST", lambda q: _seconds(q.oldest_wait_s), right=True),
    Column("TIME", lambda q: _seconds(q.default_time_limit_s), right=True, wide=True),
    Column("MAX TIME", lambda q: _seconds(q.max_time_limit_s), right=True, wide=True),
]


@click.group(cls=Nouns, table=TABLE)
def queue() -> None:
    """Queues: what waits in them, and what they allow."""


@verb("aiosctl queue ls", "aiosctl queue ls -o wide")
@output_options
def ls(shape: Shape) -> None:
    """List queues."""
    with session.connect() as client:
        print_rows(client.queues(), COLUMNS, lambda q: q.name, shape, nothing="no queues")


@verb("aiosctl queue show default")
@click.argument("name")
@output_options
def show(name: str, shape: Shape) -> None:
    """Show a queue."""
    with session.connect() as client:
        print_one(client.queue(name), _layout, lambda q: q.name, shape)


@verb("aiosctl queue set night --priority -10 --max-running 4", "aiosctl queue set default --close", "aiosctl queue set default --max-time 2h", name="set")
@click.argument("name")
@click.option("--priority", type=PRIORITY, help="Added to that of each of its jobs.")
@click.option("--max-running", type=COUNT, help="So many of its jobs at once; 0: no limit.")
@click.option("--open/--close", "is_open", default=None, help="Take submissions, or refuse them.")
@click.option("--start/--stop", "started", default=None, help="Start its jobs, or let them wait.")
@click.option("--time", "default_time", type=LIMIT, help="Time limit of jobs that name none; none: no limit.")
@click.option("--max-time", type=LIMIT, help="The longest time limit a job may ask for; none: any.")
@output_options
def set_queue(
    name: str,
    priority: int | None,
    max_running: int | None,
    is_open: bool | None,
    started: bool | None,
    default_time: float | None,
    max_time: float | None,
    shape: Shape,
) -> None:
    """Make a queue, or change what an existing one allows; what is not named stays as it is."""
    if all(value is None for value in (priority, max_running, is_open, started, default_time, max_time)):
        raise WrongUsage("nothing to set was named", f"for example `aiosctl queue set {name} --priority 10`")
    with session.connect() as client:
        changed = client.set_queue(
            name, priority=priority, max_running=max_running, open=is_open, started=started, default_time=default_time, max_time=max_time
        )
        print_one(changed, _layout, lambda q: q.name, shape)


def _layout(queue: Queue, wide: bool) -> Iterator[str]:
    yield from section(f"Queue {queue.name}", [
        ("state", _state(queue)), ("priority", str(queue.priority)), ("queued", str(queue.queued)), ("running", str(queue.running)),
        ("at most running", _number(queue.max_running)), ("waited lately", _seconds(round(queue.mean_wait_s))),
        ("oldest waits", _seconds(queue.oldest_wait_s)),
        ("time limit", _seconds(queue.default_time_limit_s)), ("longest time limit", _seconds(queue.max_time_limit_s)),
    ])  # fmt: skip
