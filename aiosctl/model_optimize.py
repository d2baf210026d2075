"""`model optimize`: a smaller or faster version of a model, made and measured by a job."""

from typing import Any

import click

from aiosctl import session
from aiosctl.completing import REF
from aiosctl.failures import hint_about, leave
from aiosctl.lazy import verb
from aiosctl.status import STATUSES
from aiosctl.submission import job_options, submit_options


@verb(
    "aiosctl model optimize digits:prod --quantize int8 --calibrate mnist:clean --gate 'accuracy>=-0.5%'",
    "aiosctl model optimize digits --quantize fp16 --branch small --gate 'agreement>=0.99' --gate 'size<=0.6x'",
    "aiosctl model optimize digits@3f2a9c --prune 0.5 --quantize int8 --calibrate samples.npz --cpus 4 -d",
    epilog=f"Exit status: 3 when a gate failed; else {STATUSES}",
)
@click.argument("ref", type=REF)
@click.option("--quantize", type=click.Choice(["int8", "int8-dynamic", "fp16"]), help="int8 is calibrated where there are samples.")
@click.option("--prune", type=float, default=0.0, metavar="PART", help="Make so many of the weights 0, the smallest: 0.5.")
@click.option("--calibrate", default="", metavar="DATA", help="Samples: a dataset such as mnist:clean, or a file samples.npz.")
@click.option("--gate", "gates", multiple=True, metavar="RULE", help="What it must be worth to be registered: 'accuracy>=-0.5%', 'latency<=0.8x'; repeat it.")
@click.option("-b", "--branch", default="main", show_default=True, metavar="NAME", help="Made where it is new.")
@click.option("-m", "--message", default="", help="Of the new version; else what was done.")
@click.option("-d", "--detach", is_flag=True, help="Print the job's id and leave.")
@job_options
def optimize(ref: str, quantize: str | None, detach: bool, asked: dict[str, Any], kind: str, **given: Any) -> None:
    """Make a version of the model REF that is smaller or faster, as a job, and measure both beside each other.

    DATA is a .npz file with an array for each input of the model, and `labels` where you want the accuracy; without it the samples are random.
    The new version is registered when every gate passes; it has REF as a parent. A gate compares a figure (accuracy, agreement, latency,
    latency_p95, size, error, sparsity) with a number, with the change against the original (%), or with so many times the original (x).
    """
    with session.connect() as client:
        job = client.models.optimize(ref, quantize=quantize or "", key=asked["key"], **given, **submit_options(asked))
        if detach:
            print(job.id)
            hint_about(job.rightsizing)
            return
        from aiosctl.foreground import Foreground

        leave(Foreground(client, job, feed_stdin=False).follow())
