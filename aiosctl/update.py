"""`update`: change what a job asks for."""

from typing import TYPE_CHECKING, Any

import click

from aiosctl import session
from aiosctl.completing import LIVE_JOB
from aiosctl.failures import WrongUsage, hint_about, leave, status_of, tell
from aiosctl.lazy import verb
from aiosctl.options import COUNT, CPUS, DURATION, MOMENT, NICE, PAIR, PRIORITY, SIZE
from aiosctl.status import worst

if TYPE_CHECKING:
    from aios.jobs import Job


def _no_gpus(ctx: click.Context, option: click.Parameter, value: str | None) -> None:
    if value is not None:
        raise WrongUsage("the GPUs of a job cannot be changed: programs find theirs when they start", "submit it again with --gpus")


@verb("aiosctl update 42 --memory 8G --priority 10", "aiosctl update 42 --array-limit 4 --label stage=two")
@click.argument("jobs", nargs=-1, required=True, type=LIVE_JOB, metavar="JOB...")
@click.option("--name", help="Its name.")
@click.option("--cpus", type=CPUS, help="Processors; of a job that runs, too.")
@click.option("--memory", type=SIZE, help="Memory; of a job that runs, too.")
@click.option("--gpus", hidden=True, expose_value=False, callback=_no_gpus)
@click.option("--time", "time", type=DURATION, help="Time limit, counted from its start.")
@click.option("--priority", type=PRIORITY, help="Higher goes first.")
@click.option("--nice", type=NICE, help="Niceness of its processes.")
@click.option("--queue", help="Move it to this queue.")
@click.option("--qos", help="Give it this quality of service.")
@click.option("--begin", type=MOMENT, help="Not before.")
@click.option("--deadline", type=MOMENT, help="Skip it when it has not started by then.")
@click.option("--array-limit", type=COUNT, help="So many elements at once; 0: no limit.")
@click.option("--label", "labels", type=PAIR, multiple=True, help="Add or replace a label; `K=` removes it.")
def update(jobs: tuple[str, ...], labels: tuple[tuple[str, str], ...], **changes: Any) -> None:
    """Change what jobs ask for; what is not named stays as it is.

    A job that runs is resized: its processors and its memory change at once, up to what is free, down to what it uses. Its
    environment stays as it was (OMP_NUM_THREADS, AIOS_CPUS): a program that goes by that has to be told by other means.
    """
    from aios.errors import AiosError

    chosen = {name: value for name, value in changes.items() if value is not None}
    if labels:
        chosen["labels"] = dict(labels)
    if not chosen:
        raise WrongUsage("nothing to change was named", "for example `aiosctl update 42 --priority 10`")
    statuses = [0]
    with session.connect() as client:
        for ref in jobs:
            try:
                _tell(client.update(ref, **chosen), chosen)
            except AiosError as error:
                tell(str(error), error.hint)
                statuses.append(status_of(error))
    leave(worst(statuses))


def _tell(job: "Job", chosen: dict[str, Any]) -> None:
    print(job.id)
    if job.state.active and chosen.keys() & {"cpus", "memory"}:
        hint_about(f"job {job.id} goes on with it; its environment (OMP_NUM_THREADS, AIOS_CPUS, AIOS_MEMORY_BYTES) is as it was")
