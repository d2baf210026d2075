"""Wait and utilisation over time, as a picture: plain characters on a terminal, or a PNG file by matplotlib."""

import importlib.util
from collections.abc import Iterator, Sequence
from pathlib import Path

from aios.simulation import SimulationOutcome
from aios.units import format_seconds
from aiosctl.failures import Refused, WrongUsage
from aiosctl.output import escaped, print_lines

TERMINAL = "-"
_ROWS = 8
_DAY_S = 86_400.0


def check(target: str | None) -> None:
    """Before any work is done for it. Raises WrongUsage for what cannot be drawn on, Refused where matplotlib is missing."""
    if target is None or target == TERMINAL:
        return
    if not target.lower().endswith(".png"):
        raise WrongUsage(f"{target} is not a PNG file", "for example `--plot wait.png`, or `--plot -` for this terminal")
    if not Path(target).resolve().parent.is_dir():
        raise WrongUsage(f"the directory of {target} is not there", "make it, or choose another file")
    if importlib.util.find_spec("matplotlib") is None:
        raise Refused("a PNG needs matplotlib, which is not installed", "pip install 'aiosd[plot]', or `--plot -` for this terminal")


def draw(outcomes: Sequence[SimulationOutcome], target: str) -> None:
    if target == TERMINAL:
        for outcome in outcomes:
            print_lines(lines_of(outcome))
    else:
        _draw_file(outcomes, target)


def lines_of(outcome: SimulationOutcome) -> Iterator[str]:
    """Two charts with a common time axis."""
    points = outcome.series
    if not points:
        return
    yield ""
    yield f"{escaped(outcome.policy)}, backfill {escaped(outcome.backfill)}: mean wait of those who came then"
    longest_s = max(point.wait_mean_s for point in points)
    yield from _chart([point.wait_mean_s for point in points], longest_s, _time(longest_s))
    yield "utilisation"
    yield from _chart([point.utilisation for point in points], 1.0, "100 %")
    yield f"{'':>9}  0{_time(outcome.makespan_s):>{len(points) - 1}}"


def _chart(values: Sequence[float], top: float, label: str) -> Iterator[str]:
    """Columns of `#`; a value above 0 shows at least as `.`, so that little is not nothing."""
    for row in range(_ROWS, 0, -1):
        cells = "".join(_cell(value, top, row) for value in values)
        yield f"{label if row == _ROWS else '':>9} |{cells}".rstrip()
    yield f"{'0':>9} +{'-' * len(values)}"


def _cell(value: float, top: float, row: int) -> str:
    if top > 0 and round(value / top * _ROWS) >= row:
        return "#"
    return "." if row == 1 and value > 0 else " "


def _time(seconds: float) -> str:
    return format_seconds(seconds) if seconds >= 1 else "0s"


def _draw_file(outcomes: Sequence[SimulationOutcome], path: str) -> None:
    import matplotlib as mpl

    mpl.use("agg")  # a file needs no screen
    from matplotlib import pyplot as plt

    figure, (waits, used) = plt.subplots(2, 1, sharex=True, figsize=(10, 7), layout="constrained")
    for outcome in outcomes:
        label = f"{outcome.policy}, backfill {outcome.backfill}"
        days = [point.at_s / _DAY_S for point in outcome.series]
        waits.plot(days, [point.wait_mean_s / 3600 for point in outcome.series], label=label)
        used.plot(days, [100 * point.utilisation for point in outcome.series], label=label)
    waits.set_ylabel("mean wait / h")
    used.set_ylabel("utilisation / %")
    used.set_ylim(0, 105)
    used.set_xlabel("days since the first submission")
    waits.legend()
    try:
        figure.savefig(path, dpi=120)
    except OSError as error:
        raise Refused(f"{path} cannot be written: {error.strerror}", "choose another file") from None
    finally:
        plt.close(figure)
