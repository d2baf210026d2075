"""MLflow and DVC with the same two files: the time to register each, to load it again, and the room that both take.

Each is installed into an environment of its own, which is kept for the next time. `python -m benchmarks.models` has the same two files.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks import machine, options
from benchmarks.model_files import variants
from benchmarks.report import Report, mebibytes, seconds

_MLFLOW = """
import sys, mlflow, time
store, path = sys.argv[1], sys.argv[2]
mlflow.set_tracking_uri(f"sqlite:///{store}/mlflow.db")
name = "bench"
if mlflow.get_experiment_by_name(name) is None:
    mlflow.create_experiment(name, artifact_location=f"file://{store}/artifacts")
mlflow.set_experiment(name)
began_s, cpu_s = time.perf_counter(), time.process_time()
with mlflow.start_run() as run:
    mlflow.log_artifact(path)
print(time.perf_counter() - began_s, time.process_time() - cpu_s)
began_s, cpu_s = time.perf_counter(), time.process_time()
mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="model.bin", dst_path=f"{store}/loaded")
print(time.perf_counter() - began_s, time.process_time() - cpu_s)
"""


def add(report: Report, environments: Path, directory: Path, makers: Sequence[Callable[[], Iterator[bytes]]]) -> None:
    """What cannot be installed is left out, with a note."""
    for name, package, measure in (("mlflow", "mlflow-skinny sqlalchemy alembic", _mlflow), ("dvc", "dvc", _dvc)):
        environment = environments / name
        if (why := _installed(environment, package.split())) is not None:
            report.note(f"{name} could not be installed: {why}")
            continue
        try:
            measure(report, directory / name, environment / "bin", makers)
        except (subprocess.CalledProcessError, ValueError, IndexError) as error:
            report.note(f"{name} failed: {getattr(error, 'stderr', None) or error}"[-500:])


def _installed(environment: Path, packages: Sequence[str]) -> str | None:
    """None when they are; else why not."""
    done = environment / "done"
    if done.exists():
        return None
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    installed = subprocess.run([environment / "bin/pip", "install", "-q", *packages], capture_output=True, text=True)
    if installed.returncode:
        return installed.stderr.strip().splitlines()[-1][:200]
    done.touch()
    return None


def _mlflow(report: Report, store: Path, programs: Path, makers: Sequence[Callable[[], Iterator[bytes]]]) -> None:
    store.mkdir()
    for at, make in enumerate(makers):
        path = _write(store / "model.bin", make)
        done = subprocess.run([programs / "python", "-c", _MLFLOW, store, path], check=True, capture_output=True, text=True)
        took_s, took_cpu_s, load_s, load_cpu_s = map(float, done.stdout.split()[-4:])
        _line(report, f"mlflow {at}", f"MLflow registers version {at + 1}, no hash", took_s, took_cpu_s, store / "artifacts")
        _line(report, f"mlflow load {at}", "  and loads it again", load_s, load_cpu_s)
        path.unlink()


def _dvc(report: Report, store: Path, programs: Path, makers: Sequence[Callable[[], Iterator[bytes]]]) -> None:
    store.mkdir()
    environment = os.environ | {"DVC_NO_ANALYTICS": "1"}

    def dvc(*words: str) -> tuple[float, float]:
        began_s, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([programs / "python", "-m", "dvc", *words], check=True, capture_output=True, text=True, cwd=store, env=environment)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return time.perf_counter() - began_s, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime

    dvc("init", "-q", "--no-scm")
    for at, make in enumerate(makers):
        path = _write(store / "model.bin", make)
        _line(report, f"dvc {at}", f"DVC adds version {at + 1} (MD5)", *dvc("add", "-q", "model.bin"), store / ".dvc/cache")
        path.unlink()
        _line(report, f"dvc load {at}", "  and checks it out", *dvc("checkout", "-q", "model.bin.dvc"))


def _line(report: Report, key: str, what: str, took_s: float, cpu_s: float, kept: Path | None = None) -> None:
    stored = _size(kept) if kept else None
    report.add(key, what, [seconds(took_s), seconds(cpu_s), "" if stored is None else mebibytes(stored)], took_s=took_s, cpu_s=cpu_s, stored_bytes=stored)


def _write(path: Path, make: Callable[[], Iterator[bytes]]) -> Path:
    path.unlink(missing_ok=True)
    with path.open("wb") as file:
        for block in make():
            file.write(block)
        os.fsync(file.fileno())
    return path


def _size(directory: Path) -> int:
    return sum(path.stat().st_blocks * 512 for path in directory.rglob("*") if path.is_file())


def main(argv: Sequence[str] | None = None) -> None:
    parser = options.parser("model_peers", "MLflow and DVC: registering, loading and storing the files that the benchmark `models` has.")
    parser.add_argument("--mib", type=options.count, default=1024, metavar="N", help="size of each file in MiB (default: 1024)")
    kept = Path(tempfile.gettempdir()) / f"aios-peers-{os.getuid()}"
    parser.add_argument("--environments", type=Path, default=kept, metavar="DIR", help=f"where they are installed, and stay (default: {kept})")
    chosen = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(dir=chosen.directory, prefix="aios-peers-") as made:
        directory = Path(made)
        report = Report("model_peers", machine.facts(directory, chosen.wait_quiet) | {"MiB": chosen.mib}, ("took", "CPU", "stored"))
        add(report, chosen.environments, directory, [variants(chosen.mib << 20)[name].make for name in ("new", "in place")])
    report.show()


if __name__ == "__main__":
    main()
