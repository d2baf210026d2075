"""Predictions on published logs, beside what their users asked for and the mean of a user's last two runs. Needs AIOS_TRACES."""

import csv
import gzip
import os
from collections import defaultdict, deque
from pathlib import Path
from typing import NamedTuple

import pytest

from aiosd.resources.request import Request
from aiosd.scheduling.predict import Prediction, Predictor, Traits

TRACES = os.environ.get("AIOS_TRACES", "")
pytestmark = pytest.mark.skipif(not TRACES, reason="AIOS_TRACES does not name a folder of traces")


class Ran(NamedTuple):
    begin_s: float
    run_s: float
    limit_s: float
    traits: Traits


class Figures(NamedTuple):
    """Mean absolute errors as parts of the mean run time, and how many of ten intervals held."""

    ours: float
    last_two: float  # Tsafrir et al. 2007
    asked: float
    held: float


def runs_of(name: str) -> list[Ran]:
    path = Path(TRACES) / f"{name}.csv.gz"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    with gzip.open(path, "rt") as file:
        next(file)
        return [_run(row) for row in csv.DictReader(file) if float(row["req"] or 0) > 0 and float(row["run_s"] or 0) > 0]


def _run(row: dict[str, str]) -> Ran:
    limit_s, run_s = float(row["walltime_req_s"] or 0), float(row["run_s"])
    traits = Traits(row["user"], "", Request(1000 * int(float(row["req"])), 0), limit_s)
    return Ran(float(row["submit_s"]) + float(row["orig_wait_s"] or 0), min(run_s, limit_s or run_s), limit_s, traits)


def figures(runs: list[Ran]) -> Figures:
    """Each is predicted when it begins and learned when it ends, as in a daemon."""
    predictor, latest = Predictor(), defaultdict[str, deque[float]](lambda: deque(maxlen=2))
    said: dict[int, tuple[Prediction, float]] = {}
    errors = [0.0, 0.0, 0.0]
    moments = sorted([(r.begin_s, 1, n) for n, r in enumerate(runs)] + [(r.begin_s + r.run_s, 0, n) for n, r in enumerate(runs)])
    count, total_s = 0, 0.0
    for _, begins, number in moments:
        run = runs[number]
        last = latest[run.traits.user]
        if begins:
            prediction = predictor.predict(run.traits)
            if prediction is not None and last:
                said[number] = prediction, min(sum(last) / len(last), run.limit_s or 1e12)
            continue
        if number in said:
            prediction, last_two_s = said.pop(number)
            predictor.check(prediction, run.run_s)
            for at, guess_s in enumerate((prediction.estimate.expected_s, last_two_s, run.limit_s)):
                errors[at] += abs(guess_s - run.run_s)
            count, total_s = count + 1, total_s + run.run_s
        predictor.learn(run.traits, run.run_s)
        last.append(run.run_s)
    assert count > 0.9 * len(runs)
    return Figures(*(error / total_s for error in errors), predictor.held / predictor.checked)


@pytest.mark.parametrize(("name", "asked"), [("hpc_kth_sp2", True), ("hpc_nasa_ipsc", False), ("gpu_philly_vc3", False)])
def test_it_predicts_better_than_the_last_two_runs_and_says_how_well(name: str, asked: bool) -> None:
    found = figures(runs_of(name))
    print(f"{name}: error {found.ours:.3f}, last two {found.last_two:.3f}, asked {found.asked:.3f}, intervals that held {found.held:.3f}")
    assert found.ours < 0.85 * found.last_two
    assert not asked or found.ours < 0.9 * found.asked
    assert found.held == pytest.approx(0.9, abs=0.02)
