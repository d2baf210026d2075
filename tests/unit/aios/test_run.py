"""Inside a job: what is reported to the file, what preemption does, and the stand-in outside."""

import json
import math
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import aios
from aios.errors import InvalidArgument


@pytest.fixture
def report(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    known = {
        "AIOS_JOB_ID": "42.7", "AIOS_JOB_NAME": "fit", "AIOS_ATTEMPT": "2", "AIOS_ARRAY_INDEX": "7", "AIOS_CPUS": "0-2,5", "AIOS_MEMORY_BYTES": "1024",
        "AIOS_SCRATCH": str(tmp_path / "scratch"), "AIOS_CHECKPOINT_DIR": str(tmp_path / "keep"), "CUDA_VISIBLE_DEVICES": "GPU-a,GPU-b",
        "AIOS_REPORT_FILE": str(tmp_path / "report"), "AIOS_CHECKPOINT_SIGNAL": "USR1",
    }  # fmt: skip
    for name, value in known.items():
        monkeypatch.setenv(name, value)
    return tmp_path / "report"


def lines(report: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in report.read_text().splitlines()]


def test_a_job_knows_itself(report: Path) -> None:
    with aios.run() as run:
        assert (run.id, run.name, run.attempt, run.index, run.cpus, run.memory_bytes) == ("42.7", "fit", 2, 7, (0, 1, 2, 5), 1024)
        assert run.devices == ("GPU-a", "GPU-b") and run.scratch.is_dir() and run.checkpoint_dir.name == "keep"
    assert run.scratch.is_dir()  # the daemon's to remove


def test_reports_are_lines_in_a_file(report: Path) -> None:
    class Scalar:
        def __float__(self) -> float:
            return 0.25

    with aios.run() as run:
        run.log(step=10, loss=0.3, accuracy=Scalar())
        run.log(loss=0.2)
        run.progress(10, 100)
    first, second, third = lines(report)
    assert (first["step"], first["metrics"]) == (10, {"loss": 0.3, "accuracy": 0.25}) and isinstance(first["at"], float)
    assert second["step"] == 11 and (third["done"], third["total"]) == (10, 100)


def test_numbers_are_checked(report: Path) -> None:
    with aios.run() as run:
        for bad in ({"loss": "0.3"}, {"loss": None}, {}, {"step": -1, "loss": 1.0}):
            with pytest.raises(InvalidArgument):
                run.log(**bad)
        for done, total in ((-1, 5), (1, 0), (math.nan, 5), (1, math.inf)):
            with pytest.raises(InvalidArgument):
                run.progress(done, total)
        with pytest.warns(RuntimeWarning, match="loss is nan"):
            run.log(step=1, loss=math.nan, accuracy=0.5)
        run.log(step=2, loss=math.nan)  # said once, and nothing is left to write
    assert [line["metrics"] for line in lines(report)] == [{"accuracy": 0.5}]


def test_a_full_disk_does_not_end_a_training_run(report: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIOS_REPORT_FILE", str(report.parent / "missing" / "report"))
    with aios.run() as run, pytest.warns(RuntimeWarning, match="cannot be written"):
        run.log(loss=1)


def test_lines_of_many_writers_do_not_mix(report: Path) -> None:
    def write() -> None:
        run = aios.run()
        for step in range(50):
            run.log(step=step, **{f"metric_{n}": 1.0 for n in range(50)})

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(lines(report)) == 200


def test_preempting_follows_the_signal_and_the_old_handler_returns(report: Path) -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGUSR1, lambda number, frame: heard.append(number))
    try:
        ours = signal.getsignal(signal.SIGUSR1)
        with aios.run() as run:
            seen = [run.preempting]
            os.kill(os.getpid(), signal.SIGUSR1)
            seen.append(run.preempting)
        assert seen == [False, True] and heard == [signal.SIGUSR1]
        assert signal.getsignal(signal.SIGUSR1) is ours
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_preempting_follows_sigterm_too(report: Path) -> None:
    """Where the scheduler wants room in another way than by a checkpoint, or time is over."""
    before = signal.getsignal(signal.SIGTERM)
    with aios.run() as run:
        assert not run.preempting
        os.kill(os.getpid(), signal.SIGTERM)
        assert run.preempting
    assert signal.getsignal(signal.SIGTERM) is before


def test_preempted_ends_with_75(report: Path) -> None:
    with pytest.raises(SystemExit) as caught, aios.run():
        raise aios.Preempted
    assert caught.value.code == 75


@pytest.mark.parametrize(("looks", "status"), [(True, 0), (False, -signal.SIGTERM)])
def test_a_script_that_never_looks_ends_by_the_signal(looks: bool, status: int) -> None:
    code = (
        f"import aios, os, signal\nwith aios.run() as run:\n    {looks} and run.preempting\n    os.kill(os.getpid(), signal.SIGTERM)\n    assert run.preempting"
    )
    assert subprocess.run([sys.executable, "-c", code], env={**os.environ, "AIOS_JOB_ID": "1"}).returncode == status


def test_in_another_thread_it_says_that_it_cannot_know(report: Path) -> None:
    seen: list[str] = []

    def work() -> None:
        with aios.run() as run, pytest.warns(RuntimeWarning, match="main thread"):
            seen.append(str(run.preempting))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == ["False"]


def test_outside_a_job_it_is_a_harmless_stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AIOS_")]:
        monkeypatch.delenv(name)
    before = signal.getsignal(signal.SIGTERM)
    with aios.run() as run:
        run.log(loss=0.5)
        run.progress(1, 2)
        assert not run.in_job and not run.preempting and run.cpus and run.index is None and run.attempt == 1
        assert [set(entry) for entry in run.reports] == [{"at", "step", "metrics"}, {"at", "done", "total"}]
        kept = run.scratch
        assert kept.is_dir() and run.checkpoint_dir.is_dir() and signal.getsignal(signal.SIGTERM) is before
    assert not kept.exists()
