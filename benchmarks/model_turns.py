"""How long a job's submission waits for its turn of the scheduler and is on the disk: alone, beside a bare copy, and while a daemon registers a model."""

import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import aios
from benchmarks import machine
from benchmarks.daemon import private_daemon
from benchmarks.report import Report, seconds

_ROUNDS, _ALONE_S, _PAUSE_S, _WARM_UP = 3, 1.5, 0.005, 5
_SUFFERS = 1.5  # times as long, at the median, where a bare copy costs no more


def add(report: Report, directory: Path, sources: Mapping[str, Path]) -> int:
    """For each source three lines, measured in turns so that they share what else the machine does. The daemon's most memory in bytes."""
    with private_daemon(state_in=directory) as daemon, daemon.client() as client, daemon.client() as other:
        for _ in range(_WARM_UP):
            client.submit(["/bin/true"], hold=True)
        for number, (what, path) in enumerate(sources.items()):
            target, alone, copied, registered = directory / "copied", list[float](), list[float](), list[float]()
            for _ in range(_ROUNDS):
                until_s = time.monotonic() + _ALONE_S
                alone += submissions_s(client, lambda until_s=until_s: time.monotonic() > until_s)  # type: ignore[misc]
                copied += _beside(client, partial(_copy, path, target))
                registered += _beside(client, partial(other.models.register, "beside", str(path)))
                other.models.remove("beside", force=True)
                other.models.collect_garbage(grace=0)
            _line(report, f"turn {number} alone", "a submission is acknowledged, alone", alone, ())
            _line(report, f"turn {number} copy", f"  while {what} are copied and synchronised", copied, alone)
            most = max(_SUFFERS, machine.median(copied) / machine.median(alone))
            _line(report, f"turn {number}", f"  while {what} are registered", registered, alone, most)
        return machine.peak(daemon.pid)


def _copy(path: Path, target: Path) -> None:
    subprocess.run(f"cp -r --reflink=never '{path}' '{target}' && sync -f '{target}'", shell=True, check=True)
    shutil.rmtree(target) if target.is_dir() else target.unlink()


def _beside(client: aios.Client, act: Callable[[], object]) -> list[float]:
    acting = threading.Thread(target=act, name="acting")
    acting.start()
    return submissions_s(client, lambda: not acting.is_alive())


def submissions_s(client: aios.Client, over: Callable[[], bool]) -> list[float]:
    found = []
    while not found or not over():
        began_s = time.perf_counter()
        client.submit(["/bin/true"], hold=True)
        found.append(time.perf_counter() - began_s)
        time.sleep(_PAUSE_S)
    return found


def _line(report: Report, key: str, what: str, values_s: Sequence[float], alone_s: Sequence[float], most: float = 0.0) -> None:
    """`alone_s`: what it is to be compared with, at the median and at the 99th percentile; `most` times as long is good, 0: no aim."""
    middle_s, most_s = machine.median(values_s), machine.percentile(values_s, 99)
    times = (middle_s / machine.median(alone_s), most_s / machine.percentile(alone_s, 99)) if alone_s else ()
    met = times[0] <= most if most and times else None
    shown = [seconds(middle_s), "", *([f"{times[0]:.2f} x", f"p99 {times[1]:.2f} x"] if times else ["", ""]), f"p99 {seconds(most_s)}"]
    shown += [f"<= {_SUFFERS:g} x, or as a copy" if most else "", "" if met is None else "met" if met else "NOT met"]
    of_alone, p99_of_alone = times or (None, None)
    report.add(key, what, shown, p50_s=middle_s, p99_s=most_s, most_s=max(values_s), of_alone=of_alone, p99_of_alone=p99_of_alone, n=len(values_s), met=met)
