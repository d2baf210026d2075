"""`admin user`: users, their roles, their limits, and what they use."""

from collections.abc import Iterator
from typing import Any

import click

from aios.access import ROLES, User
from aios.units import format_bytes, format_millis
from aiosctl import session
from aiosctl.failures import WrongUsage
from aiosctl.lazy import Nouns, verb
from aiosctl.options import COUNT, Value, output_options
from aiosctl.output import Column, Shape, print_one, print_rows, section

TABLE = {
    "ls": ("aiosctl.users:ls", "List the users who have jobs, or something set"),
    "show": ("aiosctl.users:show", "Show a user: role, limits, what it uses"),
    "set": ("aiosctl.users:set_user", "Set a user's role and limits"),
}


def _amount(text: str) -> str:
    from aios.units import parse_millis

    parse_millis(text, zero=True)
    return text


def _size(text: str) -> int:
    from aios.units import parse_bytes

    return parse_bytes(text, zero=True)


def _hours(text: str) -> float:
    try:
        hours = float(text)
    except ValueError:
        raise ValueError(f"{text[:40]!r} is not a number of hours") from None
    if not 0 <= hours <= 1e6:  # false for NaN too
        raise ValueError(f"{text[:40]} hours are not between 0 and 1000000")
    return hours


AMOUNT = Value("number", _amount, "4 or 0.5; 0 lifts the limit")
SIZE = Value("size", _size, "64G; 0 lifts the limit")
HOURS = Value("hours", _hours, "24; 0 lifts the limit")


def _of(used: str, limit: str) -> str:
    """What is used, and of how much: "2/4"."""
    return f"{used}/{limit}" if limit else used


def _count(limit: int) -> str:
    return str(limit) if limit else ""


def _millis(limit: int) -> str:
    return format_millis(limit) if limit else ""


def _bytes(limit: int) -> str:
    return format_bytes(limit) if limit else ""


def _gpu_hours(user: User) -> str:
    limit = user.limits.gpu_hours_per_day
    return _of(f"{user.gpu_hours_today:.1f}", f"{limit:g}" if limit else "")


COLUMNS: list[Column[User]] = [
    Column("NAME", lambda u: u.name, cut=True),
    Column("UID", lambda u: str(u.uid), right=True, wide=True),
    Column("ROLE", lambda u: u.role),
    Column("ROLE FROM", lambda u: u.role_from, wide=True),
    Column("QUEUED", lambda u: _of(str(u.queued_jobs), _count(u.limits.queued_jobs)), right=True),
    Column("RUNNING", lambda u: _of(str(u.running_jobs), _count(u.limits.running_jobs)), right=True),
    Column("CPUS", lambda u: _of(format_millis(u.cpu_millis), _millis(u.limits.cpu_millis)), right=True),
    Column("MEMORY", lambda u: _of(format_bytes(u.memory_bytes), _bytes(u.limits.memory_bytes)), right=True),
    Column("GPUS", lambda u: _of(format_millis(u.gpu_millis), _millis(u.limits.gpu_millis)), right=True),
    Column("GPU HOURS", _gpu_hours, right=True),
    Column("LIMITS", lambda u: "set" if u.limits_set else "default", wide=True),
]


@click.group(cls=Nouns, table=TABLE)
def user() -> None:
    """Users: roles, limits, and what they use."""


@verb("aiosctl admin user ls", "aiosctl admin user ls -o wide")
@output_options
def ls(shape: Shape) -> None:
    """List the users who have jobs, or something set. 2/4 means: 2 are used, of 4 that are allowed."""
    with session.connect() as client:
        print_rows(client.users(), COLUMNS, lambda u: u.name, shape, nothing="no users have jobs, or anything set")


@verb("aiosctl admin user show", "aiosctl admin user show alice -o json")
@click.argument("name", default="")
@output_options
def show(name: str, shape: Shape) -> None:
    """Show a user: its role and why, its limits, what it uses now. Without NAME: yourself."""
    with session.connect() as client:
        print_one(client.user(name), _layout, lambda u: u.name, shape)


@verb(
    "aiosctl admin user set alice --role operator",
    "aiosctl admin user set alice --max-running 4 --max-cpus 16 --max-memory 64G --max-gpus 2",
    "aiosctl admin user set alice --gpu-hours-per-day 24 --max-queued 1000 --max-model-bytes 100G",
    "aiosctl admin user set alice --role default --default-limits",
    name="set",
)
@click.argument("name")
@click.option("--role", type=click.Choice([*ROLES, "default"]), help="default: what its Unix groups and the configuration say.")
@click.option("--max-queued", type=COUNT, help="Jobs that have not begun; more are refused.")
@click.option("--max-running", type=COUNT, help="Jobs that run at once.")
@click.option("--max-cpus", type=AMOUNT, help="Processors of running jobs.")
@click.option("--max-memory", type=SIZE, help="Memory of running jobs.")
@click.option("--max-gpus", type=AMOUNT, help="GPUs of running jobs.")
@click.option("--gpu-hours-per-day", type=HOURS, help="GPU hours of the last 24 hours.")
@click.option("--max-model-bytes", type=SIZE, help="Stored models.")
@click.option("--default-limits", is_flag=True, help="The limits of the configuration again.")
@output_options
def set_user(name: str, role: str | None, default_limits: bool, shape: Shape, **limits: Any) -> None:
    """Set a user's role and limits, at once and for good; takes an admin. What is not named stays as it is; 0 lifts a limit.

    What runs goes on; what waits starts when the user's limits allow it, and `aiosctl why` names the limit.
    """
    named = {limit: value for limit, value in limits.items() if value is not None}
    if role is None and not named and not default_limits:
        raise WrongUsage("nothing to set was named", f"for example `aiosctl admin user set {name} --max-running 4`")
    if named and default_limits:
        raise WrongUsage("--default-limits and a limit exclude each other", "name the one or the other")
    with session.connect() as client:
        print_one(client.set_user(name, role=role, default_limits=default_limits, **named), _layout, lambda u: u.name, shape)


def _layout(user: User, wide: bool) -> Iterator[str]:
    limits = user.limits
    yield from section(f"User {user.name}", [("uid", str(user.uid)), ("role", f"{user.role} ({user.role_from})")])
    yield from section("Uses, of what it may", [
        ("queued jobs", _of(str(user.queued_jobs), _count(limits.queued_jobs))), ("running jobs", _of(str(user.running_jobs), _count(limits.running_jobs))),
        ("cpus", _of(format_millis(user.cpu_millis), _millis(limits.cpu_millis))),
        ("memory", _of(format_bytes(user.memory_bytes), _bytes(limits.memory_bytes))),
        ("gpus", _of(format_millis(user.gpu_millis), _millis(limits.gpu_millis))), ("gpu hours of a day", _gpu_hours(user)),
        ("models, at most", _bytes(limits.model_bytes)), ("limits", "set for this user" if user.limits_set else "of the configuration"),
    ])  # fmt: skip
