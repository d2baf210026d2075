"""`node drain`: nothing new starts; what still runs, and until when."""

import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from aios.records import ACTIVE, JobRecord, State
from aiosctl import describe, session
from aiosctl.lazy import verb
from aiosctl.node import layout
from aiosctl.options import output_options
from aiosctl.output import Shape, escaped, print_one

if TYPE_CHECKING:
    from aios import Client

POLL_S = 1.0
MOST_NAMED = 10


@verb("aiosctl node drain --reason 'new GPU on Friday'", "aiosctl node drain --wait")
@click.option("--reason", default="", metavar="TEXT", help="Told to everybody whose job waits for it.")
@click.option("--wait", is_flag=True, help="Return when nothing runs any more.")
@output_options
def drain(reason: str, wait: bool, shape: Shape) -> None:
    """Let running jobs finish and start nothing new. Says what still runs, and when all of it has ended at the latest."""
    with session.connect() as client:
        status = client.drain(reason)
        running = _running(client)
        _say(running)
        while wait and running:
            time.sleep(POLL_S)
            before, running = running, _running(client)
            if len(running) != len(before):
                _say(running)
        print_one(client.node() if wait else status, layout, lambda node: node.inventory.hostname, shape)


def _running(client: "Client") -> list[JobRecord]:
    return [job for job in client.jobs(states=ACTIVE, include_elements=True) if not job.is_array]


def _say(running: Sequence[JobRecord]) -> None:
    print(escaped(what_runs(running, time.time())), file=sys.stderr)


def what_runs(running: Sequence[JobRecord], now_s: float) -> str:
    """`2 jobs still run: 5, 7; all have ended by 2026-12-01 18:00:00`."""
    if not running:
        return "nothing runs: the node is empty"
    named = ", ".join(job.id for job in running[:MOST_NAMED]) + (", …" if len(running) > MOST_NAMED else "")
    says = f"{len(running)} jobs still run: {named}" if len(running) > 1 else f"1 job still runs: {named}"
    suspended = [job.id for job in running if job.state is State.SUSPENDED]
    endless = [job.id for job in running if not job.time_limit_s]
    if suspended or endless:
        why = f"job {suspended[0]} is suspended" if suspended else f"job {endless[0]} has no time limit"
        return f"{says}; nobody can say for how long: {why}"
    return f"{says}; all have ended by {describe.moment(max((job.started_at_s or now_s) + job.time_limit_s + job.grace_s for job in running))}"
