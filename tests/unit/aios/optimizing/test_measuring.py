"""Measuring: figures of two models whose answers and times are known."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from aios.errors import FailedPrecondition
from aios.optimizing.measuring import BUDGET_S, LEAST, MOST, WARM_UP, measure
from aios.optimizing.samples import Feed, Input, Samples


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Played:
    """Answers what `answer` makes of x, and takes `took_s` each time."""

    inputs: Sequence[Input] = ()
    outputs: Sequence[str] = ("y",)

    def __init__(self, answer: Callable[[Any], Any], clock: Clock, took_s: float = 0.001) -> None:
        self._answer, self._clock, self._took_s = answer, clock, took_s
        self.calls = 0

    def __call__(self, feed: Feed) -> list[Any]:
        self.calls += 1
        self._clock.now += self._took_s
        return [np.asarray(self._answer(feed["x"]))]


def samples(x: Any, truth: Any = None) -> Samples:
    return Samples([{"x": x}], {"x": x[:1]}, [len(x)], True, () if truth is None else [truth])


def measured(one: Callable[[Any], Any], other: Callable[[Any], Any], given: Samples, took: tuple[float, float] = (0.001, 0.002)) -> Any:
    clock = Clock()
    return measure(Played(one, clock, took[0]), Played(other, clock, took[1]), given, clock)


X = np.eye(4, dtype=np.float32)


def test_times_are_of_as_many_runs_of_each() -> None:
    found = measured(lambda x: x, lambda x: x, samples(X))
    assert found.pairs == MOST
    assert found.before == {"latency_ms_p50": pytest.approx(1), "latency_ms_p95": pytest.approx(1)}
    assert (found.after["latency_ms_p50"], found.after["latency_ms_p95"]) == (pytest.approx(2), pytest.approx(2))


def test_slow_models_are_run_less_often() -> None:
    clock = Clock()
    slow = Played(lambda x: x, clock, BUDGET_S)
    found = measure(slow, Played(lambda x: x, clock), samples(X), clock)
    assert found.pairs == LEAST
    assert slow.calls == 1 + WARM_UP + LEAST


def test_accuracy_agreement_and_error() -> None:
    turned = X[[1, 0, 2, 3]]
    found = measured(lambda x: x, lambda x: turned, samples(X, np.array([0, 1, 2, 0])))
    assert (found.before["accuracy"], found.after["accuracy"], found.after["agreement"]) == (0.75, 0.25, 0.5)
    assert found.after["relative_error"] == pytest.approx(1.0)
    assert "agreement" not in found.before
    same = measured(lambda x: x, lambda x: x, samples(X))
    assert (same.after["agreement"], same.after["relative_error"]) == (1, 0)
    assert "accuracy" not in same.after


def test_answers_that_are_classes_already() -> None:
    found = measured(lambda x: x.argmax(-1), lambda x: x.argmax(-1) * 0, samples(X, np.arange(4)))
    assert (found.before["accuracy"], found.after["accuracy"], found.after["agreement"]) == (1, 0.25, 0.25)


def test_numbers_without_classes_have_an_error_and_no_agreement() -> None:
    found = measured(lambda x: x.sum(-1, keepdims=True), lambda x: x.sum(-1, keepdims=True) * 1.5, samples(X))
    assert found.after["relative_error"] == pytest.approx(0.5)
    assert "agreement" not in found.after
    zero = measured(lambda x: x * 0, lambda x: x, samples(X))
    assert zero.after["relative_error"] == 1


def test_text_is_not_compared() -> None:
    assert set(measured(lambda x: ["a"], lambda x: ["b"], samples(X)).after) == {"latency_ms_p50", "latency_ms_p95"}


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        (lambda x: x, lambda x: x * np.nan, "the optimised model answers with what is no number"),
        (lambda x: x / 0, lambda x: x, "the original answers with what is no number"),
        (lambda x: x, lambda x: x[:2], "the optimised model with"),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_answers_that_cannot_be_compared(one: Callable[[Any], Any], other: Callable[[Any], Any], said: str) -> None:
    with pytest.raises(FailedPrecondition, match=said):
        measured(one, other, samples(X))


def test_labels_for_what_chooses_nothing() -> None:
    with pytest.raises(FailedPrecondition, match=r"shape \[1\] says no class for each of 4 samples"):
        measured(lambda x: [1.0], lambda x: [1.0], samples(X, np.arange(4)))
