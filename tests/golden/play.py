"""A small scenario played through the real engine under virtual time, and written down so that a reader can follow it by eye."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush

from aiosd.clock import Instant
from aiosd.ids import JobId
from aiosd.jobs.actions import Action, End, Event, Launch, PolicyFailed, PolicyRestored, Save, SetPolicy, Signal, Steer, SteerJob, Submit, UpdateJob
from aiosd.jobs.draft import JobChange, JobDraft, RequestDraft
from aiosd.jobs.engine import Engine
from aiosd.jobs.job import Exit, Job, Owner, Phase
from aiosd.jobs.ports import Launched, Loaded, RunEnded
from aiosd.jobs.settings import JobsSettings
from aiosd.resources.grant import Grant
from aiosd.resources.inventory import Inventory
from aiosd.resources.request import DeviceRequest
from tests.golden.chart import Chart
from tests.unit.jobs.world import EMPTY, GIB, machine

BEGIN = Instant(1_000_000.0, 5_000.0)
STOPS_IN_S = 2.0  # a job that is told to end does so
SIGNALS = {"TERM": 15, "KILL": 9, "USR1": 10}


@dataclass
class Play:
    """Jobs have names, and end when their time is over. What happens is in `lines`; `text` adds the charts."""

    title: str
    settings: JobsSettings = field(default_factory=JobsSettings)
    inventory: Inventory = field(default_factory=machine)
    lines: list[str] = field(default_factory=list)
    now: Instant = BEGIN
    _names: dict[JobId, str] = field(default_factory=dict)
    _lasts_s: dict[str, float] = field(default_factory=dict)
    _left_s: dict[JobId, float] = field(default_factory=dict)  # of what it has to do, when it last began or went on
    _since_s: dict[JobId, float] = field(default_factory=dict)
    _saved_s: dict[JobId, float] = field(default_factory=dict)  # of its work, in its checkpoint
    _ends: list[tuple[float, int, JobId, int, int]] = field(default_factory=list)  # at, order, job, attempt, signal
    _told: dict[str, str] = field(default_factory=dict)
    _order: int = 0

    def __post_init__(self) -> None:
        self.engine = Engine.load(Loaded((), (), {}, 1, 0), self.settings, self.inventory, "boot-1", self.now)
        self.chart = Chart(self.inventory)
        self._said_at_s = -1.0

    @property
    def t_s(self) -> float:
        """Seconds since the beginning."""
        return self.now.wall_s - BEGIN.wall_s

    def say(self, text: str) -> None:
        at = f"{self.t_s:6.0f}s  " if self._said_at_s != self.t_s else " " * 9
        self._said_at_s = self.t_s
        self.lines.append(at + text)

    # What a scenario does

    def submit(
        self,
        name: str,
        *,
        cpus: float = 1,
        gpus: float = 0,
        memory_gib: float = 1,
        lasts_s: float = 60,
        limit_s: float = 0,
        user: str = "alice",
        say: str = "",
        **fields: object,
    ) -> None:
        """`lasts_s` is what it takes, `limit_s` its time limit."""
        devices = (DeviceRequest("gpu", int(1000 * gpus)),) if gpus else ()
        request = RequestDraft(int(1000 * cpus), int(GIB * memory_gib), devices)
        draft = JobDraft(command=(name,), name=name, cwd="/", request=request, time_limit_s=limit_s, grace_s=10.0, **fields)  # type: ignore[arg-type]
        self._lasts_s[name] = lasts_s
        wish = ", ".join(
            filter(
                None,
                [
                    f"{cpus:g} cpu",
                    f"{gpus:g} gpu" if gpus else "",
                    f"{memory_gib:g} GiB" if memory_gib != 1 else "",
                    (limit_s and f"limit {limit_s:g}s") or "",
                    say,
                ],
            )
        )
        self.say(f"{user} submits {name}: {wish}")
        owner = Owner(1000 + sum(map(ord, user)), 1000, user)
        reply = self.engine.handle(Submit([draft], [EMPTY], owner), self.now)
        assert isinstance(reply, list)
        self._names[reply[0].id] = name
        self._turn()

    def do(self, event: Event, text: str) -> None:
        self.say(text)
        self.engine.handle(event, self.now)
        self._turn()

    def set_policy(self, name: str) -> None:
        self.do(SetPolicy(name), f"the policy is now {name}")

    def steer(self, what: Steer, name: str) -> None:
        self.do(SteerJob(what, self.id_of(name)), f"{name} is told: {what}")

    def update(self, name: str, change: JobChange, text: str) -> None:
        self.do(UpdateJob(self.id_of(name), change), f"{name} is changed: {text}")

    def id_of(self, name: str) -> JobId:
        return next(job_id for job_id, known in self._names.items() if known == name)

    def to(self, t_s: float) -> None:
        """Let everything happen until then."""
        while (due_s := self._next_s()) is not None and due_s <= t_s:
            self._move(due_s)
            while self._ends and self._ends[0][0] <= self.t_s:
                self._end(*heappop(self._ends)[2:])
            self._turn()
        self._move(t_s)

    def to_the_end(self) -> None:
        """Until nothing lives, or nothing happens any more."""
        while self.engine.state.jobs and (due_s := self._next_s()) is not None:
            assert due_s < 1e6, "it goes on for ever"
            self.to(due_s)

    # What the machine does

    def _next_s(self) -> float | None:
        wake_s = self.engine.next_wake_in_s(self.now)
        times = [self._ends[0][0]] if self._ends else []
        return min([*times, *([self.t_s + wake_s] if wake_s is not None else [])], default=None)

    def _move(self, t_s: float) -> None:
        passed_s = max(0.0, t_s - self.t_s)
        self.now = Instant(self.now.wall_s + passed_s, self.now.steady_s + passed_s)

    def _turn(self) -> None:
        """Dispatch, and perform, until nothing new begins."""
        while True:
            self.engine.dispatch(self.now)
            actions = self.engine.take_actions()
            for action in actions:
                self._perform(action)
            launched = [action.job for action in actions if isinstance(action, Launch)]
            for job in launched:
                self.engine.handle(Launched(job.id, job.attempt, 1, self.now.wall_s, self.now.steady_s), self.now)
            if not launched:
                break
        self._tell_waits()

    def _perform(self, action: Action) -> None:
        match action:
            case Launch(job):
                self._begin(job)
            case Signal(job, signal):
                self._signal(job, signal)
            case End(job):
                self._told.pop(self.name(job.id), None)
                self.say(f"{self.name(job.id)} has {job.phase}" + (f": {self._named(job.reason)}" if job.reason else ""))
            case Save(job, moved=True) if job.phase is Phase.QUEUED and job.attempt:
                self.say(f"{self.name(job.id)} queues again" + (f": {self._named(job.reason)}" if job.reason else ""))
            case PolicyFailed(fault):
                self.say(f"policy {fault.policy} failed: {fault.what.partition(' (')[0]}; fifo stands in for {fault.pause_s:g}s")
            case PolicyRestored(policy):
                self.say(f"policy {policy} is followed again")

    def name(self, job_id: JobId) -> str:
        return self._names.get(job_id) or f"{self._names[job_id.whole]}{job_id.index}"

    def _begin(self, job: Job) -> None:
        assert job.run is not None
        name = self.name(job.id)
        self._told.pop(name, None)
        self.say(f"{name} starts on {_words(job.run.grant)}")
        self.chart.begins(name, job.run.grant, self.t_s)
        self._left_s[job.id] = self._lasts_s.get(name, self._lasts_s.get(self._names[job.id.whole], 60.0)) - self._saved_s.get(job.id, 0.0)
        self._go_on(job)

    def _go_on(self, job: Job) -> None:
        self._since_s[job.id] = self.t_s
        self._end_later(self._left_s[job.id], job, 0)

    def _end_later(self, in_s: float, job: Job, signal: int) -> None:
        self._order += 1
        heappush(self._ends, (self.t_s + in_s, self._order, job.id, job.attempt, signal))

    def _signal(self, job: Job, signal: str) -> None:
        name = self.name(job.id)
        if signal in SIGNALS:
            self.say(f"{name} is told to end by SIG{signal}")
            if signal == job.spec.checkpoint_signal:  # it goes on from there in its next attempt
                self._saved_s[job.id] = self._saved_s.get(job.id, 0.0) + self.t_s - self._since_s[job.id]
            self._end_later(0.0 if signal == "KILL" else STOPS_IN_S, job, SIGNALS[signal])
        elif signal == "STOP":
            self.say(f"{name} is frozen")
            self._left_s[job.id] -= self.t_s - self._since_s[job.id]
            self._ends = [end for end in self._ends if end[2] != job.id]
            self.chart.pauses(name, self.t_s)
        elif signal == "CONT" and self.chart.paused(name):
            self.say(f"{name} goes on")
            self.chart.goes_on(name, self.t_s)
            self._go_on(job)

    def _end(self, job_id: JobId, attempt: int, signal: int) -> None:
        job = self.engine.state.jobs.get(job_id)
        if job is None or job.attempt != attempt or job.run is None:
            return
        self.chart.ends(self.name(job_id), self.t_s)
        run_s = self.now.wall_s - job.run.started_at_s
        exit_ = Exit(self.now.wall_s, exit_code=None if signal else 0, signal=signal or None, run_s=run_s)
        self.engine.handle(RunEnded(job_id, attempt, exit_), self.now)

    def _tell_waits(self) -> None:
        """Of every job that waits, when what is to be said of it has changed."""
        for job in list(self.engine.state.jobs.values()):
            if job.phase is not Phase.QUEUED and not (job.array is not None and job.array.pending):
                continue
            name, words = self.name(job.id), self._why(job)
            self.chart.waits(name, self.t_s)
            if self._told.get(name) != words:
                self._told[name] = words
                self.say(f"  {name} waits: {words}")

    def _why(self, job: Job) -> str:
        why = self.engine.why(job.id, self.now)
        words = why.summary
        if why.estimated_start_at_s and why.estimate_basis:
            words += f"; it should start at {why.estimated_start_at_s - BEGIN.wall_s:.0f}s"
        return self._named(words)

    def _named(self, text: str) -> str:
        """Jobs are known by name here."""
        for number in sorted(self._names, reverse=True):
            text = text.replace(f"job {number}", self._names[number])
        return text

    # The transcript

    def text(self, step_s: float) -> str:
        return "\n".join([self.title, "", *self.lines, "", *self.chart.lines(step_s)]) + "\n"


def _words(grant: Grant) -> str:
    """`cpu 0-2, gpu 1 (0.5)`."""
    cpus = "cpu " + _ranges([cpu.cpu for cpu in grant.cpus])
    gpus = [f"{part.kind} {part.index}" + (f" ({part.millis / 1000:g})" if part.millis != 1000 else "") for part in grant.devices]
    return ", ".join([cpus, *gpus])


def _ranges(numbers: Sequence[int]) -> str:
    groups: list[list[int]] = []
    for number in sorted(numbers):
        if groups and groups[-1][1] == number - 1:
            groups[-1][1] = number
        else:
            groups.append([number, number])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in groups)
