"""The example that trains a policy: it runs, and its table tells who was best."""

import importlib.util
from types import ModuleType

import numpy as np
import pytest

from aiosd.simulation.gym import SchedulerEnv
from aiosd.simulation.records import Machine, TraceJob
from tests.arch.source import ROOT


@pytest.fixture(scope="module")
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("gym_example", ROOT / "docs/examples/gym/train.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_learns_and_compares(example: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert example.main(["--quick", "--cpus", "64"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("64 processors: 400 jobs to learn from, 200 others to be compared on; reward: slowdown")
    table = out.split("POLICY")[1].splitlines()[1:11]
    slowdowns = [float(line[34:44]) for line in table]
    assert slowdowns == sorted(slowdowns)
    place = [line.startswith("learned") for line in table].index(True) + 1
    assert f"the learned policy is number {place} of 10 by slowdown" in out


def test_a_trace_is_cut_into_what_is_learned_from_and_what_is_not(example: ModuleType, tmp_path, capsys: pytest.CaptureFixture[str]) -> None:  # type: ignore[no-untyped-def]
    trace = tmp_path / "trace.csv"
    rows = "".join(f"{at * 30},{60 + at % 7 * 50},{1 + at % 3}\n" for at in range(150))
    trace.write_text(f"# 4 GPUs\nsubmit_s,run_s,req\n{rows}")
    assert example.main(["--quick", "--trace", str(trace), "--reward", "wait", "--knows", "actual"]) == 0
    assert "4 GPUs: 90 jobs to learn from, 60 others to be compared on; reward: wait" in capsys.readouterr().out
    assert example.main(["--trace", str(tmp_path / "none.csv")]) == 1
    assert "error: " in capsys.readouterr().err


def test_the_method_finds_what_is_better(example: ModuleType) -> None:
    """Behind a long job of little use short ones wait: whoever learns anything starts those first."""
    jobs = [TraceJob(at * 2000.0 + 0.001 * k, 1000.0 if k < 2 else 5.0, 0, 0, 1000, 1000.0 if k < 2 else 5.0) for at in range(3) for k in range(12)]
    env = SchedulerEnv(lambda chance: jobs, Machine(gpus=1))
    weights = example.learned(env, env, example.Effort(12, 4, 1, 1), np.random.default_rng(0))
    assert example.played(env, example.decision(weights)) > 0.5 * example.played(env, example.oldest_that_fits)
