"""How long a job's submission waits for its turn of the scheduler and is on the disk, alone and while a daemon registers a model."""

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import aios
from benchmarks import machine
from benchmarks.daemon import private_daemon
from benchmarks.report import Report, seconds

_ALONE_S, _PAUSE_S, _WARM_UP = 4.0, 0.005, 5
_SUFFERS = 1.5  # times as long, at the median


def add(report: Report, directory: Path, sources: Mapping[str, Path]) -> int:
    """A line for the daemon alone, and one for the registration of each source. Its most memory in bytes."""
    with private_daemon(state_in=directory) as daemon, daemon.client() as client, daemon.client() as other:
        for _ in range(_WARM_UP):
            client.submit(["/bin/true"], hold=True)
        until_s = time.monotonic() + _ALONE_S
        alone = submissions_s(client, lambda: time.monotonic() > until_s)
        _line(report, "turn alone", "a submission is acknowledged, alone", alone, 0.0)
        for number, (what, path) in enumerate(sources.items()):
            registering = threading.Thread(target=other.models.register, args=(f"model{number}", str(path)), name="registering")
            registering.start()
            meanwhile = submissions_s(client, lambda thread=registering: not thread.is_alive())  # type: ignore[misc]
            _line(report, f"turn {number}", f"  while {what} are registered", meanwhile, machine.median(alone))
        return machine.peak(daemon.pid)


def submissions_s(client: aios.Client, over: Callable[[], bool]) -> list[float]:
    found = []
    while not over():
        began_s = time.perf_counter()
        client.submit(["/bin/true"], hold=True)
        found.append(time.perf_counter() - began_s)
        time.sleep(_PAUSE_S)
    return found


def _line(report: Report, key: str, what: str, values_s: list[float], alone_s: float) -> None:
    middle, most = machine.median(values_s), machine.percentile(values_s, 99)
    met = middle <= _SUFFERS * alone_s if alone_s else None
    shown = [seconds(middle), "", f"p99 {seconds(most)}", f"most {seconds(max(values_s))}", "", f"p50 <= {_SUFFERS:g} x alone" if alone_s else ""]
    report.add(key, what, [*shown, "" if met is None else "met" if met else "NOT met"], p50_s=middle, p99_s=most, most_s=max(values_s), met=met)
