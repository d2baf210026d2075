"""A Launcher without processes: a test says what starts and how it ends, and every event arrives at once and in order."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from aiosd.clock import Clock, Instant
from aiosd.jobs.job import Exit, Job, Phase
from aiosd.jobs.ports import Launched, LauncherEvent, LaunchFailed, RunEnded, Scope
from aiosd.resources.usage import Usage

_FATAL = {"KILL": 9, "TERM": 15, "INT": 2}
_FIRST_PID = 1000


class StillClock:
    """Stands still until a test moves it."""

    def __init__(self, wall_s: float = 1_000_000.0, steady_s: float = 1_000.0) -> None:
        self.instant = Instant(wall_s, steady_s)

    def now(self) -> Instant:
        return self.instant

    def advance(self, seconds: float) -> None:
        self.instant = Instant(self.instant.wall_s + seconds, self.instant.steady_s + seconds)


@dataclass(slots=True)
class FakeMachine:
    """What outlives a daemon: the runs that live, the ends that are recorded, the runs that are barred."""

    alive: dict[str, Launched] = field(default_factory=dict)
    ends: dict[str, Exit | None] = field(default_factory=dict)
    barred: set[str] = field(default_factory=set)
    next_pid: int = _FIRST_PID


@dataclass(slots=True)
class FakeLauncher:
    """`exits` makes it act by itself: a command found there (by its first word) ends so at its launch, every other
    one starts, and SIGTERM, SIGINT and SIGKILL end it. Without `exits` nothing happens until the test says so.
    """

    clock: Clock = field(default_factory=StillClock)
    machine: FakeMachine = field(default_factory=FakeMachine)
    exits: dict[str, Exit] | None = None
    launches: list[Job] = field(default_factory=list)
    signals: list[tuple[Job, str, Scope]] = field(default_factory=list)
    forgotten: list[Job] = field(default_factory=list)
    resized: list[Job] = field(default_factory=list)
    notified: list[Job] = field(default_factory=list)
    _pending: dict[str, Job] = field(default_factory=dict)  # launched, and nothing has come of it yet
    _listeners: list[Callable[[LauncherEvent], None]] = field(default_factory=list)

    def subscribe(self, on_event: Callable[[LauncherEvent], None]) -> None:
        self._listeners.append(on_event)

    def launch(self, job: Job) -> None:
        if job.run_key in self._pending or job.run_key in self.machine.alive or job.run_key in self.machine.ends:
            raise AssertionError(f"run {job.run_key} was launched twice")
        self.launches.append(job)
        self._pending[job.run_key] = job
        if self.exits is not None:
            self.started(job)
            if job.spec.command[0] in self.exits:
                self.ended(job, self.exits[job.spec.command[0]])

    def signal(self, job: Job, signal: str, scope: Scope = Scope.TREE) -> None:
        self.signals.append((job, signal, scope))
        if self.exits is not None and signal in _FATAL and job.run_key in self.machine.alive:
            self.ended(job, replace(self.exit(0), exit_code=None, signal=_FATAL[signal]))

    def resize(self, job: Job) -> None:
        self.resized.append(job)

    def forget(self, job: Job) -> None:
        self.forgotten.append(job)
        self.machine.ends.pop(job.run_key, None)

    def notify(self, job: Job) -> None:
        self.notified.append(job)

    def log_paths(self, job: Job) -> tuple[str, str]:
        return f"/logs/{job.id}.{job.attempt}.out", f"/logs/{job.id}.{job.attempt}.err"

    async def recover(self, expected: Sequence[Job]) -> None:
        for job in expected:
            key = job.run_key
            if key in self.machine.alive:
                self._emit(self.machine.alive[key])
            elif key in self.machine.ends:
                self._emit(RunEnded(job.id, job.attempt, self.machine.ends[key]))
            elif job.phase is Phase.STARTING:
                self.machine.barred.add(key)
                self._emit(LaunchFailed(job.id, job.attempt, "it had not begun when the daemon stopped"))
            else:
                self._emit(RunEnded(job.id, job.attempt, None, "its run file is missing"))
        keys = {job.run_key for job in expected}
        for known in (self.machine.alive, self.machine.ends):
            for key in known.keys() - keys:
                del known[key]

    def started(self, job: Job) -> None:
        """The shim of a launched run exists."""
        del self._pending[job.run_key]
        now = self.clock.now()
        launched = Launched(job.id, job.attempt, self.machine.next_pid, now.wall_s, now.steady_s)
        self.machine.next_pid += 1
        self.machine.alive[job.run_key] = launched
        self._emit(launched)

    def ended(self, job: Job, exit_: Exit | int | None = 0, reason: str = "") -> None:
        """A run is over: with an exit code, an Exit, or None for an end that nobody knows."""
        if job.run_key in self._pending:
            self.started(job)
        del self.machine.alive[job.run_key]
        known = self.exit(exit_) if isinstance(exit_, int) else exit_
        self.machine.ends[job.run_key] = known
        self._emit(RunEnded(job.id, job.attempt, known, reason))

    def failed(self, job: Job, reason: str = "no process could be started") -> None:
        """A launched run has provably not begun."""
        del self._pending[job.run_key]
        self._emit(LaunchFailed(job.id, job.attempt, reason))

    def exit(self, code: int, run_s: float = 1.0) -> Exit:
        return Exit(ended_at_s=self.clock.now().wall_s, exit_code=code, usage=Usage(cpu_user_s=0.1), run_s=run_s)

    def _emit(self, event: LauncherEvent) -> None:
        for listener in self._listeners:
            listener(event)
