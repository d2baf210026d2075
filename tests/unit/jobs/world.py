"""A small world for engine tests: a machine, a clock that is moved by hand, and a launcher that obeys."""

from dataclasses import dataclass, field

from aiosd.clock import Instant
from aiosd.ids import JobId
from aiosd.jobs.actions import Action, End, Event, Launch, Save, Signal, Steer, SteerJob, Submit, Withdraw
from aiosd.jobs.draft import JobDraft
from aiosd.jobs.engine import Engine, Reply
from aiosd.jobs.job import Environment, Exit, Job, Owner
from aiosd.jobs.ports import Launched, Loaded, RunEnded
from aiosd.jobs.settings import JobsSettings
from aiosd.resources.inventory import Cpu, Device, Inventory, NumaNode

GIB = 1 << 30
ALICE, BOB = Owner(1000, 1000, "alice"), Owner(1001, 1001, "bob")
EMPTY = Environment("0" * 64, {})


def machine(cpus: int = 4, memory_bytes: int = 16 * GIB, gpus: int = 0) -> Inventory:
    return Inventory(
        "box",
        tuple(Cpu(i, i, 0, 0) for i in range(cpus)),
        memory_bytes,
        memory_bytes,
        (NumaNode(0, tuple(range(cpus)), memory_bytes),),
        tuple(Device(f"GPU-{i}", "gpu", i, "NVIDIA A100", 40 * GIB) for i in range(gpus)),
        disk_bytes=100 * GIB,
    )


def draft(*command: str, **fields: object) -> JobDraft:
    return JobDraft(command=command or ("true",), cwd="/tmp", **fields)  # type: ignore[arg-type]


@dataclass
class World:
    """`do` is one turn: an event, then a dispatch. What came of it is in `launched`, `signals`, `ended` and `saved`."""

    inventory: Inventory = field(default_factory=machine)
    settings: JobsSettings = field(default_factory=JobsSettings)
    now: Instant = Instant(1_000_000.0, 5_000.0)
    loaded: Loaded = Loaded((), (), {}, 1, 0)
    boot_id: str = "boot-1"
    launched: list[Job] = field(default_factory=list)
    signals: list[tuple[JobId, str]] = field(default_factory=list)
    ended: dict[JobId, Job] = field(default_factory=dict)
    saved: dict[JobId, Job] = field(default_factory=dict)
    last: list[Action] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.engine = Engine.load(self.loaded, self.settings, self.inventory, self.boot_id, self.now)

    def do(self, event: Event | None = None) -> Reply:
        reply = self.engine.handle(event, self.now) if event is not None else None
        self.engine.dispatch(self.now)
        self._perform(self.engine.take_actions())
        return reply

    def _perform(self, actions: list[Action]) -> None:
        self.last = actions
        for action in actions:
            match action:
                case Launch(job):
                    self.launched.append(job)
                case Signal(job, signal):
                    self.signals.append((job.id, signal))
                case End(job):
                    self.ended[job.id] = job
                    self.saved.pop(job.id, None)
                case Withdraw(job):
                    self.saved.pop(job.id, None)
                case Save(job):
                    self.saved[job.id] = job

    def submit(self, *drafts: JobDraft, owner: Owner = ALICE, key: str = "", digest: str = "") -> list[Job]:
        reply = self.do(Submit(drafts, [EMPTY] * len(drafts), owner, key, digest))
        assert isinstance(reply, list)
        return reply

    def steer(self, what: Steer, job_id: JobId, **more: object) -> Job:
        reply = self.do(SteerJob(what, job_id, **more))  # type: ignore[arg-type]
        assert isinstance(reply, Job)
        return reply

    def begin(self, *jobs: JobId) -> None:
        """The launcher says that these (or all that were launched and have not begun) have begun."""
        for job in list(self.engine.state.jobs.values()):
            if job.run is not None and not job.run.started_at_s and (not jobs or job.id in jobs):
                self.do(Launched(job.id, job.attempt, 4000 + job.id.number, self.now.wall_s, self.now.steady_s))

    def finish(self, job_id: JobId, exit_code: int | None = 0, **fields: object) -> None:
        """The launcher says that a run has ended; it took a minute unless `run_s` says otherwise, so nothing is staged behind it."""
        fields.setdefault("run_s", 60.0)
        job = self.engine.state.jobs[job_id]
        self.do(RunEnded(job_id, job.attempt, Exit(self.now.wall_s, exit_code=exit_code, **fields)))  # type: ignore[arg-type]

    def lose(self, job_id: JobId, reason: str = "its supervisor process was killed") -> None:
        self.do(RunEnded(job_id, self.engine.state.jobs[job_id].attempt, None, reason))

    def wait(self, seconds: float) -> None:
        self.now = Instant(self.now.wall_s + seconds, self.now.steady_s + seconds)
        self.do()

    def settle(self) -> None:
        """What the engine does by itself a little later, at once: it looks again where what it started may have changed who goes first."""
        state = self.engine.state
        while state.order_check_at_s is not None:
            state.order_check_at_s, state.dirty = None, True
            self.do()

    def phase(self, number: int, index: int = -1) -> str:
        job_id = JobId(number, index)
        return str((self.ended.get(job_id) or self.engine.state.job(job_id)).phase)
