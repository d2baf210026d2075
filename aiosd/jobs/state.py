"""What the engine knows: every live job, and the indexes that keep a turn's cost independent of how many wait."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf

from aiosd.clock import Instant
from aiosd.errors import NotFound
from aiosd.ids import JobId
from aiosd.jobs.actions import Action, Amended, End, Forget, Save, Withdraw
from aiosd.jobs.backlog import Backlog, Entry
from aiosd.jobs.chosen import Chosen, in_force
from aiosd.jobs.history import History, class_work
from aiosd.jobs.holders import Seen
from aiosd.jobs.holdings import Holdings
from aiosd.jobs.job import Job, JobSpec, Phase
from aiosd.jobs.lines import Staging
from aiosd.jobs.ports import Submission
from aiosd.jobs.settings import JobsSettings
from aiosd.jobs.timers import Due, Timers
from aiosd.jobs.waited import Waited
from aiosd.resources.pool import Pool
from aiosd.scheduling.fairshare import Association, UsageLedger
from aiosd.scheduling.policy import Basis, ClassKey, Estimate, Planned, Promise, Wait
from aiosd.scheduling.registry import POLICIES
from aiosd.scheduling.reservations import Reservation
from aiosd.scheduling.rules import Backfill, QueueSettings, SchedulingRules
from aiosd.scheduling.validator import Fault

MOST_RECENT = 10_000
NOT_BEGUN = (Phase.HELD, Phase.WAITING, Phase.QUEUED)
STAND_IN = "fifo"  # for a policy that fails
JITTER_S = 1.0  # by which a wall clock may go back, or out of step with the steady one, and nobody need be told
RELAUNCH_PAUSE_S = 1.0  # before a launch that failed for want of something is tried again
ALWAYS_LIVE = (Phase.QUEUED, Phase.RUNNING)  # phases in which an array's pending elements may start


@dataclass(slots=True)
class State:
    settings: JobsSettings
    pool: Pool
    queues: dict[str, QueueSettings]
    policy: str
    ledger: UsageLedger
    boot_id: str = ""
    drain_reason: str | None = None  # None: not drained
    next_number: int = 1
    revision: int = 0
    jobs: dict[JobId, Job] = field(default_factory=dict)
    names: dict[str, set[JobId]] = field(default_factory=lambda: defaultdict(set))
    elements: dict[int, set[JobId]] = field(default_factory=lambda: defaultdict(set))  # live ones, by array
    dependents: dict[int, dict[JobId, set[JobId]]] = field(default_factory=dict)  # who waits: by number, then by what exactly
    shares: dict[JobId, float] = field(default_factory=dict)  # of the machine, as charged to the users of runs that hold a grant
    charged: dict[JobId, Association] = field(default_factory=dict)  # who pays for each of them
    phases: Counter[Phase] = field(default_factory=Counter)  # pending elements one by one; arrays' own records left out
    active_in: Counter[str] = field(default_factory=Counter)  # runs that hold a grant, by queue
    recent: dict[JobId, Phase] = field(default_factory=dict)  # the latest that ended, for those who depend on them
    submissions: dict[tuple[int, str], Submission] = field(default_factory=dict)
    backlog: Backlog = field(default_factory=Backlog)
    timers: Timers = field(default_factory=Timers)
    staging: Staging = field(default_factory=Staging)
    reservations: dict[int, Reservation] = field(default_factory=dict)
    next_reservation: int = 1
    reserved_devices: Mapping[int, Sequence[str]] = field(default_factory=dict)  # of the reservations in force, as of the last pass
    holdings: Holdings = field(default_factory=Holdings)
    promises: dict[JobId, Promise] = field(default_factory=dict)  # to those for whom others make room
    unkept: dict[JobId, float] = field(default_factory=dict)  # promises that came to nothing, and until when they are not made again; steady
    preempt_check_at_s: float | None = None  # steady; when a run that could not be preempted can
    order_check_at_s: float | None = None  # steady; what the last pass started may have let others go first
    seen: dict[JobId, Seen] = field(default_factory=dict)  # runs, as of the last pass that asked for them
    waits: Mapping[ClassKey, Wait] = field(default_factory=dict)
    planned: Mapping[JobId, Planned] = field(default_factory=dict)  # starts that backfill expects, as of the last pass
    history: History = field(default_factory=History)
    held_back: str = ""  # why nothing new may start though there is room; "": it may
    held_back_since_s: float = 0.0  # steady
    passes: int = 0
    starts: int = 0
    waited: Waited = field(default_factory=Waited)
    fault: Fault | None = None  # of the chosen policy, since it was last followed
    standing_in: bool = False  # fifo decides in its place
    chosen: Chosen = field(default_factory=Chosen)
    configured: SchedulingRules = field(init=False)  # the rules without what was chosen
    wall_s: float = inf  # as of the last event
    wall_less_steady_s: float = inf  # as of the last jump of the wall clock
    actions: list[Action] = field(default_factory=list)
    dirty: bool = True  # something changed that could let a job start

    def __post_init__(self) -> None:
        self.configured = self.settings.scheduling
        self.set_policy(self.policy)

    def set_policy(self, name: str) -> None:
        """Order what waits by it from now on; whatever it did wrong before, it is tried."""
        self.policy, self.fault, self.standing_in = name, None, False
        self.reorder()

    def reorder(self) -> None:
        """What decides about the order has changed: rules, queues, the machine, or who decides."""
        rules = self.settings.scheduling
        self.backlog.order_by(POLICIES[self.policy_in_force].within(Basis(rules, self.queues, self.pool.inventory, self.estimate)), rules)
        self.dirty = True

    def stand_in(self, standing_in: bool) -> None:
        """Whether fifo decides in the place of the chosen policy."""
        self.standing_in = standing_in
        self.reorder()

    @property
    def policy_in_force(self) -> str:
        """Which one decides now."""
        return STAND_IN if self.standing_in else self.policy

    @property
    def policy_fault(self) -> str:
        """What the chosen policy did, while fifo stands in for it; else ""."""
        return f"policy {self.fault.policy} failed: {self.fault.what}; {STAND_IN} without backfill stands in" if self.fault is not None else ""

    def use(self, settings: JobsSettings) -> None:
        """Take over what an operator has changed in the configuration."""
        self.configured = settings.scheduling
        settings = replace(settings, scheduling=in_force(settings.scheduling, self.chosen))
        before, self.settings = self.settings, settings
        if settings.scheduling != before.scheduling:
            self.set_policy(self.policy)
            self.requeue_all()  # what tells the classes apart may have changed, too

    def choose(self, chosen: Chosen) -> None:
        """Set rules that go before those of the configuration."""
        self.chosen = chosen
        self.use(replace(self.settings, scheduling=self.configured))

    def estimate(self, key: ClassKey) -> Estimate | None:
        """How long jobs of this class will run, by what is known of earlier ones."""
        return self.history.estimate(key)

    def saw(self, now: Instant) -> bool:
        """Whether the wall clock has jumped: reservations, begin times and what users have left of a day are nearer then, or further off.

        Where it has gone back, or a daemon begins with jobs from a time that is yet to come, nobody waits since then.
        """
        if now.wall_s < self.wall_s - JITTER_S:
            self.backlog.wait_since(now.wall_s)
        self.wall_s = now.wall_s
        offset_s = now.wall_s - now.steady_s
        jumped = not abs(offset_s - self.wall_less_steady_s) <= JITTER_S
        if jumped:
            self.wall_less_steady_s = offset_s
            self.dirty = True
        return jumped

    def latest(self, job: Job) -> Job:
        """`job` as this turn has left it so far, be it ended."""
        live = self.jobs.get(job.id)
        return live or next((a.job for a in reversed(self.actions) if isinstance(a, End) and a.job.id == job.id), job)

    def job(self, job_id: JobId) -> Job:
        """A live job; an element that has no record yet is made from its array. Raises NotFound."""
        found = self.jobs.get(job_id)
        if found is not None:
            return found
        array = self.jobs.get(job_id.whole) if job_id.is_element else None
        if array is not None and array.array is not None and job_id.index in array.array.pending:
            return pending_element(array, job_id.index)
        raise NotFound(f"there is no live job {job_id}", hint="see `aiosctl ps -a`", job=job_id)

    def put(self, job: Job, *, lazy: bool = False) -> Job:
        """Insert or replace a live job: indexes follow, a Save goes out. The one way in."""
        self.revision += 1
        job = replace(job, revision=self.revision)
        old = self.jobs.get(job.id)
        self._unindex(old)
        self.jobs[job.id] = job
        self._index(job)
        self.actions.append(Save(job, lazy, old is None or old.phase is not job.phase or old.attempt != job.attempt))
        return job

    def adopt(self, job: Job) -> None:
        """A job as it was loaded: indexed, not saved again."""
        self.jobs[job.id] = job
        self._index(job)

    def end(self, job: Job) -> Job:
        """Take an ended job out: indexes follow, an End goes out. The one way out."""
        self.revision += 1
        job = replace(job, revision=self.revision, stop=None, unmet=())
        self._unindex(self.jobs.pop(job.id, None))
        if job.id.is_element:
            self.elements[job.id.number].discard(job.id)
        else:
            self.elements.pop(job.id.number, None)
        self.recent[job.id] = job.phase
        self.waited.calibration.forget(job.id)
        if len(self.recent) > MOST_RECENT:
            del self.recent[next(iter(self.recent))]
        self.actions.append(End(job))
        if job.run is not None:
            self.actions.append(Forget(job))
        return job

    def amend(self, ended: Job, reason: str) -> Job:
        """What came of a job that is out already."""
        self.revision += 1
        outcome = replace(ended.outcome, reason=reason) if ended.outcome is not None else None
        job = replace(ended, reason=reason, outcome=outcome, revision=self.revision)
        self.actions.append(Amended(job))
        return job

    def withdraw(self, element: Job) -> None:
        """Drop the record of an element that never ran; its array has it among its pending ones from here on."""
        self.revision += 1
        self._unindex(self.jobs.pop(element.id))
        self.elements[element.id.number].discard(element.id)
        self.actions.append(Withdraw(replace(element, revision=self.revision)))

    def take_actions(self) -> list[Action]:
        taken, self.actions = self.actions, []
        return taken

    def class_key(self, job: Job) -> ClassKey:
        spec = job.spec
        matters = bool(self.reservations) or self.settings.scheduling.backfill is not Backfill.OFF
        lasts_s = spec.time_limit_s + spec.grace_s if matters and spec.time_limit_s else 0.0
        account = self.account_of(spec)
        work = class_work(self, spec)
        return ClassKey(spec.queue, job.owner.name, account, spec.priority, job.request, lasts_s, spec.qos, spec.nice, work, spec.preemptible)

    def account_of(self, spec: JobSpec) -> str:
        """The account that it is charged to; "": none."""
        return spec.account if spec.account in self.settings.scheduling.accounts else ""

    def requeue_all(self) -> None:
        """What tells the classes apart has changed, of those that run, too."""
        self.seen.clear()
        for job_id in list(self.backlog.where):
            self._queue(self.jobs[job_id])

    def _index(self, job: Job) -> None:
        if job.id.is_element:
            self.elements[job.id.number].add(job.id)
        else:
            self.names[job.spec.name].add(job.id)
        for dependency in job.unmet:
            self.dependents.setdefault(dependency.job_id.number, {}).setdefault(dependency.job_id, set()).add(job.id)
        self._count(job, +1)
        self._queue(job)

    def _unindex(self, job: Job | None) -> None:
        if job is None:
            return
        if not job.id.is_element:
            self.names[job.spec.name].discard(job.id)
            if not self.names[job.spec.name]:
                del self.names[job.spec.name]
        for dependency in job.unmet:
            self._unlink(dependency.job_id, job.id)
        self._count(job, -1)
        if self.backlog.drop(job.id):
            self.dirty = True  # it may have been in the way of others

    def _count(self, job: Job, sign: int) -> None:
        if not job.id.is_element:
            self.holdings.live[job.owner.name] += sign
        if job.array is not None:
            pending = sign * len(job.array.pending)
            self.phases[_pending_phase(job)] += pending
            self.holdings.queued[job.owner.name] += pending
            self.holdings.queued_in[job.spec.queue] += pending
        else:
            self.phases[job.phase] += sign
            self.holdings.queued[job.owner.name] += sign * (job.phase in NOT_BEGUN)
            self.holdings.queued_in[job.spec.queue] += sign * (job.phase in NOT_BEGUN)
            self.active_in[job.spec.queue] += sign * job.phase.active

    def _unlink(self, target: JobId, waiting: JobId) -> None:
        of_number = self.dependents[target.number]
        of_number[target].discard(waiting)
        if not of_number[target]:
            del of_number[target]
        if not of_number:
            del self.dependents[target.number]

    def _queue(self, job: Job) -> None:
        entry = _entry(job, self.wall_s)
        if entry is not None:
            self.backlog.put(job.id, self.class_key(job), entry)
            self.dirty = True

    def arm(self, job: Job, now: Instant) -> None:
        """Set the alarms that a live job's phase calls for; stale ones are ignored when they fire."""
        spec, timers = job.spec, self.timers
        if job.phase is Phase.WAITING and spec.begin_at_s > now.wall_s:
            timers.at_wall(spec.begin_at_s, job.id, job.attempt, Due.ELIGIBLE)
        if job.phase is Phase.WAITING and job.not_before_s:  # a pause is short: where the wall clock has jumped it counts all the same
            pause_s = min(max(0.0, job.not_before_s - now.wall_s), max(spec.retry.backoff_max_s, RELAUNCH_PAUSE_S))
            timers.at_steady(now.steady_s + pause_s, job.id, job.attempt, Due.PAUSE)
        if spec.deadline_at_s and not job.id.is_element and job.attempt == 0:
            timers.at_wall(spec.deadline_at_s, job.id, 0, Due.DEADLINE)
        if job.phase is Phase.RUNNING and spec.time_limit_s and job.run is not None:
            timers.at_steady(job.run.started_steady_s + job.run.suspended_total_s + spec.time_limit_s, job.id, job.attempt, Due.TIME_LIMIT)
        if job.stop is not None and not job.stop.killed:
            timers.at_steady(job.stop.kill_at_steady_s, job.id, job.attempt, Due.KILL)


def _entry(job: Job, wall_s: float) -> Entry | None:
    since_s = min(job.eligible_at_s, wall_s)
    if job.array is None:
        return Entry(1, since_s) if job.phase is Phase.QUEUED else None
    if job.phase not in ALWAYS_LIVE:
        return None
    count = len(job.array.pending)
    limit = job.spec.array.limit if job.spec.array is not None else 0
    if limit:
        count = min(count, limit - job.array.active)
    return Entry(count, since_s, job.array.pending) if count > 0 else None


def pending_element(array: Job, index: int) -> Job:
    """The record that an element would have, had it one: it is where its array is."""
    return replace(array, id=JobId(array.id.number, index), phase=_pending_phase(array), array=None)


def _pending_phase(array: Job) -> Phase:
    return Phase.QUEUED if array.phase in ALWAYS_LIVE else array.phase
