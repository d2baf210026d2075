"""Trains a small model step by step; told to make room, it saves its work and goes, and the next attempt goes on where it was.

Runs under AIOS or alone: `aiosctl submit --preemptible --checkpoint-signal USR1 -- python train.py STEPS`.
"""

import json
import os
import sys
import time
from pathlib import Path

import aios

LEARNING_RATE = 0.05
SAMPLES = [(x / 10.0, 3.0 * x / 10.0 - 1.0) for x in range(-20, 21)]  # of the line 3x - 1


def main(steps: int, pause_s: float) -> None:
    with aios.run() as run:
        kept = run.checkpoint_dir / "state.json"
        state = json.loads(kept.read_text()) if kept.exists() else {"step": 0, "slope": 0.0, "offset": 0.0}
        print(f"attempt {run.attempt} begins at step {state['step']}", flush=True)
        while state["step"] < steps:
            if run.preempting:
                save(kept, state)
                print(f"attempt {run.attempt} saves step {state['step']} and makes room", flush=True)
                raise aios.Preempted
            loss = learn(state)
            run.log(step=state["step"], loss=loss)
            run.progress(state["step"], steps)
            time.sleep(pause_s)
        print(f"y = {state['slope']:.2f} x + {state['offset']:.2f}, loss {loss_of(state):.4f}", flush=True)


def learn(state: dict[str, float]) -> float:
    """One step down the gradient of the mean squared error; the loss before it."""
    errors = [(state["slope"] * x + state["offset"] - y, x) for x, y in SAMPLES]
    state["slope"] -= LEARNING_RATE * 2.0 * sum(error * x for error, x in errors) / len(errors)
    state["offset"] -= LEARNING_RATE * 2.0 * sum(error for error, _ in errors) / len(errors)
    state["step"] += 1
    return sum(error * error for error, _ in errors) / len(errors)


def loss_of(state: dict[str, float]) -> float:
    return sum((state["slope"] * x + state["offset"] - y) ** 2 for x, y in SAMPLES) / len(SAMPLES)


def save(path: Path, state: dict[str, float]) -> None:
    """All of it or nothing: whoever is killed meanwhile has the one before."""
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(state))
    os.replace(fresh, path)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100, float(sys.argv[2]) if len(sys.argv) > 2 else 0.01)
