"""Trains a classifier of handwritten digits; the learning rate is the one of this array element. Runs under AIOS or alone."""

import sys
from pathlib import Path

import joblib
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

import aios

LEARNING_RATES = (0.3, 0.05, 0.005)
EPOCHS = 60


def main(folder: Path) -> None:
    images, digits = load_digits(return_X_y=True)
    train_x, test_x, train_y, test_y = train_test_split(images / 16.0, digits, test_size=0.25, random_state=0, stratify=digits)
    with aios.run() as run:
        rate = LEARNING_RATES[run.index or 0]
        model = MLPClassifier((256,), solver="sgd", learning_rate_init=rate, batch_size=32, random_state=0)
        print(f"{len(train_x)} images, learning rate {rate}, processors {run.cpus}", flush=True)
        for epoch in range(1, EPOCHS + 1):
            model.partial_fit(train_x, train_y, classes=np.arange(10))
            accuracy = float(model.score(test_x, test_y))
            run.log(step=epoch, loss=float(model.loss_), accuracy=accuracy)
            run.progress(epoch, EPOCHS)
            if epoch % 10 == 0:
                print(f"epoch {epoch:2d}/{EPOCHS}  loss {model.loss_:.4f}  accuracy {accuracy:.4f}", flush=True)
        joblib.dump(model, folder / f"digits-{rate}.joblib")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
