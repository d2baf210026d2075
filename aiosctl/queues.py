"""`queue`: queues, what waits in them, and what they allow."""

from collections.abc import Iterator
from typing import Any

import click

from aios.queues import Queue
from aios.units import format_bytes, format_millis, format_seconds
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


def _share(text: str) -> float:
    percent = text.endswith("%")
    try:
        part = float(text.removesuffix("%")) / (100 if percent else 1)
    except ValueError:
        raise ValueError(f"{text[:40]!r} is no part of the machine") from None
    if not 0 <= part <= 1:  # true for NaN
        raise ValueError(f"{text[:40]} of the machine is not between nothing and all of it")
    return part


def _weight(text: str) -> tuple[str, float]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise ValueError(f"{text[:40]!r} is not NAME=NUMBER")
    return name, float(value)


def _amount(text: str) -> str:
    from aios.units import parse_millis

    parse_millis(text, zero=True)
    return text


def _size(text: str) -> int:
    from aios.units import parse_bytes

    return parse_bytes(text, zero=True)


WEIGHT = Value("name=number", _weight, "age=500")
AMOUNT = Value("number", _amount, "4 or 0.5; 0 lifts the limit")
SIZE = Value("size", _size, "64G; 0 lifts the limit")
SHARE = Value("part", _share, "25% or 0.25; 0 for all of it")
NOBODY = "none"  # in place of names: the list is emptied


def _number(count: int) -> str:
    return str(count) if count else "-"


def _seconds(seconds: float) -> str:
    return format_seconds(seconds) if seconds else "-"


def _millis(amount: int) -> str:
    return format_millis(amount) if amount else "-"


def _bytes(amount: int) -> str:
    return format_bytes(amount) if amount else "-"


def share_text(queue: Queue) -> str:
    """`25%`, with a + where it may borrow."""
    return f"{queue.share_permille / 10:g}%{'+' if queue.borrow else ''}" if queue.share_permille else "-"


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
    Column("MAX QUEUED", lambda q: _number(q.max_queued), right=True, wide=True),
    Column("CPUS", lambda q: _millis(q.cpu_millis), right=True, wide=True),
    Column("MEMORY", lambda q: _bytes(q.memory_bytes), right=True, wide=True),
    Column("GPUS", lambda q: _millis(q.gpu_millis), right=True, wide=True),
    Column("SHARE", share_text, right=True, wide=True),
    Column("USERS", lambda q: ",".join(q.allowed_users) or "-", wide=True),
    Column("PREEMPT", lambda q: q.preempt_mode, wide=True),
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


@verb(
    "aiosctl queue set night --priority -10 --max-running 4",
    "aiosctl queue set default --close",
    "aiosctl queue set default --max-time 2h --user-running 8",
    "aiosctl queue set interactive --share 25% --borrow --allow @staff --allow ada",
    "aiosctl queue set interactive --preempts default --weight age=0",
    name="set",
)
@click.argument("name")
@click.option("--priority", type=PRIORITY, help="Added to that of each of its jobs.")
@click.option("--max-running", type=COUNT, help="So many of its jobs at once; 0: no limit.")
@click.option("--open/--close", "open", default=None, help="Take submissions, or refuse them.")
@click.option("--start/--stop", "started", default=None, help="Start its jobs, or let them wait.")
@click.option("--time", "default_time", type=LIMIT, help="Time limit of jobs that name none; none: no limit.")
@click.option("--max-time", type=LIMIT, help="The longest time limit a job may ask for; none: any.")
@click.option("--max-queued", type=COUNT, help="So many jobs that wait in it; more are refused.")
@click.option("--max-cpus", type=AMOUNT, help="Processors of its running jobs together.")
@click.option("--max-memory", type=SIZE, help="Memory of its running jobs together.")
@click.option("--max-gpus", type=AMOUNT, help="GPUs of its running jobs together.")
@click.option("--user-running", type=COUNT, help="So many jobs of one user at once.")
@click.option("--user-cpus", type=AMOUNT, help="Processors of one user's running jobs.")
@click.option("--user-gpus", type=AMOUNT, help="GPUs of one user's running jobs.")
@click.option("--share", type=SHARE, help="The part of the machine that its jobs may hold together; 0: all of it.")
@click.option("--borrow/--no-borrow", "borrow", default=None, help="More than its share while nobody else wants it.")
@click.option("--allow", "allowed_users", multiple=True, metavar="USER|@GROUP", help="Only these may use it, in place of those before; none: everybody.")
@click.option("--weight", "weights", type=WEIGHT, multiple=True, help="Its own weight of a factor of policy priority, in place of those before.")
@click.option("--preempts", multiple=True, metavar="QUEUE", help="Queues whose running jobs its own may preempt, in place of those before; none: no other.")
@click.option("--preempt-mode", type=click.Choice(["off", "suspend", "checkpoint", "requeue", "cancel"]), help="What becomes of its own jobs then.")
@click.option("--preempt-after", type=LIMIT, help="How long after its start a job is left alone.")
@click.option("--idle-gpus", type=click.Choice(["report", "requeue", "cancel"]), help="What becomes of a job all of whose GPUs are idle.")
@click.option("--idle-gpus-after", type=LIMIT, help="How long they must be idle for that.")
@output_options
def set_queue(name: str, shape: Shape, **wish: Any) -> None:
    """Make a queue, or change what an existing one allows; what is not named stays as it is, and a limit of 0 is none."""
    named = {field: value for field, value in wish.items() if value is not None and value != ()}
    if not named:
        raise WrongUsage("nothing to set was named", f"for example `aiosctl queue set {name} --priority 10`")
    for field in ("allowed_users", "preempts"):
        if named.get(field) == (NOBODY,):
            named[field] = ()
    if "weights" in named:
        named["weights"] = dict(named["weights"])
    with session.connect() as client:
        print_one(client.set_queue(name, **named), _layout, lambda q: q.name, shape)


def _layout(queue: Queue, wide: bool) -> Iterator[str]:
    yield from section(f"Queue {queue.name}", [
        ("state", _state(queue)), ("priority", str(queue.priority)), ("queued", str(queue.queued)), ("running", str(queue.running)),
        ("at most running", _number(queue.max_running)), ("waited lately", _seconds(round(queue.mean_wait_s))),
        ("oldest waits", _seconds(queue.oldest_wait_s)),
        ("time limit", _seconds(queue.default_time_limit_s)), ("longest time limit", _seconds(queue.max_time_limit_s)),
        ("share", share_text(queue)), ("for", ", ".join(queue.allowed_users) or "everybody"),
    ])  # fmt: skip
    yield from section("At once", [
        ("waiting", _limit_of(queue.max_queued)), ("processors", _limit_of(format_millis(queue.cpu_millis))),
        ("memory", _limit_of(format_bytes(queue.memory_bytes) if queue.memory_bytes else "")), ("GPUs", _limit_of(format_millis(queue.gpu_millis))),
        ("jobs of a user", _limit_of(queue.user_running)), ("processors of a user", _limit_of(format_millis(queue.user_cpu_millis))),
        ("GPUs of a user", _limit_of(format_millis(queue.user_gpu_millis))),
    ])  # fmt: skip
    mode = queue.preempt_mode if queue.preempt_mode != "off" else ""
    yield from section("Rules", [
        ("weights", " ".join(f"{name}={weight:g}" for name, weight in sorted(queue.weights.items()))), ("preempts", ", ".join(queue.preempts)),
        ("its jobs, preempted", f"{mode}, {_seconds(queue.preempt_after_s)} after their start" if mode and queue.preempt_after_s else mode),
        ("with idle GPUs", queue.idle_gpus if queue.idle_gpus != "report" else ""),
    ])  # fmt: skip


def _limit_of(limit: object) -> str:
    """What is no limit is left out."""
    return "" if str(limit) == "0" else str(limit)
