"""`run`: a command as a job, as if it ran here: its output, its input, its exit status."""

from typing import Any

import click

from aiosctl import session
from aiosctl.failures import WrongUsage, hint_about, leave
from aiosctl.lazy import verb
from aiosctl.status import STATUSES
from aiosctl.submission import job_options, submit_options


@verb(
    "aiosctl run -- echo hello", "aiosctl run --gpus 1 --memory 16G -- python train.py --lr 0.1", "cat data | aiosctl run -i -- sort > sorted",
    "aiosctl run -d --time 2h --name night -- ./nightly.sh", context_settings={"allow_interspersed_args": False}, epilog=f"Exit status: {STATUSES}",
)  # fmt: skip
@click.option("-d", "--detach", is_flag=True, help="Print the job's id and leave.")
@click.option("-i", "--stdin", "stdin", is_flag=True, help="Feed it this stdin; without -i it has none, whatever stdin is.")
@job_options
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED, metavar="[--] CMD [ARGS]...")
def run(detach: bool, stdin: bool, asked: dict[str, Any], command: tuple[str, ...]) -> None:
    """Run a command as a job, with your environment and directory, and return its exit status.

    Its stdout and stderr come out here byte for byte. Ctrl-C on a terminal asks whether to detach or to cancel; a
    second one cancels. Elsewhere SIGINT cancels, and SIGTERM does everywhere. If this terminal closes, the job goes on.
    """
    if asked["array"] and not detach:
        raise WrongUsage("an array has many outputs; `run` shows one", "add -d, then `aiosctl logs 42.0` and `aiosctl wait 42`")
    if detach and stdin:
        raise WrongUsage("-d leaves, so there is nobody to feed -i", "drop one of them, or redirect within the job: sh -c 'cmd < FILE'")
    with session.connect() as client:
        job = client.submit(command, key=asked["key"], **submit_options(asked, stdin=stdin))
        if detach:
            print(job.id)
            hint_about(job.rightsizing)
            return
        from aiosctl.foreground import Foreground

        leave(Foreground(client, job, feed_stdin=stdin).follow())
