"""What two models are worth beside each other on this machine: latency, turn by turn, and how far their answers agree."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from aios.errors import FailedPrecondition
from aios.optimizing.gates import ACCURACY, AGREEMENT, ERROR, LATENCY, LATENCY_P95
from aios.optimizing.samples import Array, Feed, Model, Samples

WARM_UP = 5  # pairs that are not counted
LEAST, MOST = 20, 500  # pairs that are
BUDGET_S = 20.0


@dataclass(slots=True)
class Measured:
    """Figures of the original, of the optimised model (also those that are of the two), and how many pairs of runs were timed."""

    before: dict[str, float] = field(default_factory=dict)
    after: dict[str, float] = field(default_factory=dict)
    pairs: int = 0


def measure(original: Model, optimised: Model, samples: Samples, clock: Callable[[], float] = time.perf_counter) -> Measured:
    """Raises FailedPrecondition where answers cannot be compared, or are no numbers."""
    found, answers = Measured(), _Answers()
    for at, feed in enumerate(samples.feeds):
        answers.add(original(feed), optimised(feed), samples.truth[at] if samples.truth else None, samples.output)
    answers.tell(found, samples)
    _time(original, optimised, samples.single, clock, found)
    return found


def _time(original: Model, optimised: Model, feed: Feed, clock: Callable[[], float], found: Measured) -> None:
    """In turns, each going first as often as the other, so that what else the machine does falls on both."""
    times: tuple[list[float], list[float]] = ([], [])
    models, deadline = (original, optimised), clock() + BUDGET_S
    for pair in range(WARM_UP + MOST):
        if pair >= WARM_UP + LEAST and clock() > deadline:
            break
        for which in (0, 1) if pair % 2 else (1, 0):
            began = clock()
            models[which](feed)
            if pair >= WARM_UP:
                times[which].append(1000 * (clock() - began))
    found.pairs = len(times[0])
    for figures, taken in zip((found.before, found.after), times, strict=True):
        figures[LATENCY], figures[LATENCY_P95] = (float(each) for each in np.percentile(taken, (50, 95)))


@dataclass(slots=True)
class _Answers:
    """Those of both models, counted: of `rows` of outputs `same` choose the same; `difference` and `norm` are sums of squares."""

    right: list[int] = field(default_factory=lambda: [0, 0])
    same: int = 0
    rows: int = 0
    compared: int = 0
    difference: float = 0.0
    norm: float = 0.0

    def add(self, theirs: Sequence[Array], ours: Sequence[Array], truth: Array | None, output: int) -> None:
        if truth is not None:
            for which, answers in enumerate((theirs, ours)):
                self.right[which] += int((_chosen(answers[output], truth) == truth).sum())
        for a, b in zip(theirs, ours, strict=True):
            if a.shape != b.shape:
                raise FailedPrecondition(f"the original answers with the shape {list(a.shape)}, the optimised model with {list(b.shape)}")
            if a.dtype.kind not in "iubf":  # text, or a list of what is no array
                continue
            self.compared += 1
            choices = _choices(a)
            if choices is not None:
                self.same, self.rows = self.same + int((choices == _choices(b)).sum()), self.rows + choices.size
            wide = a.astype(np.float64)
            self.norm += float(np.square(wide).sum())
            self.difference += float(np.square(wide - b.astype(np.float64)).sum())

    def tell(self, found: Measured, samples: Samples) -> None:
        for sum_, whose in ((self.norm, "original"), (self.difference, "optimised model")):
            if not np.isfinite(sum_):
                hint = "give samples: --calibrate FILE.npz" if whose == "original" else "quantise it in another way, or prune less of it"
                raise FailedPrecondition(f"the {whose} answers with what is no number", hint=hint)
        if self.rows:
            found.after[AGREEMENT] = self.same / self.rows
        if self.compared:
            found.after[ERROR] = float(np.sqrt(self.difference / self.norm)) if self.norm else float(self.difference > 0)
        if samples.truth:
            found.before[ACCURACY], found.after[ACCURACY] = (each / samples.count for each in self.right)


def _chosen(answer: Array, truth: Array) -> Array:
    """The class that each row of an answer stands for."""
    if answer.dtype.kind in "iub" and answer.shape == truth.shape:
        return answer
    if answer.ndim >= 2 and len(answer) == len(truth):
        return np.asarray(answer.reshape(len(truth), -1).argmax(-1))
    raise FailedPrecondition(
        f"an answer of shape {list(answer.shape)} says no class for each of {len(truth)} samples",
        hint="name the array of labels as the output that it is for, or leave it out",
    )


def _choices(answer: Array) -> Array | None:
    """What each row decides for; None where it decides nothing."""
    if answer.dtype.kind in "iub":
        return answer.reshape(-1)
    return np.asarray(answer.argmax(-1)) if answer.ndim and answer.shape[-1] > 1 else None
