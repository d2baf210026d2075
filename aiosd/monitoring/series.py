"""Series that never outgrow their bounds: when one is full its points are merged or thinned out, and it goes on at half the rate."""

from array import array
from dataclasses import astuple, dataclass

from aiosd.monitoring.stats import Sample

CAPACITY = 512
_COLUMNS = 8  # of a Sample


@dataclass(frozen=True, slots=True)
class Totals:
    """One look at a run's processes: counters since its start, and what is in use now."""

    at_s: float  # wall
    steady_s: float
    cpu_user_s: float = 0.0
    cpu_system_s: float = 0.0
    memory_bytes: int = 0
    read_bytes: int = 0
    write_bytes: int = 0
    major_faults: int = 0
    processes: int = 0
    gpu_permille: int = 0
    gpu_memory_bytes: int = 0


def sample_between(before: Totals, now: Totals) -> Sample | None:
    """The rates from one look to the next; None when no time has passed.

    A counter that falls (a process that ended uncounted took its share with it) counts as standing still.
    """
    elapsed_s = now.steady_s - before.steady_s
    if elapsed_s <= 0:
        return None
    cpu_s = now.cpu_user_s + now.cpu_system_s - before.cpu_user_s - before.cpu_system_s
    return Sample(
        at_s=now.at_s,
        cpu_millis=1000 * max(0.0, cpu_s) / elapsed_s,
        memory_bytes=now.memory_bytes,
        read_bytes_per_s=round(max(0, now.read_bytes - before.read_bytes) / elapsed_s),
        write_bytes_per_s=round(max(0, now.write_bytes - before.write_bytes) / elapsed_s),
        gpu_permille=now.gpu_permille,
        gpu_memory_bytes=now.gpu_memory_bytes,
        processes=now.processes,
    )


class Samples:
    """At most `capacity` points over any length of time, 64 bytes each: full, it merges neighbours and doubles its period.

    A merged point has the mean of the rates, the highest of what was in use, and the time of the later one.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        if capacity < 2 or capacity % 2:
            raise ValueError(f"the capacity of a series must be even and at least 2, not {capacity}")
        self._capacity = capacity
        self._rows = array("d")
        self._stride = 1  # samples in one point
        self._gathering: Sample | None = None
        self._gathered = 0

    def add(self, sample: Sample) -> None:
        before = self._gathering
        self._gathering = sample if before is None else _merged(before, sample, self._gathered)
        self._gathered += 1
        if self._gathered == self._stride:
            self._rows.extend(astuple(self._gathering))
            self._gathering, self._gathered = None, 0
            if len(self._rows) == self._capacity * _COLUMNS:
                self._halve()

    def all(self) -> tuple[Sample, ...]:
        """Oldest first; what is being gathered is the last one."""
        points = tuple(self._at(n) for n in range(len(self._rows) // _COLUMNS))
        return points if self._gathering is None else (*points, self._gathering)

    def _halve(self) -> None:
        merged = array("d")
        for n in range(0, self._capacity, 2):
            merged.extend(astuple(_merged(self._at(n), self._at(n + 1), 1)))
        self._rows = merged
        self._stride *= 2

    def _at(self, n: int) -> Sample:
        at_s, cpu_millis, *whole = self._rows[n * _COLUMNS : (n + 1) * _COLUMNS]
        return Sample(at_s, cpu_millis, *map(int, whole))


def _merged(before: Sample, sample: Sample, weight: int) -> Sample:
    """`before` stands for `weight` samples."""

    def mean(one: float, other: float) -> float:
        return (one * weight + other) / (weight + 1)

    return Sample(
        at_s=sample.at_s,
        cpu_millis=mean(before.cpu_millis, sample.cpu_millis),
        memory_bytes=max(before.memory_bytes, sample.memory_bytes),
        read_bytes_per_s=round(mean(before.read_bytes_per_s, sample.read_bytes_per_s)),
        write_bytes_per_s=round(mean(before.write_bytes_per_s, sample.write_bytes_per_s)),
        gpu_permille=round(mean(before.gpu_permille, sample.gpu_permille)),
        gpu_memory_bytes=max(before.gpu_memory_bytes, sample.gpu_memory_bytes),
        processes=max(before.processes, sample.processes),
    )


class Points:
    """Points of one metric as they were given, every so-many-th of them; the newest is always there."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        if capacity < 2:
            raise ValueError(f"a series needs room for at least 2 points, not {capacity}")
        self._capacity = capacity
        self._steps = array("d")
        self._values = array("d")
        self._stride = 1
        self.seen = 0
        self._newest = (0.0, 0.0)

    def add(self, step: float, value: float) -> None:
        self._newest = (step, value)
        if self.seen % self._stride == 0:
            if len(self._steps) == self._capacity - 1:  # one place is the newest's
                self._steps, self._values = self._steps[::2], self._values[::2]
                self._stride *= 2
            if self.seen % self._stride == 0:
                self._steps.append(step)
                self._values.append(value)
        self.seen += 1

    def columns(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Steps and values, of the same length."""
        steps, values = tuple(self._steps), tuple(self._values)
        if self.seen == 0 or (self.seen - 1) % self._stride == 0:
            return steps, values
        return (*steps, self._newest[0]), (*values, self._newest[1])
