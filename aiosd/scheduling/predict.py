"""How long runs will take, learned from those that have ended, and how often what was said held.

A prediction rests on the most specific group of earlier runs that has enough of them: the very same command of the same user,
then the same work with the same request, down to whatever asked for as much. Its interval is meant to hold nine times of ten; each
is checked when its run ends, and the intervals of a level are widened or narrowed by what came of them.

Sources: Tsafrir, Etsion, Feitelson, "Backfilling using system-generated predictions rather than user runtime estimates", TPDS 2007
(recent runs of the same user predict best; a prediction is corrected upwards when a run outlives it, and never kills);
Angelopoulos, Candes, Tibshirani, "Conformal PID control for time series prediction", NeurIPS 2023 (the quantile tracker of the margins).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import exp, inf, isfinite
from typing import NamedTuple

from aiosd.resources.request import Request
from aiosd.scheduling.policy import Estimate
from aiosd.scheduling.samples import Sample

MOST_GROUPS = 10_000  # those that were longest without a run are forgotten
ENOUGH = 2  # runs, for a group to be asked
HELD = 0.9  # of the intervals should hold
STEP = 0.2  # how fast a margin follows what happens, in the logarithm of time
MOST_MARGIN = 4.0
_PARTS = (0.05, 0.5, 0.95)
EXTENSION = 1.5  # of what was thought, when a run outlives it
LEAST_EXTENSION_S = 60.0


class Traits(NamedTuple):
    """What is known of a run beforehand. `work` names what is run, `command` exactly how; empty: not known. `lasts_s` 0: no limit."""

    user: str
    work: str = ""
    request: Request | None = None
    lasts_s: float = 0.0
    command: str = ""


class Level(NamedTuple):
    """How alike runs are that are taken together. `whose`: in words, after "12 runs of"."""

    name: str
    whose: str


LEVELS = (
    Level("command", "the same command by {user}"),
    Level("work, request and limit", "{work} by {user} that asked for as much"),
    Level("work", "{work} by {user}"),
    Level("user, request and limit", "jobs of {user} that asked for as much"),
    Level("user and limit", "jobs of {user} with this time limit"),
    Level("user", "jobs of {user}"),
    Level("work of all", "{work} by anybody"),
    Level("request of all", "jobs of anybody that asked for as much"),
)

Key = tuple[int, *tuple[object, ...]]


@dataclass(frozen=True, slots=True)
class Prediction:
    """What was said of one run, and at which level: an index into LEVELS."""

    estimate: Estimate
    level: int


@dataclass(slots=True)
class Calibration:
    """Of one level: how many intervals were checked, how many held; `margin`: by what power of e they are widened now."""

    checked: int = 0
    held: int = 0
    margin: float = 0.3

    @property
    def share(self) -> float:
        """Of the intervals, those that held; 0 with no experience."""
        return self.held / self.checked if self.checked else 0.0


def keys_of(traits: Traits) -> list[Key]:
    """The groups that a run belongs to, the most specific first; the first part of each is its level."""
    user, work, request, lasts_s, command = traits
    shape = hash(request)  # once: it is costly, and equal ones may as well share what is known
    keys: list[Key] = []
    if work and command:
        keys.append((0, user, work, command, shape))
    if work:
        keys += ((1, user, work, shape, lasts_s), (2, user, work))
    keys.append((3, user, shape, lasts_s))
    if lasts_s:
        keys.append((4, user, lasts_s))
    keys.append((5, user))
    if work:
        keys.append((6, work))
    keys.append((7, shape, lasts_s))
    return keys


@dataclass(slots=True)
class Predictor:
    """`learn` as runs end, in order of time; `predict` when one is to begin; `check` what was said. Plain numbers, bounded memory."""

    groups: dict[Key, Sample] = field(default_factory=dict)
    calibrations: list[Calibration] = field(default_factory=lambda: [Calibration() for _ in LEVELS])
    learned: int = 0  # runs

    def learn(self, traits: Traits, ran_s: float, *, censored: bool = False) -> None:
        """A run has ended. `censored`: it was ended from outside, and would have gone on. What is no time is passed over."""
        if not isfinite(ran_s) or ran_s < 0:
            return
        self.learned += 1
        for key in keys_of(traits):
            sample = self.groups.get(key)
            if sample is None:
                sample = self.groups[key] = Sample()
            sample.add(ran_s, censored=censored)
            sample.touched = self.learned
        if len(self.groups) > MOST_GROUPS:
            self._forget()

    def _forget(self) -> None:
        """A tenth of the groups, those that were longest without a run: so it need not be done often."""
        kept = sorted(self.groups.items(), key=lambda item: item[1].touched)[MOST_GROUPS // 10 :]
        self.groups = dict(kept)

    def predict(self, traits: Traits, *, ran_s: float = 0.0) -> Prediction | None:
        """How long a run will have taken at its end, given that it has run for `ran_s` already; None where nothing like it has ended by itself.

        Runs that were all cut short say how long they were let run, and nothing about how long they would have taken.
        """
        known = [(key[0], sample) for key in keys_of(traits) if (sample := self.groups.get(key)) is not None and sample.ended]
        chosen = next(((level, sample) for level, sample in known if sample.ended >= ENOUGH), known[0] if known else None)
        if chosen is None:
            return None
        level, sample = chosen
        found = sample.quantiles(_PARTS)
        if found is None:
            return None
        estimate = self._estimate(level, sample, found, traits)
        return Prediction(extended(estimate, ran_s, sample, limit_s=traits.lasts_s or inf) if ran_s > 0 else estimate, level)

    def check(self, prediction: Prediction, ran_s: float, *, censored: bool = False, rehearsal: bool = False) -> bool | None:
        """Whether the interval held, now that the run has ended; None where that cannot be said: it was cut short before the upper end.

        rehearsal   of the past: the margins follow it, and it is not counted
        """
        low_s, high_s = prediction.estimate.low_s, prediction.estimate.high_s
        if censored and ran_s <= high_s:
            return None
        held = low_s * (1 - 1e-9) <= ran_s <= high_s * (1 + 1e-9) + 0.05
        level = self.calibrations[prediction.level]
        level.margin = min(MOST_MARGIN, max(-0.2, level.margin + STEP * ((1 - held) - (1 - HELD))))
        if not rehearsal:
            level.checked += 1
            level.held += held
        return held

    @property
    def checked(self) -> int:
        return sum(level.checked for level in self.calibrations)

    @property
    def held(self) -> int:
        return sum(level.held for level in self.calibrations)

    def table(self) -> Mapping[str, Calibration]:
        """By the names of the levels that were used."""
        return {level.name: known for level, known in zip(LEVELS, self.calibrations, strict=True) if known.checked}

    def _estimate(self, level: int, sample: Sample, found: Sequence[float], traits: Traits) -> Estimate:
        low_s, middle_s, high_s = found
        width = exp(self.calibrations[level].margin)
        limit_s = traits.lasts_s or inf
        high_s = min(max(middle_s, high_s * width), limit_s)
        expected_s = min(middle_s, high_s)
        whose = LEVELS[level].whose.format(user=traits.user, work=_shown(traits.work))
        count = len(sample)
        return Estimate(expected_s, min(low_s / width, expected_s), high_s, count, f"{count} run{'s' if count > 1 else ''} of {whose}")


def extended(estimate: Estimate, ran_s: float, sample: Sample | None = None, *, limit_s: float = inf) -> Estimate:
    """The estimate of a run that has lasted for `ran_s` and goes on: never less than that, and never above its limit.

    With a `sample`, by what became of those that lasted so long. One that outlives all that was thought gets half as much again, and
    a minute at least, as often as it takes: the steps do not depend on when it is asked, so that what was planned by them stays planned.
    """
    if ran_s <= estimate.low_s:
        return estimate
    low_s, expected_s, high_s = min(ran_s, limit_s), estimate.expected_s, estimate.high_s
    longer = sample.quantiles(_PARTS, over=ran_s) if sample is not None else None
    if longer is not None:
        expected_s, high_s = longer[1], max(high_s, longer[2])
    elif expected_s <= ran_s < high_s:
        expected_s = high_s
    while expected_s <= ran_s < limit_s:
        expected_s += max(LEAST_EXTENSION_S, expected_s * (EXTENSION - 1))
    expected_s = min(max(expected_s, low_s), limit_s)
    return replace(estimate, expected_s=expected_s, low_s=low_s, high_s=min(max(high_s, expected_s), limit_s))


def _shown(work: str) -> str:
    return work.partition("\n")[0] or "jobs"
