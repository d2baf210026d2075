"""`why`: what a job waits for, and what would help."""

import time
from collections.abc import Iterator

import click

from aios.records import Why
from aios.units import format_seconds
from aiosctl import describe, session
from aiosctl.lazy import verb
from aiosctl.options import output_options
from aiosctl.output import Shape, escaped, print_one, section

STARTED = ("not-waiting", "out-of-memory")  # it runs or has ended: no policy has a say any more


@verb("aiosctl why 42", "aiosctl why 42 -o json")
@click.argument("job")
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
        yield from section("Ahead", [(f"{answer.ahead_count} {'job' if answer.ahead_count == 1 else 'jobs'}", _ahead(answer))])
    if answer.kind not in STARTED:
        yield from section("Start", [("estimated", _start(answer.estimated_start_at_s)), ("policy", answer.policy)])
    if answer.suggestions:
        yield "Sooner"
        yield from (f"  - {escaped(suggestion)}" for suggestion in answer.suggestions)
    if wide:
        yield from section("Kind", [("kind", answer.kind)])


def _amounts(answer: Why) -> str:
    pairs = (("asked", answer.asked), ("free", answer.free), ("the machine has", answer.machine_has))
    return ", ".join(f"{label} {value}" for label, value in pairs if value)


def _ahead(answer: Why) -> str:
    return ", ".join(answer.ahead) + (", …" if answer.ahead_count > len(answer.ahead) else "")


def _start(at_s: float) -> str:
    left = at_s - time.time()
    return f"{describe.moment(at_s)} (in {format_seconds(int(left))})" if at_s and left > 0 else describe.moment(at_s)
