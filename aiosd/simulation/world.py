"""The daemon's scheduling code on a heap of virtual time: jobs arrive, the policy plans over the pool, runs end."""

from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush
from math import inf

from aiosd.errors import InvalidArgument
from aiosd.ids import JobId
from aiosd.resources.grant import Grant
from aiosd.resources.request import DeviceRequest, Request
from aiosd.scheduling.fairshare import Association, UsageLedger, dominant_share
from aiosd.scheduling.lanes import Lanes
from aiosd.scheduling.policy import Basis, ClassKey, HeldRun, Lane, Snapshot, no_estimate
from aiosd.scheduling.registry import POLICIES
from aiosd.scheduling.rules import Backfill
from aiosd.simulation import kernel
from aiosd.simulation.counting import CountingPool
from aiosd.simulation.learning import Learning
from aiosd.simulation.records import Machine, TraceJob
from aiosd.simulation.setup import RunTimes, Setup

PROGRESS_STEPS = 200

Progress = Callable[[int], None]


def simulate(jobs: Sequence[TraceJob], machine: Machine, setup: Setup, progress: Progress = lambda done: None) -> list[float]:
    """When each job starts, in the order of `jobs`, which is that of their submission. The machine can hold each of them."""
    if kernel.applies(jobs, machine, setup):
        return kernel.Kernel(jobs, machine, setup).run(progress)
    return World(jobs, machine, setup).run(progress)


@dataclass(slots=True)
class WaitingClass:
    """Implements scheduling's JobClass."""

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

    def since_s(self, job_id: JobId) -> float:
        return self.jobs[job_id.number].submit_s


class World:
    """Nothing is preempted here, and nothing reserved by operators: what a plan evicts goes on."""

    def __init__(self, jobs: Sequence[TraceJob], machine: Machine, setup: Setup) -> None:
        self._jobs = jobs
        self._machine = machine
        self._setup = setup
        self._policy = POLICIES[setup.policy]
        self._length_matters = setup.rules.backfill is not Backfill.OFF  # else jobs that differ in nothing more are one class
        self._pool = CountingPool(machine)
        self._requests: dict[tuple[int, int, int], Request] = {}
        self._shares: dict[Request, float] = {}
        self._classes: dict[ClassKey, WaitingClass] = {}
        self._waiting: Counter[Request] = Counter()
        self._learning = Learning() if setup.estimate is RunTimes.PREDICTED else None
        self._estimate = self._learning.estimate if self._learning is not None else no_estimate
        self._lanes = Lanes(self._policy.within(Basis(setup.rules, setup.queues, self._pool.inventory, self._estimate)), setup.rules)
        self._ledger = UsageLedger()
        self._runs: dict[int, HeldRun] = {}
        self._active: Counter[str] = Counter()  # by queue
        self._ends: list[tuple[float, int, int]] = []  # when, in the order of the starts, who
        self._arrived = self._started = 0
        self.starts_s = [0.0] * len(jobs)

    def run(self, progress: Progress) -> list[float]:
        """Until the last has started. Raises InvalidArgument when some never do."""
        instant = self._each_event if self._setup.events else self._at_once
        step = max(1, len(self._jobs) // PROGRESS_STEPS)
        told = 0
        while self._started < len(self._jobs):
            now_s = self._next_s()
            if now_s == inf:
                raise self._stuck()
            instant(now_s)
            if self._started - told >= step:
                told = self._started
                progress(told)
        return self.starts_s

    def _next_s(self) -> float:
        end_s = self._ends[0][0] if self._ends else inf
        return min(end_s, self._jobs[self._arrived].submit_s) if self._arrived < len(self._jobs) else end_s

    def _stuck(self) -> InvalidArgument:
        waiting = next(iter(self._classes.values()))
        return InvalidArgument(
            f"{len(self._jobs) - self._started} jobs never start under policy {self._setup.policy}, the first of them in queue {waiting.key.queue!r}",
            hint="a limit of its queue or QoS is less than it asks for: simulate with other limits, or without such jobs",
            queue=waiting.key.queue,
        )

    # Within an instant

    def _at_once(self, now_s: float) -> None:
        """As the daemon does it: all that happened, then one pass."""
        while self._ends and self._ends[0][0] <= now_s:
            self._end(heappop(self._ends)[2], now_s)
        while self._arrived < len(self._jobs) and self._jobs[self._arrived].submit_s <= now_s:
            self._arrive()
        self._pass(now_s)

    def _each_event(self, now_s: float) -> None:
        """As published simulators do it; see Setup."""
        ending = []
        while self._ends and self._ends[0][0] <= now_s:
            ending.append(heappop(self._ends)[2])
        for number in ending:
            if self._runs[number].expected_end_s <= now_s:
                self._end(number, now_s)
        while self._arrived < len(self._jobs) and self._jobs[self._arrived].submit_s <= now_s:
            if self._pool.shortage(self._arrive().request) is None:
                self._pass(now_s)
        for number in ending:
            if number in self._runs:
                self._end(number, now_s)
            self._pass(now_s)

    def _arrive(self) -> ClassKey:
        number = self._arrived
        self._arrived += 1
        key = self._key(self._jobs[number])
        found = self._classes.get(key)
        if found is None:
            found = self._classes[key] = WaitingClass(key, self._jobs)
        found.waiting.append(number)
        self._waiting[key.request] += 1
        self._lanes.changed(found)
        return key

    def _key(self, job: TraceJob) -> ClassKey:
        shape = (job.cpu_millis, job.memory_bytes, job.gpu_millis)
        request = self._requests.get(shape)
        if request is None:
            request = self._requests[shape] = request_of(job, self._machine)
        lasts_s = self._lasts_s(job) if self._length_matters else 0.0
        return ClassKey(job.queue, job.user, job.account, job.priority, request, lasts_s, job.qos, work=self._work(job))

    def _lasts_s(self, job: TraceJob) -> float:
        return job.run_s if self._setup.estimate is RunTimes.ACTUAL else job.limit_s

    def _work(self, job: TraceJob) -> str:
        """Where it decides: see jobs.history.class_work."""
        asked = self._setup.rules.predict or (self._length_matters and not job.limit_s)
        return job.work if asked and self._learning is not None else ""

    # A pass

    def _pass(self, now_s: float) -> None:
        self._expect(now_s)
        if self._setup.rules.predict:
            self._lanes.at(now_s)  # ranks rest on what was known when they were worked out
        if not self._anybody_fits():
            return
        setup = self._setup
        lanes = self._lanes.at(now_s)
        with self._pool.trial() as pool:
            world = Snapshot(
                now_s=now_s,
                lanes=lanes,
                pool=pool,
                slots={name: max(0, queue.max_running - self._active[name]) for name, queue in setup.queues.items() if queue.max_running},
                usage=self._usage(now_s, lanes),
                shares=setup.shares,
                max_starts=len(self._jobs),
                rules=setup.rules,
                queues=setup.queues,
                runs=tuple(self._runs.values()),
                estimate=self._estimate,
            )
            plan = self._policy.policy(world)
        for start in plan.starts:
            self._start(start.job_id, start.grant, now_s)

    def _usage(self, now_s: float, lanes: Sequence[Lane]) -> Mapping[Association, float]:
        """Of those who matter: to fifo nobody; to fair, where there are no accounts to add it up in, who has jobs that wait."""
        if self._setup.policy == "fifo":
            return {}
        waiting = self._setup.policy == "fair" and not self._setup.rules.accounts
        return self._ledger.usage(now_s, {Association(lane.key.account, lane.key.user) for lane in lanes} if waiting else None)

    def _expect(self, now_s: float) -> None:
        """When the runs will end that have begun since the last pass, or have outlived what was expected of them."""
        learning = self._learning
        for number in learning.due(now_s) if learning is not None else ():
            run = self._runs.get(number)
            if learning is not None and run is not None and (not run.key.lasts_s or self._setup.rules.predict):  # else the limit counts
                end_s = learning.expected_end_s(number, run.key, run.begun_s, run.latest_end_s, now_s)
                self._runs[number] = replace(run, expected_end_s=end_s)

    def _anybody_fits(self) -> bool:
        """Where nobody's request would be granted on its own, no policy can start anybody: a pass only takes."""
        return any(self._pool.shortage(request) is None for request in self._waiting)

    def _start(self, job_id: JobId, grant: Grant, now_s: float) -> None:
        number, job = job_id.number, self._jobs[job_id.number]
        key, lasts_s = self._key(job), self._lasts_s(job)
        ends_s = now_s + lasts_s if lasts_s else inf
        self._pool.adopt(grant)
        self._runs[number] = HeldRun(job_id, key, grant, now_s, ends_s, ends_s)
        if self._learning is not None:
            self._learning.begun(number, job, key.request, now_s)
        self._ledger.begin(Association(job.account, job.user), self._share(key), now_s)
        self._active[job.queue] += 1
        self.starts_s[number] = now_s
        self._started += 1
        heappush(self._ends, (now_s + job.run_s, self._started, number))
        self._leave(key, number)

    def _leave(self, key: ClassKey, number: int) -> None:
        found = self._classes[key]
        found.waiting.remove(number)
        self._waiting[key.request] -= 1
        if not self._waiting[key.request]:
            del self._waiting[key.request]
        self._lanes.changed(found)
        if not found.waiting:
            del self._classes[key]

    def _end(self, number: int, now_s: float) -> None:
        run = self._runs.pop(number)
        self._pool.give_back(run.grant)
        self._active[run.key.queue] -= 1
        if self._learning is not None:
            self._learning.ended(number, self._jobs[number], run.key.request)
        self._ledger.finish(Association(run.key.account, run.key.user), self._share(run.key), run.begun_s, now_s)

    def _share(self, key: ClassKey) -> float:
        """What a run is billed a second."""
        found = self._shares.get(key.request)
        if found is None:
            found = self._shares[key.request] = dominant_share(key.request, self._pool.inventory)
        qos = self._setup.rules.qos.get(key.qos)
        return found * qos.usage_factor if qos is not None else found


def request_of(job: TraceJob, machine: Machine) -> Request:
    """Nothing runs without some processor: a job of which only GPUs are known gets a thousandth of one. Of GPUs without end none is asked for."""
    devices = (DeviceRequest("gpu", job.gpu_millis),) if job.gpu_millis and machine.gpus else ()
    return Request(max(1, job.cpu_millis), job.memory_bytes, devices)
