"""`ps`: the list of jobs, once or as it changes."""

import time

import click

from aios.records import JobRecord
from aiosctl import describe, session
from aiosctl.lazy import verb
from aiosctl.options import Chosen, filter_options, output_options
from aiosctl.output import Column, Shape, print_rows


def job_columns(now_s: float) -> list[Column[JobRecord]]:
    """The columns of a list of jobs, as seen at `now_s`."""
    return [
        Column("ID", describe.job_id),
        Column("NAME", describe.name, cut=True),
        Column("USER", lambda j: j.user),
        Column("STATE", lambda j: j.state.value, colour=describe.state_colour),
        Column("TIME", lambda j: describe.run_time(j, now_s), right=True),
        Column("CPUS", lambda j: describe.cpus(j.request), right=True),
        Column("MEM", lambda j: describe.amount(j.request.memory_bytes), right=True),
        Column("GPUS", lambda j: describe.gpus(j.request), right=True),
        Column("QUEUE", lambda j: j.queue, wide=True),
        Column("PRIORITY", lambda j: str(j.priority), right=True, wide=True),
        Column("ATTEMPT", lambda j: str(j.attempt), right=True, wide=True),
        Column("DEVICES", lambda j: describe.devices(j.request) or describe.NONE, wide=True),
        Column("SUBMITTED", lambda j: describe.moment(j.submitted_at_s), wide=True),
        Column("COMMAND", describe.command, wide=True),
        Column("REASON/PROGRESS", describe.reason, cut=True),
    ]


@verb("aiosctl ps", "aiosctl ps -a --state failed,timed_out --user ada", "aiosctl ps -w --label team=vision", "aiosctl cancel $(aiosctl ps -q --state queued)")
@click.option("-a", "--all", "ended", is_flag=True, help="Ended jobs too.")
@click.option("--elements", is_flag=True, help="The elements of arrays one by one, not the array as one line.")
@click.option("-w", "--watch", "watching", is_flag=True, help="Stay, and show every change: redrawn on a terminal, else one line a change.")
@filter_options
@output_options
def ps(ended: bool, elements: bool, watching: bool, chosen: Chosen, shape: Shape) -> None:
    """List jobs, newest first: those that have not ended, or with -a all.

    An array is one line, `42[0-99%8]`, with how many of its elements have ended. --state takes states or
    `pending`, `active`, `ended`; to ask for an ended state is to ask for ended jobs.
    """
    with session.connect() as client:
        question = chosen.question(ended=ended, elements=elements)
        if watching:
            from aiosctl.live import watch_list

            watch_list(client.watch(**question), lambda j: chosen.includes(j.state, ended=ended), job_columns, shape)
            return
        jobs = client.jobs(**question)
        print_rows(jobs, job_columns(time.time()), lambda j: j.id, shape, nothing="no jobs" if ended else "no jobs; `aiosctl ps -a` lists ended ones too")
