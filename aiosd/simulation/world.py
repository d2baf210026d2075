"""The daemon's scheduling code on a heap of virtual time: jobs arrive, the policy plans over the pool, runs end."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush

from aiosd.ids import JobId
from aiosd.resources.grant import Grant
from aiosd.resources.inventory import Cpu, Device, Inventory
from aiosd.resources.pool import Pool
from aiosd.resources.request import DeviceRequest, Request
from aiosd.scheduling.fairshare import UsageLedger, dominant_share
from aiosd.scheduling.policy import ClassKey, Snapshot
from aiosd.scheduling.registry import POLICIES
from aiosd.simulation.records import ONE, Machine, TraceJob
from aiosd.simulation.setup import Setup

ENDLESS_BYTES = 1 << 62
PROGRESS_STEPS = 200

Progress = Callable[[int], None]


def simulate(jobs: Sequence[TraceJob], machine: Machine, setup: Setup, progress: Progress = lambda done: None) -> list[float]:
    """When each job starts, in the order of `jobs`, which is that of their submission. Every one fits the machine."""
    return World(jobs, machine, setup).run(progress)


@dataclass(slots=True)
class Lane:
    """Implements scheduling's JobClass: jobs that a policy cannot tell apart but by age."""

    key: ClassKey
    jobs: Sequence[TraceJob]
    waiting: deque[int] = field(default_factory=deque)

    def __iter__(self) -> Iterator[JobId]:
        return (JobId(number) for number in self.waiting)

    @property
    def count(self) -> int:
        return len(self.waiting)

    @property
    def oldest(self) -> JobId:
        return JobId(self.waiting[0])

    @property
    def eligible_at_s(self) -> float:
        return self.jobs[self.waiting[0]].submit_s


class World:
    """`starts_s` fills as jobs start."""

    def __init__(self, jobs: Sequence[TraceJob], machine: Machine, setup: Setup) -> None:
        self._jobs = jobs
        self._setup = setup
        self._pool = Pool(inventory_of(machine))
        self._requests: dict[tuple[int, int, int], Request] = {}
        self._lanes: dict[ClassKey, Lane] = {}
        self._ledger = UsageLedger()
        self._running: dict[int, Grant] = {}
        self._ends: list[tuple[float, int, int]] = []  # when, in the order of the starts, who
        self._started = 0
        self.starts_s = [0.0] * len(jobs)

    def run(self, progress: Progress) -> list[float]:
        """Until the last has started."""
        step = max(1, len(self._jobs) // PROGRESS_STEPS)
        told, arrived = 0, 0
        while self._started < len(self._jobs):
            now_s = self._next_s(arrived)
            while self._ends and self._ends[0][0] == now_s:
                self._end(heappop(self._ends)[2], now_s)
            while arrived < len(self._jobs) and self._jobs[arrived].submit_s == now_s:
                self._arrive(arrived)
                arrived += 1
            self._pass(now_s)
            if self._started - told >= step:
                told = self._started
                progress(told)
        return self.starts_s

    def _next_s(self, arrived: int) -> float:
        times = [self._ends[0][0]] if self._ends else []
        times += [self._jobs[arrived].submit_s] if arrived < len(self._jobs) else []
        return min(times)

    def _arrive(self, number: int) -> None:
        key = self._key(self._jobs[number])
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = Lane(key, self._jobs)
        lane.waiting.append(number)

    def _key(self, job: TraceJob) -> ClassKey:
        shape = (job.cpu_millis, job.memory_bytes, job.gpu_millis)
        request = self._requests.get(shape)
        if request is None:
            request = self._requests[shape] = request_of(job)
        lasts_s = job.run_s if self._setup.estimate_actual else job.limit_s
        return ClassKey(job.queue, job.user, job.account, job.priority, request, lasts_s)

    def _pass(self, now_s: float) -> None:
        if not self._lanes:
            return
        with self._pool.trial() as pool:
            world = Snapshot(now_s, list(self._lanes.values()), pool, usage=self._ledger.usage(now_s), shares=self._setup.shares, max_starts=1 << 30)
            plan = POLICIES[self._setup.policy].policy(world)
        for start in plan.starts:
            self._start(start.job_id.number, start.grant, now_s)

    def _start(self, number: int, grant: Grant, now_s: float) -> None:
        job = self._jobs[number]
        self._pool.adopt(grant)
        self._running[number] = grant
        self._ledger.begin(job.user, dominant_share(grant, self._pool.inventory), now_s)
        self.starts_s[number] = now_s
        self._started += 1
        heappush(self._ends, (now_s + job.run_s, self._started, number))
        key = self._key(job)
        lane = self._lanes[key]
        lane.waiting.remove(number)
        if not lane.waiting:
            del self._lanes[key]

    def _end(self, number: int, now_s: float) -> None:
        grant = self._running.pop(number)
        self._pool.give_back(grant)
        self._ledger.finish(self._jobs[number].user, dominant_share(grant, self._pool.inventory), self.starts_s[number], now_s)


def request_of(job: TraceJob) -> Request:
    """Nothing runs without some processor: a job of which only GPUs are known gets a thousandth of one."""
    devices = (DeviceRequest("gpu", job.gpu_millis),) if job.gpu_millis else ()
    return Request(max(1, job.cpu_millis), job.memory_bytes, devices)


def inventory_of(machine: Machine) -> Inventory:
    cpus = -(-machine.cpu_millis // ONE) or max(1, machine.gpus)
    devices = tuple(Device(f"gpu-{at}", "gpu", at) for at in range(machine.gpus))
    memory_bytes = machine.memory_bytes or ENDLESS_BYTES
    return Inventory("simulated", tuple(Cpu(at, at, 0, 0) for at in range(cpus)), memory_bytes, memory_bytes, devices=devices)
