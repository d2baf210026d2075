"""`stats`: what a job uses over time, and what it used of what it asked for."""

import sys
from collections.abc import Iterator, Sequence
from itertools import pairwise

import click

from aios.jobs import Job
from aios.records import Sample, State, Stats
from aios.units import format_bytes, format_millis, format_seconds
from aiosctl import describe, session
from aiosctl.completing import JOB
from aiosctl.lazy import verb
from aiosctl.options import output_options
from aiosctl.output import Shape, coloured, colourful, escaped, print_one, section

_BARS = "▁▂▃▄▅▆▇█"
_CELLS = 40


@verb("aiosctl stats 42", "aiosctl stats 42 -o json")
@click.argument("job", type=JOB)
@output_options
def stats(job: str, shape: Shape) -> None:
    """Show what a job used over time, and how much of what it asked for. -o json has every sample."""
    with session.connect() as client:
        found = client.stats(job)
        print_one(found, lambda stats, wide: (*_warning(client.job(found.id)), *layout(stats, wide)), lambda s: s.id, shape)


def _warning(job: Job) -> Iterator[str]:
    """What the daemon has to say about a run that goes on: an idle GPU, more use than was granted, an ill device; and about what it asked for."""
    if job.state is State.RUNNING and job.reason:
        yield coloured(f"warning: {escaped(job.reason)}", "yellow", colourful(sys.stdout))
    if job.rightsizing:
        yield escaped(job.rightsizing)


def sparkline(values: Sequence[float], top: float = 0.0, cells: int = _CELLS) -> str:
    """Values as a row of bars, oldest first; more values than cells are averaged. `top` is a full bar; 0: the largest."""
    if not values:
        return ""
    if len(values) > cells:
        edges = [len(values) * at // cells for at in range(cells + 1)]
        values = [sum(values[a:b]) / (b - a) for a, b in pairwise(edges)]
    highest = top or max(values)
    if highest <= 0:
        return _BARS[0] * len(values)
    return "".join(_BARS[max(0, min(len(_BARS) - 1, int(value / highest * len(_BARS))))] for value in values)


def layout(stats: Stats, wide: bool) -> Iterator[str]:
    yield from section(f"Job {stats.id}, ran {format_seconds(stats.run_s)}", _over_time(stats))
    yield from section("Asked, used", _efficiency(stats))
    yield from section("Reported", ((series.name, _series(series.values)) for series in stats.reported))
    if not stats.samples and not stats.usage and not stats.reported:
        yield "nothing was measured yet"
    if wide:
        yield from section("Samples", ((describe.moment(s.at_s), _sample(s)) for s in stats.samples))


def _sample(sample: Sample) -> str:
    return f"{format_millis(sample.cpu_millis)} cpus, {format_bytes(sample.memory_bytes)}, {sample.processes} processes"


def _over_time(stats: Stats) -> list[tuple[str, str]]:
    samples = stats.samples
    if not samples:
        return []
    cpus = [s.cpu_millis for s in samples]
    memory = [float(s.memory_bytes) for s in samples]
    disk = [float(s.read_bytes_per_s + s.write_bytes_per_s) for s in samples]
    rows = [
        ("cpu", f"{sparkline(cpus, stats.requested.cpu_millis)} {format_millis(round(cpus[-1], -1))} now, {format_millis(round(max(cpus), -1))} peak"),
        ("memory", f"{sparkline(memory)} {format_bytes(memory[-1])} now, {format_bytes(max(memory))} peak"),
    ]
    if any(disk):
        rows.append(("disk", f"{sparkline(disk)} {format_bytes(disk[-1])}/s now, {format_bytes(max(disk))}/s peak"))
    if any(s.gpu_permille or s.gpu_memory_bytes for s in samples):
        gpu = [s.gpu_permille / 10 for s in samples]
        rows.append(("gpu", f"{sparkline(gpu, 100.0)} {gpu[-1]:.0f} % now, {max(gpu):.0f} % peak"))
        held = [float(s.gpu_memory_bytes) for s in samples]
        rows.append(("gpu memory", f"{sparkline(held)} {format_bytes(held[-1])} now, {format_bytes(max(held))} peak"))
    return rows


def _efficiency(stats: Stats) -> list[tuple[str, str]]:
    """Processor seconds against those it could have used; the peak of memory against what was granted."""
    rows: list[tuple[str, str]] = []
    given = stats.granted.cpu_millis if stats.granted and stats.granted.cpus else stats.requested.cpu_millis
    memory = (stats.granted.memory_bytes if stats.granted else 0) or stats.requested.memory_bytes
    used_s, peak = _used_cpu_s(stats), max([stats.usage.memory_peak_bytes if stats.usage else 0, *(s.memory_bytes for s in stats.samples)])
    if given and stats.run_s > 0:
        could_s = given / 1000 * stats.run_s
        rows.append(("cpu", f"{format_millis(given)} asked, {used_s / stats.run_s:.2f} used on average: {_percent(used_s / could_s)}"))
    if memory:
        rows.append(("memory", f"{format_bytes(memory)} asked, {format_bytes(peak)} used at most: {_percent(peak / memory)}"))
    gpu = [s.gpu_permille for s in stats.samples]
    if stats.granted and stats.granted.device_millis("gpu") and gpu:
        rows.append(("gpu", f"{describe.granted_devices(stats.granted)}: {sum(gpu) / len(gpu) / 10:.0f} % on average"))
    return rows


def _used_cpu_s(stats: Stats) -> float:
    if stats.usage and (stats.usage.cpu_user_s or stats.usage.cpu_system_s):
        return stats.usage.cpu_user_s + stats.usage.cpu_system_s
    if not stats.samples:
        return 0.0
    return sum(s.cpu_millis for s in stats.samples) / len(stats.samples) / 1000 * stats.run_s


def _percent(part: float) -> str:
    return f"{100 * part:.0f} %"


def _series(values: Sequence[float]) -> str:
    lowest = min(values, default=0.0)
    shown = sparkline([value - lowest for value in values])
    return escaped(f"{shown} {describe.number(values[-1])} now, {describe.number(lowest)} to {describe.number(max(values))}") if values else ""
