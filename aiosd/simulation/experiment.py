"""One question to the simulator, as it comes over a pipe, and its answer, line by line."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import inf
from typing import Literal

import msgspec

from aiosd.errors import InvalidArgument
from aiosd.simulation import workload
from aiosd.simulation.cleaning import Rules, clean
from aiosd.simulation.metrics import measure, series
from aiosd.simulation.records import ONE, Machine, Trace, TraceJob
from aiosd.simulation.rows import RawTrace
from aiosd.simulation.setup import Setup
from aiosd.simulation.traces import read_trace
from aiosd.simulation.world import simulate

Say = Callable[[Mapping[str, object]], None]
MADE_JOBS, MADE_LOAD = 10_000, 0.8
MOST_SETUPS, MOST_POINTS = 64, 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """`cpu_millis`, `memory_bytes`, `gpus`: of the machine; 0: what the trace says. `here`: of this machine, for its own history.

    until_s   only what is submitted so long after the first; 0: all
    jobs      so many are made, or read at most; 0: MADE_JOBS, or all
    """

    source: Literal["trace", "history", "poisson", "lublin"]
    name: str = "the trace"
    setups: Sequence[Setup]
    cpu_millis: int = 0
    memory_bytes: int = 0
    gpus: int = 0
    cpu_millis_delta: int = 0
    gpus_delta: int = 0
    here: Machine = Machine()
    scale: float = 1.0
    until_s: float = 0.0
    strict: bool = False
    seed: int = 0
    jobs: int = 0
    load: float = 0.0
    points: int = 0


def experiment_of(request: Mapping[str, object]) -> Experiment:
    """Raises InvalidArgument."""
    try:
        asked = msgspec.convert(request, Experiment)
    except msgspec.ValidationError as error:
        raise InvalidArgument(f"this is no experiment: {error}") from None
    if not 0 < asked.scale <= 1e6:
        raise InvalidArgument(f"a scale of {asked.scale:g} is not possible", hint="allowed: more than 0; 2 doubles the gaps between arrivals")
    if not 0 <= asked.until_s < inf or asked.jobs < 0:
        raise InvalidArgument("time and number of jobs cannot be negative", hint="0 means all")
    if not 0 < len(asked.setups) <= MOST_SETUPS:
        raise InvalidArgument(f"{len(asked.setups)} set-ups were asked for", hint=f"allowed: 1 to {MOST_SETUPS} pairs of policy and backfill")
    return replace(asked, points=min(asked.points, MOST_POINTS))


def answer(request: Mapping[str, object], data: bytes, say: Say, now_s: Callable[[], float]) -> None:
    """Says notes, progress, and an outcome for each set-up. Raises InvalidArgument."""
    asked = experiment_of(request)
    trace, machine = work(asked, data)
    say({"notes": [*trace.notes, f"{len(trace.jobs)} jobs on {machine.words}"]})
    for setup in asked.setups:
        begun_s = now_s()
        starts_s = simulate(trace.jobs, machine, setup, _progress(setup, len(trace.jobs), say))
        took_s = now_s() - begun_s
        points = [asdict(point) for point in series(trace.jobs, starts_s, machine, asked.points)]
        outcome = asdict(measure(trace.jobs, starts_s, machine))
        say({"outcome": {"policy": setup.policy, "backfill": setup.rules.backfill, **outcome, "took_s": took_s, "series": points}})


def _progress(setup: Setup, total: int, say: Say) -> Callable[[int], None]:
    return lambda done: say({"progress": {"policy": setup.policy, "backfill": setup.rules.backfill, "done": done, "total": total}})


def work(asked: Experiment, data: bytes) -> tuple[Trace, Machine]:
    """The jobs, and the machine that they arrive at. Raises InvalidArgument."""
    rules = Rules(strict=asked.strict, scale=asked.scale, until_s=asked.until_s or inf, most=asked.jobs)
    if asked.source in ("trace", "history"):
        raw = read_trace(data, asked.name)
        machine, unit = _machine_for(asked, raw)
        return clean(raw, machine, unit, rules), machine
    machine = _changed(asked, asked.here)
    return Trace(_made(asked, machine)), machine


def _made(asked: Experiment, machine: Machine) -> list[TraceJob]:
    from numpy.random import default_rng

    unit, servers = ("gpu", machine.gpus) if machine.gpus else ("cpu", machine.cpu_millis // ONE)
    count, chance = asked.jobs or MADE_JOBS, default_rng(asked.seed)
    if asked.source == "poisson":
        made = workload.poisson(chance, count, servers, asked.load or MADE_LOAD, unit=unit)
    else:
        made = workload.lublin(chance, count, servers, unit=unit)
    kept = [job._replace(submit_s=job.submit_s * asked.scale) for job in made]
    return [job for job in kept if job.submit_s <= asked.until_s] if asked.until_s else kept


def _machine_for(asked: Experiment, raw: RawTrace) -> tuple[Machine, str]:
    """What the trace says, and what was asked beside it; with the unit that its sizes count. Raises InvalidArgument where neither says."""
    unit = raw.unit or ("gpu" if (asked.gpus or asked.here.gpus) and not asked.cpu_millis else "cpu")
    if unit == "cpu" and asked.gpus and not asked.cpu_millis and not any(row.cpu_millis is not None for row in raw.rows):
        unit = "gpu"
    said = Machine(gpus=raw.capacity) if unit == "gpu" else Machine(raw.capacity * ONE)
    machine = _changed(asked, asked.here if asked.source == "history" else said)
    if not machine.cpu_millis and not machine.gpus:
        raise InvalidArgument(
            f"{raw.name} does not say how large its machine is", hint="say it by --cpus or --gpus; a comment like `# 64 GPUs` says it too", trace=raw.name
        )
    return machine, unit


def _changed(asked: Experiment, machine: Machine) -> Machine:
    """Raises InvalidArgument when nothing is left of it."""
    cpu_millis = (asked.cpu_millis or machine.cpu_millis) + asked.cpu_millis_delta
    gpus = (asked.gpus or machine.gpus) + asked.gpus_delta
    if cpu_millis < 0 or gpus < 0 or (asked.cpu_millis_delta < 0 and not cpu_millis) or (asked.gpus_delta < 0 and not gpus):
        raise InvalidArgument("the machine would have less than nothing", hint="take fewer away: --cpus -2 is two less than it has")
    return Machine(cpu_millis, asked.memory_bytes or machine.memory_bytes, gpus)
