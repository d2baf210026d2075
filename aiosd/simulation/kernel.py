"""Strict arrival order with and without EASY backfill on a machine of one resource, in plain numbers: the common case, made fast.

It decides as the daemon's own code does (`world.py`); a test holds both to the same starts. Source of EASY: Mu'alem and Feitelson,
"Utilization, predictability, workloads, and user runtime estimates in scheduling the IBM SP2 with backfilling", IEEE TPDS 12(6), 2001.
"""

from bisect import bisect_left, insort
from collections.abc import Callable, Sequence
from heapq import heapify, heappop, heappush
from itertools import islice
from math import inf, nextafter

from aiosd.scheduling.rules import Backfill, BackfillOrder, QueueSettings
from aiosd.simulation.records import ONE, Machine, TraceJob
from aiosd.simulation.setup import RunTimes, Setup

PROGRESS_STEPS = 200
_SUBMITTED, _ENDED = 0, 1


def applies(jobs: Sequence[TraceJob], machine: Machine, setup: Setup) -> bool:
    """Whether nothing but the number of processors, or of whole GPUs, decides."""
    if setup.policy != "fifo" or setup.rules.backfill is Backfill.CONSERVATIVE or setup.rules.predict:
        return False
    if machine.memory_bytes or bool(machine.cpu_millis) == bool(machine.gpus) or any(job.qos for job in jobs):
        return False
    names = {job.queue for job in jobs}
    if len(names) > 1 or any(setup.queues.get(name, QueueSettings(name)) != QueueSettings(name) for name in names):
        return False
    if machine.gpus and any(job.gpu_millis % ONE for job in jobs):
        return False
    if setup.rules.backfill is Backfill.OFF:
        return True
    return setup.estimate is not RunTimes.PREDICTED and all(_lasts_s(job, setup) > 0 for job in jobs)


def _lasts_s(job: TraceJob, setup: Setup) -> float:
    return job.run_s if setup.estimate is RunTimes.ACTUAL else job.limit_s


class Kernel:
    """Jobs are numbers; what they ask for and how long they are expected to last are lists by number."""

    def __init__(self, jobs: Sequence[TraceJob], machine: Machine, setup: Setup) -> None:
        gpus = bool(machine.gpus)
        self._sizes = [job.gpu_millis if gpus else max(1, job.cpu_millis) for job in jobs]
        self._lasts_s = [_lasts_s(job, setup) or inf for job in jobs]
        self._runs_s = [job.run_s for job in jobs]
        self._free = ONE * machine.gpus if gpus else machine.cpu_millis
        self._easy = setup.rules.backfill is Backfill.EASY
        self._shortest = setup.rules.backfill_order is BackfillOrder.SHORTEST
        self._depth = setup.rules.backfill_depth
        self._events_by_one = setup.events
        self._events: list[tuple[float, int, int, int]] = [(job.submit_s, _SUBMITTED, number, number) for number, job in enumerate(jobs)]
        self._queue: list[int] = []
        self._running: list[tuple[float, int]] = []  # by expected end
        self._gone_early: set[int] = set()  # see Setup.events
        self._started = 0
        self.starts_s = [0.0] * len(jobs)

    def run(self, progress: Callable[[int], None]) -> list[float]:
        """Until the last has started."""
        heapify(self._events)
        instant = self._each_event if self._events_by_one else self._at_once
        total, told, step = len(self.starts_s), 0, max(1, len(self.starts_s) // PROGRESS_STEPS)
        while self._started < total:
            instant(self._events[0][0])
            if self._started - told >= step:
                told = self._started
                progress(told)
        return self.starts_s

    def _at_once(self, now_s: float) -> None:
        events = self._events
        while events and events[0][0] == now_s:
            _, kind, _, number = heappop(events)
            if kind == _SUBMITTED:
                self._queue.append(number)
            else:
                self._end(number)
        if self._queue:
            self._pass(now_s)

    def _each_event(self, now_s: float) -> None:
        while self._running and self._running[0][0] <= now_s:  # they are on their way out, and their ends come below
            number = self._running[0][1]
            self._end(number)
            self._gone_early.add(number)
        events = self._events
        while events and events[0][0] == now_s:
            _, kind, _, number = heappop(events)
            if kind == _SUBMITTED:
                self._queue.append(number)
                if self._sizes[number] > self._free:
                    continue
            elif number in self._gone_early:
                self._gone_early.discard(number)
            else:
                self._end(number)
            self._pass(now_s)

    def _pass(self, now_s: float) -> None:
        queue, sizes, taken = self._queue, self._sizes, 0
        while taken < len(queue) and sizes[queue[taken]] <= self._free:
            self._start(queue[taken], now_s)
            taken += 1
        if taken:
            del queue[:taken]
        if self._easy and self._free > 0 and len(queue) > 1:
            self._backfill(now_s)

    def _backfill(self, now_s: float) -> None:
        """Whoever ends before the head can start, or leaves it enough: `spare` is what is left beside the head when it does."""
        queue, sizes, lasts_s, free = self._queue, self._sizes, self._lasts_s, self._free
        candidates = [number for number in islice(queue, 1, self._depth + 1) if sizes[number] <= free]
        if not candidates:
            return
        begins_s, spare = self._reservation(now_s)
        if self._shortest:
            candidates.sort(key=lasts_s.__getitem__)
        started = set()
        for number in candidates:
            size = sizes[number]
            if size > free:
                continue
            if now_s + lasts_s[number] > begins_s:
                if size > spare:
                    continue
                spare -= size
            self._start(number, now_s)
            started.add(number)
            free -= size
            if free <= 0:
                break
        if started:
            self._queue = [number for number in queue if number not in started]

    def _reservation(self, now_s: float) -> tuple[float, int]:
        """When the head can start, as far as is known, and what is free beside it then."""
        free, needed, begins_s = self._free, self._sizes[self._queue[0]], inf
        soon_s = nextafter(now_s, inf)
        for ends_s, number in self._running:
            if free >= needed and ends_s > begins_s:
                break
            free += self._sizes[number]
            begins_s = max(ends_s, soon_s)  # what is overdue may go at any moment
        return begins_s, free - needed

    def _start(self, number: int, now_s: float) -> None:
        self._free -= self._sizes[number]
        insort(self._running, (now_s + self._lasts_s[number], number))
        self._started += 1
        heappush(self._events, (now_s + self._runs_s[number], _ENDED, self._started, number))
        self.starts_s[number] = now_s

    def _end(self, number: int) -> None:
        self._free += self._sizes[number]
        del self._running[bisect_left(self._running, (self.starts_s[number] + self._lasts_s[number], number))]
