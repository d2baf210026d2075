"""How long jobs will wait here: what theory says, what a replay of the past says, and what was measured, side by side."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import ceil, fsum, inf

import msgspec

from aiosd.errors import FailedPrecondition, InvalidArgument, NotFound
from aiosd.simulation.fitting import LEAST, Fit, fit
from aiosd.simulation.metrics import quantile
from aiosd.simulation.outlook import RESOURCES, Figures, Question, Report, Target, WhatIf
from aiosd.simulation.past import Past, more_arrivals, past_of
from aiosd.simulation.queueing import System, servers_for, smallest, steady, wait_quantile, wait_tail
from aiosd.simulation.records import ONE, Machine, TraceJob
from aiosd.simulation.setup import Setup
from aiosd.simulation.table import read_table
from aiosd.simulation.world import simulate

Say = Callable[[Mapping[str, object]], None]
Replay = Callable[[Sequence[TraceJob], Machine], Sequence[float]]
"""When each of the jobs starts on that machine, in seconds, under the policy in force."""

MOST_JOBS = 20_000  # of a longer history the newest: every replay is of all of them
MOST_TIMES = 64  # a target that takes more than so many times the machine is not looked for further
_WAITED_S = 1.0  # to have waited for less is not to have waited
_FIELDS = {"gpu": "gpu_millis", "cpu": "cpu_millis"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """The machine, and how it decides."""

    here: Machine
    setup: Setup


def answer(request: Mapping[str, object], data: bytes, say: Say, now_s: Callable[[], float]) -> None:
    """Says one line, the report. `request` has the fields of a Question beside `here` and `setup`; `data` is what history.py writes.

    raises    InvalidArgument for what is no question; what `forecast` raises
    """
    try:
        question, place = msgspec.convert(request, Question), msgspec.convert(request, _Place)
    except msgspec.ValidationError as error:
        raise InvalidArgument(f"this is no question for a forecast: {error}") from None
    past = past_of(read_table(data.decode().splitlines(), "the history")).newest(MOST_JOBS)
    found = forecast(past, place.here, question, lambda jobs, machine: simulate(jobs, machine, place.setup))
    say({"report": {**asdict(found, dict_factory=_finite), "policy": place.setup.policy, "backfill": place.setup.rules.backfill}})


def _finite(fields: Sequence[tuple[str, object]]) -> dict[str, object]:
    """JSON knows no infinity: what grows without end is null."""
    return {name: None if value == inf else value for name, value in fields}


def forecast(past: Past, machine: Machine, question: Question, replay: Replay) -> Report:
    """The answer.

    raises    FailedPrecondition with too little history, or a machine that has none of the resource;
              NotFound where no job is of that queue and user; InvalidArgument where nothing of the machine would be left
    """
    ask = _Asked(past, machine, question, replay)
    found, jobs = ask.fitted(), ask.past.jobs
    chosen = ask.chosen(jobs)
    if not any(chosen):
        raise NotFound(f"no job of {_selection(question)} has ended here", hint="look further back: --since; `aiosctl ps -a` lists what there is")
    figures = (
        *ask.model(found, ask.units, 1.0),
        ask.counted("replay", jobs, replay(jobs, machine), ask.units),
        ask.counted("measured", jobs, [job.submit_s + wait_s for job, wait_s in zip(jobs, ask.past.waits_s, strict=True)], ask.units),
    )
    widths = [ask.width(job) for job in jobs if ask.width(job)]
    return Report(
        ask.resource, ask.units, len(widths), sum(chosen), jobs[-1].submit_s - jobs[0].submit_s,
        found.gaps.mean, found.gaps.cv, found.services.mean, found.services.cv, ask.mean_width, max(widths), found.servers, found.load,
        found.checks, figures, ask.what_if(found), ask.target(found), (*ask.past.notes, *_notes(ask, found)),
    )  # fmt: skip


class _Asked:
    """A question about a past, with what all parts of its answer need."""

    def __init__(self, past: Past, machine: Machine, question: Question, replay: Replay) -> None:
        self.machine, self.question, self._replay = machine, question, replay
        self.resource = question.resource or _scarcer(past.jobs, machine)
        self._field = _FIELDS[self.resource]
        self.units = machine.gpus if self.resource == "gpu" else machine.cpu_millis / ONE
        if self.units <= 0:
            raise FailedPrecondition(f"this machine has no {RESOURCES[self.resource]}", hint="allowed: --resource cpu" if self.resource == "gpu" else "")
        self.past = past.within(machine)
        holders = [job for job in self.past.jobs if self.width(job)]
        if len(holders) < LEAST:
            raise FailedPrecondition(
                f"{len(holders)} jobs with {RESOURCES[self.resource]} have ended; at least {LEAST} are needed",
                hint="look further back with --since, or wait until more have run", jobs=len(holders),
            )  # fmt: skip
        self.mean_width = fsum(self.width(job) * job.run_s for job in holders) / fsum(job.run_s for job in holders)

    def width(self, job: TraceJob) -> float:
        """Units that the job takes."""
        return float(getattr(job, self._field)) / ONE

    def fitted(self) -> Fit:
        return fit([(job.submit_s, job.run_s) for job in self.past.jobs if self.width(job)], self.units / self.mean_width)

    def chosen(self, jobs: Sequence[TraceJob]) -> list[bool]:
        """Whose waits are shown."""
        queue, user = self.question.queue, self.question.user
        return [self.width(job) > 0 and queue in ("", job.queue) and user in ("", job.user) for job in jobs]

    def systems(self, found: Fit, units: float, arrivals: float) -> tuple[tuple[str, System[float]], ...]:
        """The models, by name. A server is as many units as a job takes on average while it runs; at least one of them there is."""
        markovian = System(max(1.0, units / self.mean_width), found.arrival_rate * arrivals, found.services.mean)
        return ("M/M/c", markovian), ("G/G/c", replace(markovian, arrival_scv=found.gaps.scv, service_scv=found.services.scv))

    def model(self, found: Fit, units: float, arrivals: float) -> Iterator[Figures]:
        return (_expected(by, system) for by, system in self.systems(found, units, arrivals))

    def waits(self, jobs: Sequence[TraceJob], starts_s: Sequence[float]) -> list[float]:
        """Of the chosen jobs."""
        return [max(0.0, start_s - job.submit_s) for job, start_s, mine in zip(jobs, starts_s, self.chosen(jobs), strict=True) if mine]

    def counted(self, by: str, jobs: Sequence[TraceJob], starts_s: Sequence[float], units: float) -> Figures:
        """Figures of what happened, or would have: waits of the chosen jobs, use by all."""
        waits = sorted(self.waits(jobs, starts_s))
        if not waits:
            return Figures(by, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
        span_s = jobs[-1].submit_s - jobs[0].submit_s
        lasted_s = max(start_s + job.run_s for job, start_s in zip(jobs, starts_s, strict=True)) - jobs[0].submit_s
        used = fsum(self.width(job) * job.run_s for job in jobs)
        return Figures(
            by, fsum(waits) / len(waits), quantile(waits, 0.5), quantile(waits, 0.95), sum(wait_s > _WAITED_S for wait_s in waits) / len(waits),
            fsum(waits) / span_s if span_s > 0 else 0.0, used / (units * lasted_s),
        )  # fmt: skip

    def with_units(self, units: float) -> Machine:
        return replace(self.machine, gpus=int(units)) if self.resource == "gpu" else replace(self.machine, cpu_millis=int(units * ONE))

    def what_if(self, found: Fit) -> WhatIf | None:
        question = self.question
        if not question.is_what_if:
            return None
        units, factor = self.units + question.servers_delta, question.arrivals_factor
        if units < 1:
            raise InvalidArgument(
                f"{question.servers_delta:+d} would leave nothing of {self.units:g} {RESOURCES[self.resource]}",
                hint="take fewer away",
                servers=question.servers_delta,
            )
        machine = self.with_units(units)
        changed = self.past.within(machine)
        jobs = more_arrivals(changed.jobs, factor, question.seed)
        figures = (*self.model(found, units, factor), self.counted("replay", jobs, self._replay(jobs, machine), units))
        lost = changed.notes[len(self.past.notes) :]
        return WhatIf(units, factor, found.load * factor * self.units / units, figures, lost)

    def target(self, found: Fit) -> Target | None:
        wait_s, factor = self.question.target_wait_s, self.question.arrivals_factor
        if not wait_s:
            return None
        by = {name: servers_for(system, wait_s, self.mean_width) for name, system in self.systems(found, self.units, factor)}
        most = ceil(self.units * MOST_TIMES)
        by["replay"] = self._replayed_target(most, found.load * self.units * factor)
        return Target(wait_s, factor, {name: count if count is not None and count <= most else None for name, count in by.items()})

    def _replayed_target(self, most: int, offered: float) -> int | None:
        """From where the work would just fit: where it does not, queues are long, and long queues are slow to replay."""
        jobs = more_arrivals(self.past.jobs, self.question.arrivals_factor, self.question.seed)
        allowed_s = self.question.target_wait_s * sum(self.chosen(jobs))

        def is_enough(units: int) -> bool:
            machine = self.with_units(units)
            return all(fsum(self.waits(some, self._replay(some, machine))) <= allowed_s for some in _more_and_more(jobs))

        return smallest(is_enough, ceil(max(self.width(job) for job in jobs)), most, ceil(offered))


def _more_and_more(jobs: Sequence[TraceJob]) -> Iterator[Sequence[TraceJob]]:
    """A beginning, a longer one, and all: where the first have waited for too long already, nobody needs to see the rest."""
    return (jobs[: max(1, len(jobs) // part)] for part in (16, 4, 1))


def _expected(by: str, system: System[float]) -> Figures:
    found = steady(system)
    return Figures(
        by, found.wait_mean, wait_quantile(system, 0.5), wait_quantile(system, 0.95), wait_tail(system, _WAITED_S), found.queue_mean, found.utilisation
    )


def _scarcer(jobs: Sequence[TraceJob], machine: Machine) -> str:
    """The resource of which most is asked of what there is."""
    has = {"gpu": machine.gpus * ONE, "cpu": machine.cpu_millis}
    asked = {name: fsum(getattr(job, _FIELDS[name]) * job.run_s for job in jobs) / units for name, units in has.items() if units}
    return max(asked, key=lambda name: asked[name], default="cpu")


def _selection(question: Question) -> str:
    parts = [f"queue {question.queue}"] if question.queue else []
    return " and ".join([*parts, f"user {question.user}"] if question.user else parts) or "that kind"


def _notes(ask: _Asked, found: Fit) -> list[str]:
    """What a reader of the figures has to know."""
    words, notes = RESOURCES[ask.resource], []
    if found.load >= 1:
        notes.append(f"more work arrives than {ask.units:g} {words} can do (load {found.load:.2f}): in the long run waits grow without end")
    if abs(ask.mean_width - 1) > 0.01:
        notes.append(
            f"a job takes {ask.mean_width:.2g} {words} on average while it runs: "
            f"the model takes {ask.units:g} as {found.servers:.3g} servers, and knows nothing of wide jobs that wait for several at once"
        )
    if ask.question.queue or ask.question.user:
        notes.append(f"replay and measurement are of {_selection(ask.question)}; the model knows one line only: its waits are those of everybody")
    if not found.is_markovian:
        notes.append("not all that the model assumes holds here (see the assumptions): the replay, which assumes nothing of that kind, is the better guess")
    return notes
