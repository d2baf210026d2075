"""`make demo`: a real training run as a job array, with live output, and at its end what ran, what it used and where its logs are."""

import argparse
import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import aios
from aios import daemon
from aios.units import format_bytes, format_seconds

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from train import LEARNING_RATES  # noqa: E402  # the example beside this file


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--keep", action="store_true", help="leave the daemon running, to try aiosctl with it")
    options.add_argument("--output", type=Path, default=Path("demo-output"), help="where the best model is saved")
    chosen = options.parse_args()
    was_running = daemon.status().running
    began = time.monotonic()
    try:
        status = train_and_report(chosen.output.resolve())
    finally:
        if not was_running and not chosen.keep:
            daemon.stop()
    print(f"\nIt took {format_seconds(time.monotonic() - began)}.", end=" ")
    if was_running or chosen.keep:
        print("The daemon runs on: try `.venv/bin/aiosctl ps -a`; `.venv/bin/aiosctl daemon stop` ends it.")
    else:
        print("The daemon that was started for it has been stopped; `make demo ARGS=--keep` leaves it running.")
    return status


def train_and_report(folder: Path) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    array = aios.submit([sys.executable, str(HERE / "train.py"), str(folder)], name="digits", cpus=1, array=f"0-{len(LEARNING_RATES) - 1}", time="10m")
    node = aios.node()
    print(f"job {array.id}: {len(LEARNING_RATES)} learning rates as an array, on {len(node.inventory.cpus)} processors of {node.inventory.hostname}")
    elements = [array[index] for index in range(len(LEARNING_RATES))]
    with ThreadPoolExecutor(len(elements)) as pool:
        list(pool.map(follow, elements))
    for element in elements:
        element.wait()
    best = report(elements)
    if best is None:
        print("\nno element succeeded; see its output: .venv/bin/aiosctl logs " + elements[0].id, file=sys.stderr)
        return 1
    rate = LEARNING_RATES[best.array_index or 0]
    saved = folder / "digits-best.joblib"
    shutil.copyfile(folder / f"digits-{rate}.joblib", saved)
    print(f"\nThe best learning rate is {rate}: its model is saved in {saved}.")
    return 0


def follow(element: aios.Job) -> None:
    """Its output as it comes, each line with the element's id in front."""
    for line in element.logs(follow=True):
        print(f"[{element.id} lr={LEARNING_RATES[element.array_index or 0]}] {line}", flush=True)


def report(elements: list[aios.Job]) -> "aios.Job | None":
    """A table of what ran; returns the element with the best accuracy."""
    row = "{:<6} {:>6} {:<10} {:>8} {:>8} {:>8} {:>9} {:>9}  {}".format
    print("\n" + row("JOB", "RATE", "STATE", "ACCURACY", "WAITED", "RAN", "CPU TIME", "MEMORY", "OUTPUT"))
    accuracies: dict[str, float] = {}
    for element in elements:
        reported = {series.name: series.values[-1] for series in element.stats().reported if series.values}
        accuracies[element.id] = reported.get("accuracy", 0.0) if element.state is aios.State.SUCCEEDED else -1.0
        outcome, run = element.outcome, element.run
        assert outcome is not None
        print(row(
            element.id, LEARNING_RATES[element.array_index or 0], element.state, f"{reported.get('accuracy', 0.0):.4f}",
            format_seconds(round(outcome.wait_s, 1)), format_seconds(round(outcome.run_s, 1)),
            format_seconds(round(outcome.usage.cpu_user_s + outcome.usage.cpu_system_s, 1)),
            format_bytes(outcome.usage.memory_peak_bytes), run.stdout_path if run is not None else "",
        ))  # fmt: skip
    best = max(elements, key=lambda element: accuracies[element.id])
    return best if accuracies[best.id] >= 0 else None


if __name__ == "__main__":
    sys.exit(main())
