"""A machine on virtual time that stops wherever somebody has to decide who goes next: what a learning policy is put before."""

from collections.abc import Sequence
from heapq import heappop, heappush
from math import inf

from aiosd.errors import InvalidArgument
from aiosd.resources.grant import Grant
from aiosd.resources.request import Request
from aiosd.simulation.counting import CountingPool
from aiosd.simulation.records import Machine, TraceJob
from aiosd.simulation.world import request_of


class Stepping:
    """Time stands still while a waiting job of the first `window` fits; `start` one of them, or `wait` for what happens next.

    The pool is the daemon's own, and so is the order within an instant: all that ends, all that arrives, then decisions.
    Jobs beyond the window, by arrival, are not seen until others have started.

    raises    InvalidArgument for no jobs, or one that the machine could never run
    """

    def __init__(self, jobs: Sequence[TraceJob], machine: Machine, window: int) -> None:
        if not jobs:
            raise InvalidArgument("an episode needs at least one job")
        unfit = next((job for job in jobs if not machine.holds(job)), None)
        if unfit is not None:
            raise InvalidArgument(f"{machine.words} could never run a job of {unfit.cpu_millis / 1000:g} processors and {unfit.gpu_millis / 1000:g} GPUs")
        self.jobs = sorted(jobs, key=lambda job: job.submit_s)
        self.now_s = self.jobs[0].submit_s
        self.waiting: list[int] = []  # positions in `jobs`, oldest first
        self.starts_s: dict[int, float] = {}
        self.free = [machine.cpu_millis, machine.memory_bytes, machine.gpus * 1000]  # what a job's three amounts are taken from
        self._window = window
        self._pool = CountingPool(machine)
        shapes: dict[Request, int] = {}
        self._shapes = [shapes.setdefault(request_of(job, machine), len(shapes)) for job in self.jobs]
        self._requests = list(shapes)
        self._fitting: dict[int, bool] = {}  # by shape, as things stand
        self._possible: list[bool] | None = None  # None: it has to be looked at again
        self._runs: list[tuple[float, int, Grant]] = []
        self._arrived = 0
        self._happen()
        self._go_on()

    @property
    def is_over(self) -> bool:
        """Every job has started."""
        return len(self.starts_s) == len(self.jobs)

    @property
    def running(self) -> int:
        return len(self._runs)

    @property
    def can_wait(self) -> bool:
        """Whether anything would happen by itself."""
        return bool(self._runs) or self._arrived < len(self.jobs)

    @property
    def seen(self) -> Sequence[int]:
        """The waiting jobs among which to choose, oldest first."""
        return self.waiting[: self._window]

    @property
    def possible(self) -> Sequence[bool]:
        """For each job of `seen`, whether the machine has free what it asks for."""
        if self._possible is None:
            self._possible = [self._fits(self._shapes[number]) for number in self.seen]
        return self._possible

    def _fits(self, shape: int) -> bool:
        found = self._fitting.get(shape)
        if found is None:
            found = self._fitting[shape] = self._pool.shortage(self._requests[shape]) is None
        return found

    def start(self, number: int) -> None:
        """Raises ValueError where it does not wait among those that are seen, or does not fit."""
        if number not in self.seen:
            raise ValueError(f"job {number} does not wait among the first {self._window}")
        grant = self._pool.take(self._requests[self._shapes[number]])
        if grant is None:
            raise ValueError(f"job {number} does not fit now")
        self.waiting.remove(number)
        self.starts_s[number] = self.now_s
        heappush(self._runs, (self.now_s + self.jobs[number].run_s, number, grant))
        self._change(number, -1)
        self._go_on()

    def wait(self) -> None:
        """Until the next arrival or end. Raises ValueError where nothing would ever happen."""
        self._advance()
        self._go_on()

    def _go_on(self) -> None:
        """To the next decision, or the end."""
        while not self.is_over and not any(self.possible):
            self._advance()

    def _advance(self) -> None:
        if not self.can_wait:
            raise ValueError("nothing runs and nobody arrives: there is nothing to wait for")
        end_s = self._runs[0][0] if self._runs else inf
        self.now_s = min(end_s, self.jobs[self._arrived].submit_s) if self._arrived < len(self.jobs) else end_s
        self._happen()

    def _happen(self) -> None:
        """All that happens at this instant."""
        while self._runs and self._runs[0][0] <= self.now_s:
            _, number, grant = heappop(self._runs)
            self._pool.give_back(grant)
            self._change(number, +1)
        while self._arrived < len(self.jobs) and self.jobs[self._arrived].submit_s <= self.now_s:
            self.waiting.append(self._arrived)
            self._arrived += 1
        self._possible = None

    def _change(self, number: int, sign: int) -> None:
        job = self.jobs[number]
        for at, amount in enumerate((job.cpu_millis, job.memory_bytes, job.gpu_millis)):
            self.free[at] += sign * amount
        self._fitting.clear()
        self._possible = None
