"""`why`: what a job waits for, and what would help."""

import time
from collections.abc import Iterator

import click

from aios.records import AheadJob, PriorityFactor, Why
from aios.units import format_seconds
from aiosctl import describe, session
from aiosctl.completing import JOB
from aiosctl.lazy import verb
from aiosctl.options import output_options
from aiosctl.output import Column, Shape, coloured, escaped, print_one, section, table

STARTED = ("not-waiting", "out-of-memory")  # it runs or has ended: no policy has a say any more
NEAREST = 5  # of those ahead; wide has all that the daemon tells


@verb("aiosctl why 42", "aiosctl why 42 -o json")
@click.argument("job", type=JOB)
@output_options
def why(job: str, shape: Shape) -> None:
    """Say why a job waits, who is ahead, when it may start, and what would make it start sooner."""
    with session.connect() as client:
        print_one(client.why(job), _layout, lambda answer: answer.id, shape)


def _layout(answer: Why, wide: bool) -> Iterator[str]:
    """The sentence first; then what it was made from."""
    yield escaped(answer.summary)
    if answer.resource:
        yield from section("Resource", [(answer.resource, _amounts(answer))])
    if answer.ahead_count:
        yield from _ahead(answer, wide)
    if answer.factors:
        yield from _priority(answer)
    if answer.kind not in STARTED:
        yield from section("Start", _start(answer))
    if answer.suggestions:
        yield _title("Sooner")
        yield from (f"  - {escaped(suggestion)}" for suggestion in answer.suggestions)
    if wide:
        yield from section("Kind", [("kind", answer.kind)])


def _title(text: str) -> str:
    from aiosctl.node import colourful_out

    return coloured(text, "bold", colourful_out())


def _amounts(answer: Why) -> str:
    pairs = (("asked", answer.asked), ("free", answer.free), ("the machine has", answer.machine_has))
    return ", ".join(f"{label} {value}" for label, value in pairs if value)


def _ahead(answer: Why, wide: bool) -> Iterator[str]:
    """How many, and the nearest of them: nearest first."""
    jobs = f"{answer.ahead_count} {'job' if answer.ahead_count == 1 else 'jobs'}"
    if not answer.ahead_jobs:
        yield from section("Ahead", [(jobs, ", ".join(answer.ahead) + (", …" if answer.ahead_count > len(answer.ahead) else ""))])
        return
    shown = answer.ahead_jobs if wide else answer.ahead_jobs[:NEAREST]
    yield _title("Ahead") + f"  {jobs}"
    yield from (f"  {line}" for line in table(shown, _columns(answer, wide)))
    if answer.ahead_count > len(shown):
        yield "  …"


def _columns(answer: Why, wide: bool) -> list[Column[AheadJob]]:
    accounts = any(job.account for job in answer.ahead_jobs)
    columns: list[Column[AheadJob]] = [
        Column("JOB", lambda job: job.id, right=True),
        Column("USER", lambda job: job.user),
        Column("ACCOUNT", lambda job: job.account or describe.NONE),
        Column("SHARE", lambda job: _percent(job.share), right=True),
        Column("USED", lambda job: _percent(job.usage), right=True),
        Column("PRIORITY", lambda job: f"{job.priority:.10g}" if job.priority == int(job.priority) else f"{job.priority:.1f}", right=True),
    ]
    return [column for column in columns if wide or accounts or column.title != "ACCOUNT"]


def _percent(part: float) -> str:
    return f"{100 * part:.0f} %"


def _priority(answer: Why) -> Iterator[str]:
    """What its priority is made of, and the sum."""
    yield _title("Priority") + f"  {sum(factor.points for factor in answer.factors):.1f}"
    columns: list[Column[PriorityFactor]] = [
        Column("FACTOR", lambda one: one.name.replace("_", " ")),
        Column("VALUE", lambda one: f"{one.factor:.3f}", right=True),
        Column("WEIGHT", lambda one: f"{one.weight:g}", right=True),
        Column("POINTS", lambda one: f"{one.points:.1f}", right=True),
    ]
    yield from (f"  {line}" for line in table([one for one in answer.factors if one.weight], columns))


def _start(answer: Why) -> list[tuple[str, str]]:
    held = f"{100 * answer.estimate_held_share:.0f} % of the intervals given lately held" if answer.estimate_held_share else ""
    return [
        ("estimated", _moment(answer.estimated_start_at_s)),
        ("between", _between(answer)),
        ("by", answer.estimate_basis),
        ("so far", held),
        ("kept for it", answer.planned_grant),
        ("policy", answer.policy),
    ]


def _between(answer: Why) -> str:
    low_s, high_s = answer.estimated_start_low_s, answer.estimated_start_high_s
    if not high_s or high_s - low_s < 1:
        return ""
    return f"{_left(low_s)} and {_left(high_s)}"


def _moment(at_s: float) -> str:
    left_s = at_s - time.time()
    return f"{describe.moment(at_s)} (in {format_seconds(int(left_s))})" if at_s and left_s >= 1 else describe.moment(at_s)


def _left(at_s: float) -> str:
    left_s = int(at_s - time.time())
    return f"in {format_seconds(left_s)}" if left_s > 0 else "now"
