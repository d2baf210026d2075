"""`simulate`: what would have been with another policy, another machine, another load."""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from aios.simulation import SimulationOutcome
from aios.units import format_seconds
from aiosctl import plot, session
from aiosctl.failures import WrongUsage
from aiosctl.lazy import verb
from aiosctl.options import COUNT, DURATION, SIZE, Value, output_options
from aiosctl.output import Column, Shape, escaped, print_rows
from aiosctl.progress import Bar

if TYPE_CHECKING:
    from aios.simulation import SimulationProgress

_POINTS = 72  # of a plot: what fits a terminal


def _amount(text: str) -> tuple[float, bool]:
    """A number, and whether it is meant beside what there is: `+2`, `-2`."""
    from math import isfinite

    try:
        number = float(text)
    except ValueError:
        raise ValueError(f"{text[:40]!r} is not a number") from None
    if not isfinite(number):
        raise ValueError(f"{text[:40]!r} is not a number")
    return number, text.strip().startswith(("+", "-"))


def _factor(text: str) -> float:
    number, relative = _amount(text.removeprefix("x"))
    if relative or number <= 0:
        raise ValueError(f"{text[:40]!r} is not more than 0")
    return number


def _machine_size(text: str) -> tuple[float, bool]:
    number, relative = _amount(text)
    if number == 0 and not relative:
        raise ValueError("a machine without any runs nothing")
    return number, relative


def _jobs(text: str) -> int:
    if int(text) < 1:
        raise ValueError(f"{text[:40]!r} is not at least 1")
    return int(text)


AMOUNT = Value("number", _machine_size, "8, or +2 for two more than there are")
JOBS = Value("number", _jobs, "1000")
FACTOR = Value("factor", _factor, "2 for gaps twice as long")
LOAD = Value("factor", _factor, "0.8 for a machine that is busy four fifths of the time")


def _number(value: float) -> str:
    return f"{value:,.1f}" if abs(value) < 1e6 else f"{value:.3g}"


def _time(seconds: float) -> str:
    return format_seconds(seconds) if seconds >= 0.005 else "0s"


COLUMNS: list[Column[SimulationOutcome]] = [
    Column("POLICY", lambda o: o.policy),
    Column("BACKFILL", lambda o: o.backfill),
    Column("JOBS", lambda o: str(o.jobs), right=True),
    Column("WAIT", lambda o: _time(o.wait_mean_s), right=True),
    Column("FLOW", lambda o: _time(o.flow_mean_s), right=True),
    Column("SLOWDOWN", lambda o: _number(o.bounded_slowdown_mean), right=True),
    Column("WORST", lambda o: _number(o.bounded_slowdown_max), right=True),
    Column("USED", lambda o: f"{100 * o.utilisation:.1f} %", right=True),
    Column("FAIRNESS", lambda o: f"{o.fairness:.3f}", right=True),
    Column("MAKESPAN", lambda o: _time(o.makespan_s), right=True),
    Column("WAIT P50", lambda o: _time(o.wait_p50_s), right=True, wide=True),
    Column("WAIT P95", lambda o: _time(o.wait_p95_s), right=True, wide=True),
    Column("LONGEST", lambda o: _time(o.wait_max_s), right=True, wide=True),
    Column("USERS", lambda o: str(o.users), right=True, wide=True),
    Column("SPREAD", lambda o: _number(o.user_spread), right=True, wide=True),
    Column("TOOK", lambda o: f"{o.took_s:.1f}s", right=True, wide=True),
]


@verb(
    "aiosctl simulate jobs.swf.gz --policy fifo,fair --backfill off,easy",
    "aiosctl simulate --history --since 30d --gpus +2 --policy fair",
    "aiosctl simulate --generate lublin --cpus 256 --seed 1 --plot -",
)
@click.argument("trace", required=False, type=click.Path(dir_okay=False))
@click.option("--history", is_flag=True, help="This machine's own past instead of a file.")
@click.option("--generate", type=click.Choice(("poisson", "lublin")), help="A workload that is made up instead of a file.")
@click.option("--policy", "policies", default="", metavar="NAME,...", help="Policies, side by side; else the one in force.")
@click.option("--backfill", "backfills", default="", metavar="off,easy,conservative", help="With each of them; else as in force.")
@click.option("--cpus", type=AMOUNT, help="Processors of the machine: 64, or +8 for so many more than there are.")
@click.option("--gpus", type=AMOUNT, help="GPUs of the machine: 8, or +2.")
@click.option("--memory", type=SIZE, help="Memory of the machine; else jobs are not held to it, but with --history.")
@click.option("--scale", type=FACTOR, help="Gaps between arrivals are so many times as long.")
@click.option("--since", type=DURATION, help="Of the history, only so much.")
@click.option("--until", type=DURATION, help="Only what is submitted so long after the first.")
@click.option(
    "--backfill-order",
    type=click.Choice(("arrival", "shortest")),
    default="arrival",
    show_default=True,
    help="Who is tried first beside the head.",
)
@click.option(
    "--estimate",
    type=click.Choice(("asked", "actual", "predicted")),
    help="What is believed of run times: limits, the truth, or what earlier runs taught; else limits, for --history as this machine does.",
)
@click.option(
    "--order", type=click.Choice(("instant", "events")), default="instant", show_default=True,
    help="One pass an instant, as the daemon does it; or after every event, as published simulators do it.",
)  # fmt: skip
@click.option("--strict", is_flag=True, help="A line of the trace that cannot be used is an error; else it is left out, and told.")
@click.option("--seed", type=COUNT, default=0, show_default=True, help="Of what is made up.")
@click.option("--jobs", type=JOBS, default=0, help="So many are made up, or read at most.")
@click.option("--load", type=LOAD, help="With --generate poisson: offered load; else 0.8.")
@click.option("--plot", "plot_to", metavar="FILE|-", help="Wait and utilisation over time: a PNG file, or - for this terminal.")
@output_options
def simulate(trace: str | None, policies: str, backfills: str, plot_to: str | None, shape: Shape, **asked: Any) -> None:
    """Simulate a workload on the daemon's own scheduling code, in virtual time, under one policy or several side by side.

    TRACE is a file of the Parallel Workloads Archive (SWF), or a CSV file; both may be packed with gzip. `--order events` has one pass
    after each event (submissions first, then ends in the order of their starts), with processors free from the estimated end on: that
    is how published simulators count, and differs in the fourth digit.
    """
    if sum((trace is not None, asked["history"], asked["generate"] is not None)) != 1:
        raise WrongUsage("name one of a trace, --history and --generate", "for example `aiosctl simulate --history --policy fifo,fair`")
    plot.check(plot_to)
    machine = _machine(asked.pop("cpus"), "cpus") | _machine(asked.pop("gpus"), "gpus")
    chosen = {name: value for name, value in asked.items() if value is not None}
    with session.connect() as client, Bar() as bar:
        outcomes = client.simulate(
            trace, policies=_names(policies), backfills=_names(backfills), points=_POINTS if plot_to else 0,
            on_progress=_shown(bar), on_note=_tell_note, **machine, **chosen,
        )  # fmt: skip
    print_rows(outcomes, COLUMNS, lambda o: f"{o.policy}/{o.backfill}", shape)
    if plot_to is not None:
        plot.draw(outcomes, plot_to)


def _tell_note(note: str) -> None:
    print(f"note: {escaped(note)}", file=sys.stderr)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _machine(amount: tuple[float, bool] | None, name: str) -> dict[str, Any]:
    if amount is None:
        return {}
    number, relative = amount
    return {f"more_{name}" if relative else name: number}


def _shown(bar: Bar) -> "Callable[[SimulationProgress], None]":
    return lambda said: bar.show(f"{said.policy} {said.backfill}", said.done, said.total)
