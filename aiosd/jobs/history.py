"""What ended runs have taught: how long such runs last and what they use; and what was said of those that go on."""

import re
from collections import deque
from dataclasses import dataclass, field
from functools import lru_cache
from math import inf
from posixpath import basename
from typing import TYPE_CHECKING

from aiosd.clock import Instant
from aiosd.ids import JobId
from aiosd.jobs.job import Exit, Job, JobSpec, Phase, StopCause
from aiosd.jobs.peaks import Peaks, Used
from aiosd.jobs.timers import Due
from aiosd.resources.grant import Grant
from aiosd.scheduling.policy import ClassKey, Estimate
from aiosd.scheduling.predict import Prediction, Predictor, Traits, extended
from aiosd.scheduling.rules import Backfill
from aiosd.units import format_seconds

if TYPE_CHECKING:
    from aiosd.jobs.state import State

MOST_ADJUSTMENTS = 100
SHORT_S = 0.05  # nothing is said of runs that are over before it could help anybody
_MOST_REMEMBERED = 20_000  # estimates of classes
_SCRIPT = re.compile(r".+\.(py|sh|bash|R|jl|pl|rb|ipynb|m|js)$")
_NUMBER = re.compile(r"\d+")
ROUNDING_S = 1e-3  # a timer that fires a hair too early must not be set for the very same instant, for ever


@dataclass(frozen=True, slots=True)
class Adjustment:
    """Something that was adjusted while work went on: `what`, in a sentence. `job_id` and `owner_uid` where it is about one job."""

    at_s: float  # wall
    what: str
    job_id: JobId | None = None
    owner_uid: int | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """What was said of the run of one attempt when it began."""

    attempt: int
    prediction: Prediction
    limit_s: float


@dataclass(frozen=True, slots=True)
class Recalled:
    """One ended run, as far as it teaches. `cut`: it was ended from outside, and would have gone on."""

    traits: Traits
    ran_s: float
    cut: bool
    used: Used | None
    ended_at_s: float = 0.0


@dataclass(slots=True)
class History:
    """Lives as long as the daemon; a new one is taught from the journal, in the background."""

    predictor: Predictor = field(default_factory=Predictor)
    peaks: Peaks = field(default_factory=Peaks)
    said: dict[JobId, Said] = field(default_factory=dict)
    adjustments: deque[Adjustment] = field(default_factory=lambda: deque(maxlen=MOST_ADJUSTMENTS))
    learned_live: set[JobId] | None = field(default_factory=set)  # until the journal has been read: it has these, too
    _known: dict[ClassKey, Estimate | None] = field(default_factory=dict)
    _known_since: int = 0  # of `predictor.learned`

    def note(self, at_s: float, what: str, job: Job | None = None) -> None:
        self.adjustments.append(Adjustment(at_s, what, job.id, job.owner.uid) if job is not None else Adjustment(at_s, what))

    def learn(self, run: Recalled, *, rehearse: bool = False) -> None:
        """`rehearse`: what would have been said of it is checked first, so that the margins fit from the beginning."""
        predictor = self.predictor
        if rehearse and (said := predictor.predict(run.traits)) is not None:
            predictor.check(said, run.ran_s, censored=run.cut, rehearsal=True)
        predictor.learn(run.traits, run.ran_s, censored=run.cut)
        if run.used is not None:
            self.peaks.learn(run.traits, run.used)

    def estimate(self, key: ClassKey) -> Estimate | None:
        """How long jobs of this class will run; None where nothing is known. Found anew after each hundredth more that was learned."""
        learned = self.predictor.learned
        if learned - self._known_since > self._known_since // 100 or len(self._known) > _MOST_REMEMBERED:
            self._known.clear()
            self._known_since = learned
        if key not in self._known:
            found = self.predictor.predict(Traits(key.user, key.work, key.request, key.lasts_s))
            self._known[key] = found.estimate if found is not None else None
        return self._known[key]


# Who is alike


@lru_cache(4096)  # by what few jobs differ in: most of a sweep have the same first words
def _work(name: str, command: tuple[str, ...]) -> str:
    program = basename(command[0]) if command else ""
    script = next((basename(part) for part in command[1:] if _SCRIPT.match(part)), program)
    return script if name in ("", program, "script", "job") else f"{_NUMBER.sub('*', name)}\n{script}"


def work_of(spec: JobSpec) -> str:
    """Names what is run: the job's name, where it was given one, and the program or its script. `run-1` and `run-2` are the same work."""
    return _work(spec.name, spec.command[:4])


def command_of(spec: JobSpec) -> str:
    """Names exactly what is run, within this process."""
    return f"{hash((spec.command, spec.script)):x}"


def traits_of(job: Job) -> Traits:
    """Of a run of this job, for the predictor."""
    spec = job.spec
    return Traits(job.owner.name, work_of(spec), job.request, _lasts_s(spec), command_of(spec))


def _lasts_s(spec: JobSpec) -> float:
    return spec.time_limit_s + spec.grace_s if spec.time_limit_s else 0.0


def class_work(state: "State", spec: JobSpec) -> str:
    """What tells jobs of different work apart for the policy; "" while nobody asks how long they take."""
    rules = state.settings.scheduling
    asked = rules.predict or (rules.backfill is not Backfill.OFF and not spec.time_limit_s)
    return work_of(spec) if asked and state.settings.learn else ""


# As runs begin and end


def begun(state: "State", job: Job, now: Instant) -> None:
    """Say how long this run will take; that is checked at its end."""
    if not state.settings.learn or job.run is None or state.staging.paces.get(state.class_key(job), inf) <= SHORT_S:
        return
    said = state.history.predictor.predict(traits_of(job))
    if said is None:
        return
    state.history.said[job.id] = Said(job.attempt, said, job.spec.time_limit_s or inf)
    _look_again(state, job, said.estimate.high_s)


def ended(state: "State", job: Job, exit_: Exit | None) -> None:
    """A run is over: check what was said of it, and learn from it."""
    history = state.history
    said = history.said.pop(job.id, None)
    run = recalled(job, exit_)
    if run is None or not state.settings.learn:
        return
    if said is not None and said.attempt == job.attempt:
        at_limit = job.stop is not None and job.stop.cause is StopCause.TIME_LIMIT
        history.predictor.check(said.prediction, min(run.ran_s, said.limit_s), censored=run.cut and not at_limit)
    history.learn(run)
    if history.learned_live is not None:
        history.learned_live.add(job.id)


def recalled(job: Job, exit_: Exit | None) -> Recalled | None:
    """What the run of an active job that ends now teaches; None where how it ended is not known, or it never came to run."""
    if exit_ is None or exit_.error or job.run is None:
        return None
    ran_s = max(0.0, exit_.run_s - job.run.suspended_total_s)
    cut = job.stop is not None or bool(exit_.oom_killed)
    ok = not cut and exit_.exit_code == 0
    used = _used(job.run.grant, exit_.usage.memory_peak_bytes, exit_.usage.cpu_user_s + exit_.usage.cpu_system_s, ran_s, ok=ok, oom=bool(exit_.oom_killed))
    return Recalled(traits_of(job), ran_s, cut, used, exit_.ended_at_s)


_CUT = frozenset({Phase.CANCELLED, Phase.TIMED_OUT, Phase.OUT_OF_MEMORY})


def recalled_from_end(job: Job) -> Recalled | None:
    """The same of a job that has ended for good, as the journal has it."""
    outcome, run = job.outcome, job.run
    if outcome is None or run is None or job.array is not None or job.phase in (Phase.LOST, Phase.SKIPPED) or not outcome.run_s:
        return None
    ran_s = max(0.0, outcome.run_s - run.suspended_total_s)
    usage, oom = outcome.usage, job.phase is Phase.OUT_OF_MEMORY
    used = _used(run.grant, usage.memory_peak_bytes, usage.cpu_user_s + usage.cpu_system_s, ran_s, ok=job.phase is Phase.SUCCEEDED, oom=oom)
    return Recalled(traits_of(job), ran_s, job.phase in _CUT, used, outcome.ended_at_s)


def _used(grant: Grant, peak_bytes: int, cpu_s: float, ran_s: float, *, ok: bool, oom: bool) -> Used | None:
    if peak_bytes <= 0 or ran_s <= 0:
        return None
    return Used(max(peak_bytes, grant.memory_bytes if oom else 0), int(1000 * cpu_s / ran_s), grant.cpu_millis, ran_s, complete=ok, ran_out=oom)


# While they run


def ran_s(job: Job, now: Instant) -> float:
    """For how long the present run has run, without the time in which it was suspended."""
    run = job.run
    if run is None or not run.started_at_s:
        return 0.0
    until_s = run.suspended_steady_s or now.steady_s
    return max(0.0, until_s - run.started_steady_s - run.suspended_total_s)


def resumed(state: "State", job: Job) -> None:
    """It goes on: what was said of it is looked at again when it has run for so long."""
    said = state.history.said.get(job.id)
    if said is not None and said.attempt == job.attempt:
        _look_again(state, job, said.prediction.estimate.high_s)


def overdue(state: "State", job: Job, now: Instant) -> None:
    """A run has outlived what was said of it: the prediction is extended, and whoever plans with it plans anew."""
    said = state.history.said.get(job.id)
    if said is None or said.attempt != job.attempt or job.run is None:
        return
    ran, before = ran_s(job, now) + ROUNDING_S, said.prediction.estimate
    if ran < before.high_s:  # it was suspended meanwhile
        _look_again(state, job, before.high_s)
        return
    longer = extended(before, ran, limit_s=said.limit_s)
    if longer.expected_s <= ran:
        return  # its time limit ends it now
    state.history.note(
        now.wall_s,
        f"was expected to take {format_seconds(before.high_s)} at most, by {before.samples} earlier, and now {format_seconds(longer.expected_s)}",
        job,
    )
    state.dirty = True
    _look_again(state, job, longer.expected_s)


def _look_again(state: "State", job: Job, when_ran_s: float) -> None:
    assert job.run is not None
    at_s = job.run.started_steady_s + job.run.suspended_total_s + when_ran_s
    state.timers.at_steady(at_s, job.id, job.attempt, Due.OVERDUE)
