"""Rules of published simulators, written from their descriptions: what the product is held to, and what it would not do itself.

Jobs are (submitted, runs, processors, estimate) in the order of their submission; every function answers with starts or ends by number.
"""

import heapq
from bisect import insort
from collections.abc import Sequence
from itertools import count
from math import inf

Plain = tuple[float, float, int, float]


def easy(jobs: Sequence[Plain], capacity: int, *, shortest: bool = False, events: bool = False) -> list[float]:
    """EASY as predictsim (Gaussier et al., SC'15) has it. `events`: submissions first, each with a pass if it fits; then ends, each with one."""
    coming: list[tuple[float, int, int, int]] = [(job[0], 0, number, number) for number, job in enumerate(jobs)]
    heapq.heapify(coming)
    queue: list[int] = []
    running: list[tuple[float, int]] = []
    starts, started = [0.0] * len(jobs), count()

    def free(now: float) -> int:
        return capacity - sum(jobs[number][2] for end, number in running if end > now)

    def start(number: int, now: float) -> None:
        starts[number] = now
        insort(running, (now + jobs[number][3], number))
        heapq.heappush(coming, (now + jobs[number][1], 1, next(started), number))

    def schedule(now: float) -> None:
        while queue and jobs[queue[0]][2] <= free(now):
            start(queue.pop(0), now)
        if not queue:
            return
        room, shadow = free(now), now
        for end, number in [run for run in running if run[0] > now]:
            if room >= jobs[queue[0]][2] and end > shadow:
                break
            room, shadow = room + jobs[number][2], end
        spare = room - jobs[queue[0]][2]
        behind = queue[1:]
        for number in sorted(behind, key=lambda n: jobs[n][3]) if shortest else behind:
            needed, early = jobs[number][2], now + jobs[number][3] <= shadow
            if needed <= free(now) and (early or needed <= spare):
                spare -= 0 if early else needed
                queue.remove(number)
                start(number, now)

    while coming:
        now = coming[0][0]
        while coming and coming[0][0] == now:
            _, kind, _, number = heapq.heappop(coming)
            if kind == 0:
                queue.append(number)
            else:
                running.remove((starts[number] + jobs[number][3], number))
            if events and (kind == 1 or jobs[number][2] <= free(now)):
                schedule(now)
        if not events:
            schedule(now)
    return starts


class RlWorld:
    """The simulator of RLScheduler (Zhang et al., SC'20): one job is chosen, and nothing overtakes it but, with `backfill`, who ends before it may start."""

    def __init__(self, jobs: Sequence[Plain], capacity: int, *, shortest: bool, backfill: bool) -> None:
        self.jobs, self.free, self.shortest, self.backfill = jobs, capacity, shortest, backfill
        self.now, self.arrived = jobs[0][0], 0
        self.queue: list[int] = []
        self.running: list[tuple[float, int]] = []
        self.starts = [0.0] * len(jobs)

    def run(self) -> list[float]:
        done = 0
        while done < len(self.jobs):
            while not self.queue:
                self._advance()
            chosen = min(self.queue, key=lambda n: (self.jobs[n][3], n)) if self.shortest else self.queue[0]
            begins = self._begins(chosen)
            while self.jobs[chosen][2] > self.free:
                done += self._fill(chosen, begins) if self.backfill else 0
                self._advance()
            self._start(chosen)
            done += 1
        return self.starts

    def _begins(self, chosen: int) -> float:
        """Estimated once."""
        free = self.free
        for end, number in sorted(self.running):
            free += self.jobs[number][2]
            if free >= self.jobs[chosen][2]:
                return end
        return inf

    def _fill(self, chosen: int, begins: float) -> int:
        fits = 0
        for number in list(self.queue):
            if number != chosen and self.jobs[number][2] <= self.free and self.now + self.jobs[number][3] < begins:
                self._start(number)
                fits += 1
        return fits

    def _start(self, number: int) -> None:
        self.queue.remove(number)
        self.free -= self.jobs[number][2]
        self.starts[number] = self.now
        heapq.heappush(self.running, (self.now + self.jobs[number][1], number))

    def _advance(self) -> None:
        """To the next arrival or end, and no further: an arrival first."""
        arrival = self.jobs[self.arrived][0] if self.arrived < len(self.jobs) else inf
        if arrival <= (self.running[0][0] if self.running else inf):
            self.now = max(self.now, arrival)
            self.queue.append(self.arrived)
            self.arrived += 1
        else:
            end, number = heapq.heappop(self.running)
            self.now = max(self.now, end)
            self.free += self.jobs[number][2]


def shortest_remaining(jobs: Sequence[Plain], capacity: int, *, by_service: bool) -> list[float]:
    """Preemptive, without loss: the shortest remaining time (or GPU time) first, at every event anew, whoever fits. The ends."""
    left = [job[1] for job in jobs]
    ends = [0.0] * len(jobs)
    alive: list[int] = []
    running: list[int] = []
    now, arrived = 0.0, 0
    while arrived < len(jobs) or alive:
        arrival = jobs[arrived][0] if arrived < len(jobs) else inf
        at = min(arrival, min((now + left[n] for n in running), default=inf))
        for number in running:
            left[number] -= at - now
        now = at
        for number in [n for n in running if left[n] <= 1e-6]:
            ends[number] = now
            alive.remove(number)
        while arrived < len(jobs) and jobs[arrived][0] <= now:
            alive.append(arrived)
            arrived += 1
        alive.sort(key=lambda n: left[n] * (jobs[n][2] if by_service else 1))
        free, running = capacity, []
        for number in alive:
            if jobs[number][2] <= free:
                free -= jobs[number][2]
                running.append(number)
    return ends
