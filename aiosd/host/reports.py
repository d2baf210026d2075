"""Reads what jobs report of themselves: a file of JSON lines for each run, written by the SDK and not to be trusted."""

import asyncio
import json
import os
import stat
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from math import isfinite
from typing import TypeVar

from aiosd.monitoring.series import Points
from aiosd.monitoring.stats import Progress, ReportedSeries

LINE_BYTES = 64 << 10  # longer lines are skipped
LATEST_BYTES = 1 << 20  # of the end of a file that grew by more at once
SERIES_BYTES = 64 << 20
BLOCK_BYTES = 256 << 10
METRICS = 64  # names a job may report; more are left out
NAME_LENGTH = 200
PROGRESS_FILES = 4096  # of which the latest report is remembered
SERIES_FILES = 32
_STEP_LIMIT = 2.0**53  # the wire's integers are larger, a float's exactness is not

T = TypeVar("T")


@dataclass(slots=True)
class _Tail:
    """A place in a file that grows: yields each whole line once."""

    offset: int = 0
    inode: int = 0
    rest: bytes = b""  # of a line whose end is not written yet
    skipping: bool = False  # within a line that is too long

    def lines(self, path: str, most_bytes: int) -> Iterator[bytes]:
        """The whole lines since the last call; of more than `most_bytes` only the last. A new file begins anew."""
        opened = _open(path)
        if opened is None:
            return
        try:
            status = os.fstat(opened)
            if status.st_ino != self.inode or status.st_size < self.offset:
                self.offset, self.inode, self.rest, self.skipping = 0, status.st_ino, b"", False
            if status.st_size - self.offset > most_bytes:
                self.offset, self.rest, self.skipping = status.st_size - most_bytes, b"", True
            while block := os.pread(opened, min(BLOCK_BYTES, status.st_size - self.offset), self.offset):
                self.offset += len(block)
                yield from self._split(block)
        finally:
            os.close(opened)

    def _split(self, block: bytes) -> Iterator[bytes]:
        *whole, last = (self.rest + block).split(b"\n")
        if self.skipping and whole:
            whole, self.skipping = whole[1:], False
        self.rest = b"" if self.skipping else last
        if len(self.rest) > LINE_BYTES:
            self.rest, self.skipping = b"", True
        yield from (line for line in whole if len(line) <= LINE_BYTES)


@dataclass(slots=True)
class _Latest:
    tail: _Tail = field(default_factory=_Tail)
    progress: Progress | None = None


@dataclass(slots=True)
class _History:
    tail: _Tail = field(default_factory=_Tail)
    max_points: int = 512
    metrics: dict[str, Points] = field(default_factory=dict)


class ReportReader:
    """Implements Reports of the monitoring domain; files are read on its own thread, each byte once."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="reports")
        self._latest: OrderedDict[str, _Latest] = OrderedDict()
        self._histories: OrderedDict[str, _History] = OrderedDict()

    def latest(self, path: str) -> Progress | None:
        """What `refresh` last saw, from memory."""
        known = self._latest.get(path)
        return known.progress if known else None

    async def refresh(self, paths: Sequence[str]) -> None:
        """Read what was reported since the last time."""
        await asyncio.get_running_loop().run_in_executor(self._threads, self._refresh, paths)

    async def series(self, path: str, max_points: int = 512) -> list[ReportedSeries]:
        """Every metric over its steps, thinned out evenly to at most `max_points`; the newest point is always there."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._series, path, max_points)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _refresh(self, paths: Sequence[str]) -> None:
        for path in paths:
            known = _recent(self._latest, path, _Latest, PROGRESS_FILES)
            for line in known.tail.lines(path, LATEST_BYTES):
                if (report := _parse(line)) is not None:
                    known.progress = _advance(known.progress or Progress(), report)

    def _series(self, path: str, max_points: int) -> list[ReportedSeries]:
        history = _recent(self._histories, path, lambda: _History(max_points=max_points), SERIES_FILES)
        if history.max_points != max_points:
            history = self._histories[path] = _History(max_points=max_points)
        for line in history.tail.lines(path, SERIES_BYTES):
            report = _parse(line)
            if report is not None:
                _collect(history, report)
        return [ReportedSeries(name, *points.columns()) for name, points in history.metrics.items()]


def _open(path: str) -> int | None:
    """A descriptor of a regular file that is no link and belongs to whom its directory belongs; None for all else.

    The job may have put anything there, and this is read as the daemon: another name of a file of somebody else's is no report.
    """
    try:
        opened = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_NOCTTY)
    except OSError:
        return None
    found = os.fstat(opened)
    if stat.S_ISREG(found.st_mode) and found.st_uid == _owner_of(os.path.dirname(path)):
        return opened
    os.close(opened)
    return None


def _owner_of(directory: str) -> int:
    """-1: it is gone."""
    try:
        return os.lstat(directory).st_uid
    except OSError:
        return -1


def _recent(cache: "OrderedDict[str, T]", path: str, fresh: Callable[[], T], most: int) -> T:
    """The entry of `path`, made where there is none; the one not asked for longest makes room."""
    found = cache.get(path)
    if found is None:
        found = cache[path] = fresh()
    cache.move_to_end(path)
    while len(cache) > most:
        cache.popitem(last=False)
    return found


def _parse(line: bytes) -> Mapping[str, object] | None:
    """The report in a line; None when it is none. A nest too deep for the parser is none."""
    try:
        report = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return report if isinstance(report, dict) else None


def _advance(before: Progress, report: Mapping[str, object]) -> Progress:
    """The latest of each: a line that tells metrics says nothing of progress, and the other way round."""
    metrics = dict(before.metrics)
    for name, value in _metrics(report):
        if name in metrics or len(metrics) < METRICS:
            metrics[name] = value
    return Progress(
        done=_number(report, "done", before.done),
        total=_number(report, "total", before.total),
        metrics=metrics,
        step=int(_clamped(_number(report, "step", before.step))),
        at_s=_number(report, "at", before.at_s),
    )


def _collect(history: _History, report: Mapping[str, object]) -> None:
    """A metric without a step is counted up by itself."""
    for name, value in _metrics(report):
        points = history.metrics.get(name)
        if points is None:
            if len(history.metrics) >= METRICS:
                continue
            points = history.metrics[name] = Points(history.max_points)
        points.add(_number(report, "step", float(points.seen)), value)


def _metrics(report: Mapping[str, object]) -> Iterator[tuple[str, float]]:
    """NaN and infinity pass: a loss that diverged is what its owner wants to see."""
    metrics = report.get("metrics")
    if isinstance(metrics, dict):
        for name, value in metrics.items():
            if len(name) <= NAME_LENGTH and (number := _as_float(value)) is not None:
                yield name, number


def _number(report: Mapping[str, object], name: str, otherwise: float) -> float:
    """A finite number of the report; `otherwise` when it has none there."""
    number = _as_float(report.get(name))
    return otherwise if number is None or not isfinite(number) else number


def _as_float(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:  # JSON's integers have no end
        return None


def _clamped(step: float) -> float:
    return max(-_STEP_LIMIT, min(_STEP_LIMIT, step))
