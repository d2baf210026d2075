"""Inside a job: who am I, what do I hold, how far am I, must I go. No gRPC: reports are lines appended to a file."""

import json
import math
import operator
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, SupportsFloat, SupportsIndex

from aios.errors import InvalidArgument, Preempted

PREEMPTED_STATUS = 75  # EX_TEMPFAIL: not done, try again

_LONGEST_LINE = 64 << 10
_Handler = Callable[[int, FrameType | None], Any] | int | None  # as the signal module types it


class Run:
    """The run of a job, as the job itself sees it; made by `aios.run()`, used as `with aios.run() as run:`.

    Outside a job it is a harmless stand-in: temporary directories, reports kept in `reports`, never preempted.
    """

    def __init__(self) -> None:
        known = os.environ
        self.in_job = "AIOS_JOB_ID" in known
        self.id = known.get("AIOS_JOB_ID", "local")
        self.name = known.get("AIOS_JOB_NAME", Path(sys.argv[0] or "python").name if sys.argv else "python")
        self.attempt = _number("AIOS_ATTEMPT", 1)
        self.index = _number("AIOS_ARRAY_INDEX", -1) if known.get("AIOS_ARRAY_INDEX") else None
        self.devices = tuple(part for part in known.get("CUDA_VISIBLE_DEVICES", "").split(",") if part)
        self.memory_bytes = _number("AIOS_MEMORY_BYTES", 0)
        self.reports: list[dict[str, object]] = []  # only outside a job
        self._report_file = known.get("AIOS_REPORT_FILE", "")
        self._step = -1
        self._warned: set[str] = set()
        self._own_directory: Path | None = None
        self._preempting = False
        self._watched = False  # whether this script has ever looked at `preempting`
        self._previous: dict[int, _Handler] = {}  # of the signals that are watched, who handled them before

    @property
    def cpus(self) -> tuple[int, ...]:
        """The processors this job was given, by number."""
        try:
            return tuple(_cpu_list(os.environ.get("AIOS_CPUS", ""))) or tuple(sorted(os.sched_getaffinity(0)))
        except ValueError:
            return tuple(sorted(os.sched_getaffinity(0)))

    @property
    def scratch(self) -> Path:
        """A directory of this run alone; it goes when the run has ended."""
        return self._directory("AIOS_SCRATCH", "scratch")

    @property
    def checkpoint_dir(self) -> Path:
        """A directory that all attempts of this job share: what is saved here is there after a preemption or a retry."""
        return self._directory("AIOS_CHECKPOINT_DIR", "checkpoints")

    @property
    def preempting(self) -> bool:
        """True from the moment the job is asked to save its work and go: by its checkpoint signal, or by SIGTERM.

        A script that never looks here ends by the signal as any other would; one that looks decides by itself, and has
        the job's grace to do it in. Signals arrive in the main thread only: enter `aios.run()` there.
        """
        self._watched = True
        if self.in_job and not self._previous:
            self._warn("aios.run() was entered outside the main thread, or not by `with`: this run cannot be told that it is preempted")
        return self._preempting

    def log(self, *, step: SupportsIndex | None = None, **metrics: SupportsFloat) -> None:
        """Report metrics, for example `run.log(step=10, loss=0.3)`; without `step`, the one after the last."""
        if not metrics:
            raise InvalidArgument("run.log() was given no metrics", hint="for example run.log(step=10, loss=0.3)")
        at_step = self._step + 1 if step is None else operator.index(step)
        if not 0 <= at_step < 1 << 62:
            raise InvalidArgument(f"step {at_step} is out of range", hint="a step is 0 or more")
        values = {name: _value(name, value) for name, value in metrics.items()}
        for name in [name for name, value in values.items() if not math.isfinite(value)]:
            self._warn(f"the metric {name} is {values.pop(name)} at step {at_step}: it is left out of the record")
        self._step = at_step
        if values:
            self._report({"at": time.time(), "step": at_step, "metrics": values})

    def progress(self, done: SupportsFloat, total: SupportsFloat) -> None:
        """Report how far it is, for example `run.progress(10, 100)`."""
        done_value, total_value = _value("done", done), _value("total", total)
        if not (0 <= done_value < math.inf and 0 < total_value < math.inf):
            raise InvalidArgument(f"progress of {done!r} of {total!r} makes no sense", hint="0 <= done, 0 < total, both finite")
        self._report({"at": time.time(), "done": done_value, "total": total_value})

    def __enter__(self) -> "Run":
        if self.in_job and threading.current_thread() is threading.main_thread():
            self._listen()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, previous in self._previous.items():
            signal.signal(number, signal.SIG_DFL if previous is None else previous)
        self._previous.clear()
        if self._own_directory is not None:
            shutil.rmtree(self._own_directory, ignore_errors=True)
            self._own_directory = None
        if isinstance(error, Preempted):
            raise SystemExit(PREEMPTED_STATUS) from error

    def _listen(self) -> None:
        for name in dict.fromkeys(("SIG" + os.environ.get("AIOS_CHECKPOINT_SIGNAL", "").upper().removeprefix("SIG"), "SIGTERM")):
            if name == "SIG":
                continue
            try:
                number = signal.Signals[name]
                self._previous[number] = signal.signal(number, self._asked_to_go)
            except (KeyError, OSError, ValueError) as error:
                self._warn(f"the signal {name} cannot be watched ({error}): this run cannot be told by it that it is preempted")

    def _asked_to_go(self, number: int, frame: FrameType | None) -> None:
        self._preempting = True
        previous = self._previous.get(number)
        if callable(previous):
            previous(number, frame)
        elif not self._watched and previous == signal.SIG_DFL:  # nobody would ever know: end as if we were not here
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    def _report(self, entry: dict[str, object]) -> None:
        """One line, one write: lines of several processes do not mix, and none is lost while the daemon is away."""
        if not self._report_file:
            self.reports.append(entry)
            return
        line = json.dumps(entry, allow_nan=False, separators=(",", ":")).encode() + b"\n"
        if len(line) > _LONGEST_LINE:
            raise InvalidArgument(f"a report of {len(line)} bytes is too long", hint=f"log fewer metrics at once; {_LONGEST_LINE} bytes are allowed")
        try:
            descriptor = os.open(self._report_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                os.write(descriptor, line)
            finally:
                os.close(descriptor)
        except OSError as error:  # a full disk must not end a training run
            self._warn(f"reports cannot be written to {self._report_file}: {error.strerror}")

    def _directory(self, variable: str, stand_in: str) -> Path:
        named = os.environ.get(variable)
        if named:
            path = Path(named)
        else:
            if self._own_directory is None:
                self._own_directory = Path(tempfile.mkdtemp(prefix="aios-run-"))
            path = self._own_directory / stand_in
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        return path

    def _warn(self, text: str) -> None:
        key = text.partition(" at step ")[0]
        if key not in self._warned:
            self._warned.add(key)
            warnings.warn(text, RuntimeWarning, stacklevel=3)


def run() -> Run:
    """This job's own run, to be used as `with aios.run() as run:`; outside a job, a local stand-in."""
    return Run()


def _value(name: str, value: SupportsFloat) -> float:
    """A number, also NumPy's and a tensor of one element, as a float."""
    if isinstance(value, str | bytes) or not hasattr(value, "__float__"):
        raise InvalidArgument(f"{name} is {value!r}, which is not a number", hint="give int, float, or what float() takes")
    return float(value)


def _number(variable: str, default: int) -> int:
    try:
        return int(os.environ.get(variable, default))
    except ValueError:
        return default


def _cpu_list(text: str) -> list[int]:
    """`0-3,8` as numbers."""
    numbers: list[int] = []
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        numbers.extend(range(int(first), int(last or first) + 1))
    return numbers
