"""MLflow and DVC with the same two files: the time to register each, to load the first again, and the room that both take."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks.report import Report, mebibytes, seconds

_MLFLOW = """
import sys, mlflow, time
store, path = sys.argv[1], sys.argv[2]
mlflow.set_tracking_uri(f"sqlite:///{store}/mlflow.db")
name = "bench"
if mlflow.get_experiment_by_name(name) is None:
    mlflow.create_experiment(name, artifact_location=f"file://{store}/artifacts")
mlflow.set_experiment(name)
began_s = time.perf_counter()
with mlflow.start_run() as run:
    mlflow.log_artifact(path)
print(time.perf_counter() - began_s)
began_s = time.perf_counter()
mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="model.bin", dst_path=f"{store}/loaded")
print(time.perf_counter() - began_s)
"""


def add(report: Report, directory: Path, makers: Sequence[Callable[[], Iterator[bytes]]]) -> None:
    """What cannot be installed is left out, with a note."""
    for name, measure in (("mlflow", _mlflow), ("dvc", _dvc)):
        environment = directory / f"venv-{name}"
        subprocess.run([sys.executable, "-m", "venv", environment], check=True)
        done = subprocess.run([environment / "bin/pip", "install", "-q", {"mlflow": "mlflow", "dvc": "dvc"}[name]], capture_output=True, text=True)
        if done.returncode:
            report.note(f"{name} could not be installed: {done.stderr.strip().splitlines()[-1][:200]}")
            continue
        try:
            measure(report, directory / name, environment / "bin", makers)
        except (subprocess.CalledProcessError, ValueError, IndexError) as error:
            report.note(f"{name} failed: {getattr(error, 'stderr', None) or error}"[-500:])


def _mlflow(report: Report, store: Path, programs: Path, makers: Sequence[Callable[[], Iterator[bytes]]]) -> None:
    store.mkdir()
    for at, make in enumerate(makers):
        path = _write(store / "model.bin", make)
        done = subprocess.run([programs / "python", "-c", _MLFLOW, store, path], check=True, capture_output=True, text=True)
        took_s, load_s = map(float, done.stdout.split()[-2:])
        report.add(f"mlflow {at}", f"MLflow registers version {at + 1}, no hash", [seconds(took_s), "", mebibytes(_size(store / "artifacts"))], took_s=took_s)
        report.add(f"mlflow load {at}", "  and loads it again", [seconds(load_s), "", ""], took_s=load_s)
        path.unlink()


def _dvc(report: Report, store: Path, programs: Path, makers: Sequence[Callable[[], Iterator[bytes]]]) -> None:
    store.mkdir()
    environment = os.environ | {"DVC_NO_ANALYTICS": "1", "PATH": f"{programs}:{os.environ['PATH']}"}

    def dvc(*words: str) -> float:
        began_s = time.perf_counter()
        subprocess.run(["dvc", *words], check=True, capture_output=True, text=True, cwd=store, env=environment)
        return time.perf_counter() - began_s

    dvc("init", "-q", "--no-scm")
    for at, make in enumerate(makers):
        path = _write(store / "model.bin", make)
        took_s = dvc("add", "-q", "model.bin")
        report.add(f"dvc {at}", f"DVC adds version {at + 1} (MD5)", [seconds(took_s), "", mebibytes(_size(store / ".dvc/cache"))], took_s=took_s)
        path.unlink()
        load_s = dvc("checkout", "-q", "model.bin.dvc")
        report.add(f"dvc load {at}", "  and checks it out", [seconds(load_s), "", ""], took_s=load_s)


def _write(path: Path, make: Callable[[], Iterator[bytes]]) -> Path:
    path.unlink(missing_ok=True)
    with path.open("wb") as file:
        for block in make():
            file.write(block)
        os.fsync(file.fileno())
    return path


def _size(directory: Path) -> int:
    return sum(path.stat().st_blocks * 512 for path in directory.rglob("*") if path.is_file())
