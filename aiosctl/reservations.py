"""`node reserve` and `node unreserve`: a part of the machine for somebody, for some time."""

from collections.abc import Iterator

import click

from aios.node import Reservation
from aios.resources import Request
from aios.units import format_seconds
from aiosctl import describe, session
from aiosctl.lazy import verb
from aiosctl.options import COUNT, CPUS, DURATION, GPUS, GRES, MOMENT, SIZE, Value, output_options
from aiosctl.output import Column, Shape, print_one, section


def _users(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(","))
    if not all(name.removeprefix("@") for name in names):
        raise ValueError(f"{text!r} has an empty name")
    return names


USERS = Value("names", _users, "alice or alice,@vision")


@verb("aiosctl node reserve --from 18:00 --for 4h --gpus 2 --user alice", "aiosctl node reserve --from +2h --for 30m --exclusive --user @vision --reason demo")
@click.option("--from", "begin", type=MOMENT, default="now", help="When it begins: 18:00, +2h, 2026-12-01T18:00; else now.")
@click.option("--for", "length", type=DURATION, required=True, help="How long: 4h, 1-12:00:00.")
@click.option("--user", "users", type=USERS, multiple=True, required=True, help="Whose jobs may use it; a Unix group as @group.")
@click.option("--cpus", type=CPUS, help="Processors; else one for each device.")
@click.option("--memory", type=SIZE, help="Memory: 64G; else in proportion to the processors.")
@click.option("--gpus", type=GPUS, help="GPUs: 2, a100:1.")
@click.option("--gres", type=GRES, multiple=True, help="Other devices: fpga=1.")
@click.option("--disk", type=SIZE, help="Scratch space: 50G.")
@click.option("--exclusive", is_flag=True, help="The whole machine.")
@click.option("--reason", default="", metavar="TEXT", help="Shown with it.")
@output_options
def reserve(
    begin: float, length: float, users: tuple[tuple[str, ...], ...], cpus: str | None, memory: int | None, gpus: str | None, gres: tuple[str, ...],
    disk: int | None, exclusive: bool, reason: str, shape: Shape,
) -> None:  # fmt: skip
    """Keep a part of the machine for somebody. Jobs of others leave it free, unless their time limit ends them before."""
    names = [name for given in users for name in given]
    with session.connect() as client:
        made = client.reserve(begin, length, names, cpus=cpus, memory=memory, gpus=gpus, gres=list(gres) or None, disk=disk, exclusive=exclusive, reason=reason)
        print_one(made, _layout, lambda reservation: str(reservation.id), shape)


@verb("aiosctl node unreserve 3")
@click.argument("number", type=COUNT, metavar="ID")
@output_options
def unreserve(number: int, shape: Shape) -> None:
    """End a reservation, or take it back before it begins."""
    with session.connect() as client:
        print_one(client.unreserve(number), _layout, lambda reservation: str(reservation.id), shape)


def what(reservation: Reservation) -> str:
    """`4 cpus, 16 GiB, 2 gpu`."""
    request = reservation.request
    disk = f"{describe.size(request.disk_bytes)} of disk" if request.disk_bytes else ""
    return ", ".join(part for part in (_cpus(request), describe.size(request.memory_bytes), describe.devices(request), disk) if part)


def _cpus(request: Request) -> str:
    number = describe.cpus(request)
    return f"{number} cpu" if number == "1" else f"{number} cpus"


COLUMNS: list[Column[Reservation]] = [
    Column("ID", lambda r: str(r.id), right=True),
    Column("FROM", lambda r: describe.moment(r.from_s)),
    Column("UNTIL", lambda r: describe.moment(r.until_s)),
    Column("FOR", lambda r: ", ".join(r.users), cut=True),
    Column("WHAT", what),
    Column("REASON", lambda r: r.reason or describe.NONE, cut=True),
]


def _layout(reservation: Reservation, wide: bool) -> Iterator[str]:
    length = format_seconds(reservation.until_s - reservation.from_s)
    yield from section(
        f"Reservation {reservation.id}",
        [
            ("for", ", ".join(reservation.users)), ("what", what(reservation)), ("from", describe.moment(reservation.from_s)),
            ("until", f"{describe.moment(reservation.until_s)} ({length})"), ("reason", reservation.reason), ("made by", reservation.created_by),
        ],
    )  # fmt: skip
