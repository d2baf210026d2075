"""`events`: every change of a job, a line each."""

import time

import click

from aios.records import JobRecord
from aiosctl import describe, session
from aiosctl.lazy import verb
from aiosctl.live import Lines
from aiosctl.options import Chosen, filter_options, output_options, patience_option
from aiosctl.output import Column, Shape

COLUMNS: list[Column[JobRecord]] = [
    Column("TIME", lambda j: time.strftime("%H:%M:%S", time.localtime(changed_at_s(j))) if changed_at_s(j) else describe.NONE),
    Column("ID", lambda j: j.id),
    Column("STATE", lambda j: j.state.value, colour=describe.state_colour),
    Column("NAME", describe.name, cut=True),
    Column("USER", lambda j: j.user),
    Column("QUEUE", lambda j: j.queue, wide=True),
    Column("REVISION", lambda j: str(j.revision), right=True, wide=True),
    Column("REASON/PROGRESS", describe.reason, cut=True),
]


def changed_at_s(job: JobRecord) -> float:
    """When it came where it is, as far as its record says."""
    return job.ended_at_s or (job.started_at_s if job.state.active else 0.0) or job.eligible_at_s or job.submitted_at_s


@verb("aiosctl events", "aiosctl events -f --user ada", "aiosctl events -f -o json | jq .state")
@click.option("-f", "--follow", is_flag=True, help="Stay, and print each change as it happens.")
@click.option("--tail", type=click.IntRange(0, 100_000), default=10, show_default=True, metavar="N", help="Begin with the last change of N jobs.")
@click.option("--elements", is_flag=True, help="The elements of arrays too.")
@patience_option
@filter_options
@output_options
def events(follow: bool, tail: int, elements: bool, chosen: Chosen, shape: Shape, patience: float | None) -> None:
    """Print the latest changes of jobs, and with -f every further one. -o json is one object a line."""
    question = chosen.question(ended=True, elements=elements)
    lines = Lines(COLUMNS, shape)
    with session.connect(patience=patience) as client:
        recent = sorted(client.jobs(limit=max(tail, 1), **question), key=lambda job: job.revision)
        lines.print(recent[len(recent) - min(tail, len(recent)) :])
        if follow:
            for event in client.watch(since_revision=recent[-1].revision if recent else 0, **question):
                if event.job is not None:
                    lines.print([event.job])
