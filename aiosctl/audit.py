"""`admin audit`: who did what, and whether the trail of it is whole."""

import time
from typing import TYPE_CHECKING

import click

from aios.access import AuditRecord, AuditVerdict
from aiosctl import describe, session
from aiosctl.failures import FAILED, WrongUsage, leave
from aiosctl.lazy import verb
from aiosctl.options import COUNT, Value, output_options
from aiosctl.output import Column, Shape, escaped, json_text, print_lines, print_one, print_rows, rows_as_lines, section, yaml_text

if TYPE_CHECKING:
    from aios import Client

FOLLOW_S = 1.0
MOST = 10_000


def _since(text: str) -> float:
    """A moment, or so long ago."""
    from aios.errors import AiosError
    from aios.moments import parse_time
    from aios.units import parse_seconds

    try:
        return time.time() - parse_seconds(text)
    except AiosError:
        return parse_time(text, what="moment")


SINCE = Value("moment", _since, "2h (ago), today 08:00 or 2026-12-31T08:00")
COLUMNS: list[Column[AuditRecord]] = [
    Column("NUMBER", lambda r: str(r.number), right=True),
    Column("TIME", lambda r: describe.moment(r.at_s)),
    Column("USER", lambda r: r.user or "-", cut=True),
    Column("ORIGIN", lambda r: r.origin or "-", wide=True),
    Column("FROM", lambda r: r.peer or "-", wide=True),
    Column("METHOD", lambda r: r.method),
    Column("OBJECT", lambda r: r.object or "-", cut=True),
    Column("RESULT", lambda r: "allowed" if r.allowed else "denied", colour=lambda r: "" if r.allowed else "red"),
    Column("DETAIL", lambda r: r.detail, cut=True),
    Column("DIGEST", lambda r: r.digest[:16], wide=True),
]


@verb(
    "aiosctl admin audit",
    "aiosctl admin audit --since 2h --denied",
    "aiosctl admin audit --user alice --method Jobs.Cancel -o json",
    "aiosctl admin audit -f",
    "aiosctl admin audit --verify",
)
@click.option("--verify", is_flag=True, help="Read the whole trail: is it as it was written?")
@click.option("--user", default="", metavar="NAME", help="Only what this user did.")
@click.option("--method", default="", metavar="NAME", help="Only this call, as in Jobs.Cancel.")
@click.option("--denied", is_flag=True, help="Only what was denied.")
@click.option("--since", "since_s", type=SINCE, default=None, help="Only what was done since.")
@click.option("-n", "--limit", type=COUNT, default=100, show_default=True, help="The newest so many; 0: as many as the daemon gives.")
@click.option("-f", "--follow", is_flag=True, help="Go on with what is done from now on.")
@output_options
def audit(verify: bool, user: str, method: str, denied: bool, since_s: float | None, limit: int, follow: bool, shape: Shape) -> None:
    """Print the audit trail, newest last; takes an admin. Every change is in it, and everything that was denied.

    Each record has a digest over itself and the one before. --verify finds the first that was changed, and an end that was cut
    off; exit status 1 when there is one.
    """
    if verify and (user or method or denied or follow or since_s is not None):
        raise WrongUsage("--verify reads the whole trail, and takes no choice of it", "leave the other options out")
    with session.connect() as client:
        if verify:
            _verify(client.verify_audit(), shape)
            return
        records = list(client.audit(since_s=since_s or 0.0, user=user, method=method, denied_only=denied, limit=limit or MOST))
        if not follow:
            print_rows(records, COLUMNS, lambda r: str(r.number), shape, nothing="nothing is recorded that matches")
            return
        _follow(client, records, shape, user, method, denied)


def _verify(verdict: AuditVerdict, shape: Shape) -> None:
    print_one(
        verdict,
        lambda v, wide: section(
            f"Audit trail: {'intact' if v.intact else 'BROKEN'}",
            [("records", str(v.records)), ("problem", v.problem), ("first broken", str(v.first_broken or "")), ("last digest", v.last_digest)],
        ),
        lambda v: "intact" if v.intact else "broken",
        shape,
    )
    if not verdict.intact:
        leave(FAILED)


def _follow(client: "Client", records: list[AuditRecord], shape: Shape, user: str, method: str, denied: bool) -> None:
    """The trail is asked for what is new each second: it is written in batches anyway."""
    last = max((record.number for record in records), default=None)
    if last is None:
        last = max((record.number for record in client.audit(limit=1)), default=0)
    headers = True
    while True:
        if records:
            _print_more(records, shape, headers=headers)
            last, headers = max(last, records[-1].number), False
        time.sleep(FOLLOW_S)
        records = list(client.audit(after_number=last, user=user, method=method, denied_only=denied, limit=MOST))


def _print_more(records: list[AuditRecord], shape: Shape, *, headers: bool) -> None:
    if shape.format == "json":
        print_lines(json_text(record, indent=None) for record in records)
    elif shape.format == "yaml":
        print_lines(f"---\n{yaml_text(record)}" for record in records)
    elif shape.format == "name":
        print_lines(escaped(str(record.number)) for record in records)
    else:
        print_lines(rows_as_lines(records, COLUMNS, Shape(shape.format, headers and shape.headers)))
