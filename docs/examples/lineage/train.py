"""Fits a classifier to a dataset that AIOS keeps, and leaves it so that it knows where it came from.

    aiosctl data register two-moons moons.npz
    aiosctl run --model-output moons=model.npz -- python train.py two-moons
    aiosctl model show moons

The file has arrays `x` (n, 2) and `y` (n,) of 0 and 1. What is logged last becomes the metrics of the version that --model-output makes;
with a second argument the script registers its model by itself, under that name.
"""

import sys
import time
from pathlib import Path

import numpy as np

import aios

EPOCHS, RATE = 300, 0.5


def features(x: np.ndarray) -> np.ndarray:
    """(n, 2) to (n, 10): all products up to the third power."""
    powers = [(i, j) for i in range(4) for j in range(4 - i)]
    return np.stack([x[:, 0] ** i * x[:, 1] ** j for i, j in powers], axis=1)


def main(dataset: str, name: str = "") -> None:
    with np.load(aios.datasets.checkout(dataset)) as data:
        x, y = features(data["x"]), data["y"]
    weights, accuracy = np.zeros(x.shape[1]), 0.0
    with aios.run() as run:
        for epoch in range(1, EPOCHS + 1):
            p = 1 / (1 + np.exp(-x @ weights))
            weights -= RATE * x.T @ (p - y) / len(y)
            accuracy = float(np.mean((p > 0.5) == y))
            if epoch % 100 == 0:
                run.log(step=epoch, accuracy=accuracy)
    np.savez("model.npz", weights=weights)
    print(f"accuracy {accuracy:.3f}", flush=True)
    if name:
        print(aios.models.register(name, "model.npz", metrics={"accuracy": accuracy}), flush=True)
    while Path("wait").exists():  # so that it can be looked at while it runs
        time.sleep(0.05)


if __name__ == "__main__":
    main(*sys.argv[1:3])
