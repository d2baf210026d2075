"""`forecast`: how long jobs will wait, by theory, by a replay of the past, and as it was."""

from collections.abc import Callable, Iterator, Sequence

import click

from aios.forecast import Figures, Forecast, Target, WhatIf
from aios.units import format_seconds
from aiosctl import session
from aiosctl.lazy import verb
from aiosctl.options import COUNT, DURATION, Value, output_options
from aiosctl.output import Column, Shape, escaped, print_one, section, table

_WORDS = {"gpu": "GPUs", "cpu": "processors"}
_ENDLESS = "endless"


def _delta(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        raise ValueError(f"{text[:40]!r} is not a whole number") from None
    if not text.strip().startswith(("+", "-")) or abs(number) > 1_000_000:
        raise ValueError(f"{text[:40]!r} does not say how many more or fewer")
    return number


def _factor(text: str) -> float:
    try:
        number = float(text.strip().lower().removeprefix("x"))
    except ValueError:
        raise ValueError(f"{text[:40]!r} is not a factor") from None
    if not 0 < number <= 100:
        raise ValueError(f"{text[:40]!r} is not more than 0 and at most 100")
    return number


DELTA = Value("number", _delta, "+1 for one more than there are, or -2")
FACTOR = Value("factor", _factor, "x1.5 for half as many again")


@verb(
    "aiosctl forecast",
    "aiosctl forecast --since 30d --servers +1 --arrivals x1.5",
    "aiosctl forecast --resource gpu --target-wait 10m",
)
@click.option("--since", type=DURATION, default=0.0, help="Only jobs that were submitted so long ago at most; else all that have ended.")
@click.option("--queue", default="", metavar="NAME", help="Waits of this queue's jobs only; everybody's jobs are on the machine all the same.")
@click.option("--user", default="", metavar="NAME", help="Waits of this user's jobs only.")
@click.option("--resource", type=click.Choice(("gpu", "cpu")), help="What counts as a server; else the scarcer.")
@click.option("--servers", type=DELTA, default=0, help="What if there were so many more or fewer: +1, -2.")
@click.option("--arrivals", type=FACTOR, default=1.0, help="What if so many times as many jobs came: x1.5.")
@click.option("--target-wait", type=DURATION, default=0.0, help="How many servers would a mean wait of so long take?")
@click.option("--seed", type=COUNT, default=0, show_default=True, help="Of the chance by which --arrivals chooses jobs that come again.")
@output_options
def forecast(since: float, queue: str, user: str, resource: str | None, servers: int, arrivals: float, target_wait: float, seed: int, shape: Shape) -> None:
    """Forecast waits: what queueing theory says, what a replay of this machine's past says, and what was measured, side by side.

    Theory is M/M/c (arrivals at random, exponential run times) and G/G/c (Allen-Cunneen: the same with the spread that was seen). Whether what
    it assumes holds here is tested, and said; where it does not, believe the replay, which runs the scheduler itself on the past.
    """
    with session.connect() as client:
        found = client.forecast(
            since=since, queue=queue, user=user, resource=resource or "", servers=servers, arrivals=arrivals, target_wait=target_wait, seed=seed
        )
        print_one(found, layout, lambda f: f.resource, shape)


def layout(found: Forecast, wide: bool) -> Iterator[str]:
    words = _WORDS.get(found.resource, escaped(found.resource))
    yield from section(f"{found.units:g} {words}, {found.jobs} jobs in {format_seconds(found.span_s)}", _facts(found, words))
    yield ""
    yield from _table("Waits", found.figures, found)
    if found.what_if is not None:
        yield ""
        yield from _what_if(found.what_if, found, words)
    if found.target is not None:
        yield ""
        yield from section(*_target(found.target, found, words))
    yield ""
    yield from section("What theory assumes", ((check.verdict, check.sentence) for check in found.checks))
    for note in found.notes:
        yield f"note: {escaped(note)}"


def _facts(found: Forecast, words: str) -> list[tuple[str, str]]:
    several = f"{found.width_mean:.3g} {words} at once on average, {found.width_max:g} at most: {found.servers:.3g} servers" if found.width_max != 1 else ""
    return [
        ("arrivals", f"one every {format_seconds(found.gap_mean_s)}, CV {found.gap_cv:.2f}"),
        ("run time", f"{format_seconds(found.run_mean_s)} on average, CV {found.run_cv:.2f}"),
        ("a job takes", several),
        ("load", f"{found.load:.2f} of what can be done"),
        ("of these jobs", f"{found.selected} as asked for" if found.selected != found.jobs else ""),
    ]


_ROWS: list[tuple[str, Callable[[Figures], str]]] = [
    ("mean wait", lambda f: _time(f.wait_mean_s)),
    ("half wait less than", lambda f: _time(f.wait_p50_s)),
    ("95 % wait less than", lambda f: _time(f.wait_p95_s)),
    ("have to wait", lambda f: f"{100 * f.delayed:.1f} %"),
    ("mean queue", lambda f: _ENDLESS if f.queue_mean is None else f"{f.queue_mean:.2f}"),
    ("utilisation", lambda f: f"{100 * f.utilisation:.1f} %"),
]


def _table(title: str, figures: Sequence[Figures], found: Forecast) -> Iterator[str]:
    """A row for each figure, a column for each way to know it."""

    def column(one: Figures) -> Column[tuple[str, Callable[[Figures], str]]]:
        by = f"replay ({found.policy}, {found.backfill})" if one.by == "replay" else one.by
        return Column(by, lambda row: row[1](one), right=True)

    names: Column[tuple[str, Callable[[Figures], str]]] = Column(title, lambda row: row[0])
    yield from table(_ROWS, [names, *map(column, figures)])


def _what_if(what_if: WhatIf, found: Forecast, words: str) -> Iterator[str]:
    arrivals = f", {what_if.arrivals_factor:g} times the arrivals" if what_if.arrivals_factor != 1 else ""
    yield from _table(f"With {what_if.units:g} {words}{arrivals}", what_if.figures, found)
    for note in what_if.notes:
        yield f"note: {escaped(note)}"


def _target(target: Target, found: Forecast, words: str) -> tuple[str, list[tuple[str, str]]]:
    arrivals = f" at {target.arrivals_factor:g} times the arrivals" if target.arrivals_factor != 1 else ""
    title = f"A mean wait of {format_seconds(target.wait_s)}{arrivals} takes"
    return title, [(by, "more than could be tried" if count is None else f"{count} {words} ({count - found.units:+g})") for by, count in target.by.items()]


def _time(seconds: float | None) -> str:
    if seconds is None:
        return _ENDLESS
    return format_seconds(seconds) if seconds >= 0.005 else "0s"
