"""The records of a job as the daemon reports them: plain values, times in Unix seconds, amounts with the unit in the name."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from aios.resources import Grant, Request


class State(StrEnum):
    """Where a job stands; the same words as the daemon's phases."""

    HELD = "held"
    WAITING = "waiting"
    QUEUED = "queued"
    STARTING = "starting"
    RUNNING = "running"
    SUSPENDED = "suspended"
    STOPPING = "stopping"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"
    OUT_OF_MEMORY = "out_of_memory"
    LOST = "lost"
    SKIPPED = "skipped"
    UNKNOWN = "unknown"  # a phase that this SDK is too old to know

    @property
    def ended(self) -> bool:
        return self in ENDED

    @property
    def active(self) -> bool:
        """Holds resources: a process of it lives or may live."""
        return self in ACTIVE


ENDED = frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLED, State.TIMED_OUT, State.OUT_OF_MEMORY, State.LOST, State.SKIPPED})
ACTIVE = frozenset({State.STARTING, State.RUNNING, State.SUSPENDED, State.STOPPING})


class Output(StrEnum):
    STDOUT = "stdout"
    STDERR = "stderr"


@dataclass(frozen=True, slots=True)
class Dependency:
    kind: str  # "after", "after-ok", "after-any", "after-failed"
    job_id: str


@dataclass(frozen=True, slots=True)
class Retry:
    """How often, on what ("exit", "oom", "preempt", "timeout", "lost") and after which pause a run is tried again."""

    retries: int = 0
    conditions: tuple[str, ...] = ()
    backoff_s: float = 0.0
    backoff_max_s: float = 0.0
    oom_memory_factor: float = 0.0  # after running out of memory the next attempt asks for so many times what it had
    oom_memory_max_bytes: int = 0  # at most; 0: what the machine has


@dataclass(frozen=True, slots=True)
class Usage:
    cpu_user_s: float = 0.0
    cpu_system_s: float = 0.0
    memory_peak_bytes: int = 0
    read_bytes: int = 0
    write_bytes: int = 0
    voluntary_switches: int = 0
    involuntary_switches: int = 0
    major_faults: int = 0
    cpu_pressure_s: float = 0.0  # how long some process of it waited for a processor, memory or a disk; 0 where it is not counted
    memory_pressure_s: float = 0.0
    io_pressure_s: float = 0.0
    oom_kills: int = 0


@dataclass(frozen=True, slots=True)
class Progress:
    """What the job said of itself by `aios.run()`: the latest of each."""

    done: float = 0.0
    total: float = 0.0
    step: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict)
    at_s: float = 0.0


@dataclass(frozen=True, slots=True)
class JobRun:
    """The latest attempt, from STARTING on."""

    started_at_s: float
    pid: int
    grant: Grant
    stdout_path: str
    stderr_path: str
    progress: Progress | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How it ended. `oom_killed` is None when that is not known."""

    ended_at_s: float
    exit_code: int | None
    signal: int | None
    core_dumped: bool
    oom_killed: bool | None
    reason: str
    usage: Usage
    wait_s: float
    run_s: float


@dataclass(frozen=True, slots=True)
class ArrayProgress:
    """Where an array stands, in elements; `limit` at most run at once (0: no limit)."""

    total: int
    pending: int
    active: int
    succeeded: int
    failed: int
    limit: int
    pending_ranges: str

    @property
    def ended(self) -> int:
        return self.succeeded + self.failed


@dataclass(slots=True, kw_only=True)
class JobRecord:
    """All that is known of a job; `aios.Job` is this with verbs. Unix seconds; 0 means never, none or not yet."""

    id: str
    name: str = ""
    state: State = State.UNKNOWN
    reason: str = ""
    user: str = ""
    uid: int = 0
    command: tuple[str, ...] = ()
    cwd: str = ""
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)  # empty unless asked for
    request: Request = Request()
    array_spec: str = ""
    array: ArrayProgress | None = None
    dependencies: tuple[Dependency, ...] = ()
    time_limit_s: float = 0.0
    grace_s: float = 0.0
    retry: Retry = Retry()
    begin_at_s: float = 0.0
    deadline_at_s: float = 0.0
    priority: int = 0
    nice: int = 0
    queue: str = ""
    qos: str = ""
    account: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    stdin_open: bool = False
    preemptible: bool = False
    checkpoint_signal: str = ""
    notify_command: str = ""
    script: str = field(default="", repr=False)
    io_read_bytes_per_s: int = 0
    io_write_bytes_per_s: int = 0
    io_weight: int = 0
    secrets: tuple[str, ...] = ()  # their names
    private_tmp: bool = False
    login: bool = False
    umask: int | None = None
    limits: Mapping[str, tuple[int, int]] = field(default_factory=dict)  # soft, hard; -1: none
    model_outputs: Mapping[str, str] = field(default_factory=dict)  # "digits" or "digits:try" -> the path that is registered when it has succeeded
    submitted_at_s: float = 0.0
    eligible_at_s: float = 0.0
    attempt: int = 0
    run: JobRun | None = None
    outcome: Outcome | None = None
    revision: int = 0
    preemptions: int = 0  # how often it has made room for another
    rightsizing: str = ""  # what earlier runs say of its request, in a sentence
    models_read: tuple[str, ...] = ()  # "digits@" and an id: what its runs read through AIOS, and what was made of them; of a job that was asked for by itself
    datasets_read: tuple[str, ...] = ()
    models_made: tuple[str, ...] = ()
    datasets_made: tuple[str, ...] = ()
    registering: bool = False  # it has ended, and what it left as models is being registered
    redacted: bool = False  # another user's: name, command, directory, labels, outputs and reports are not shown

    @property
    def ended(self) -> bool:
        return self.state.ended

    @property
    def started_at_s(self) -> float:
        return self.run.started_at_s if self.run else 0.0

    @property
    def ended_at_s(self) -> float:
        return self.outcome.ended_at_s if self.outcome else 0.0

    @property
    def grant(self) -> Grant | None:
        return self.run.grant if self.run else None

    @property
    def exit_code(self) -> int | None:
        return self.outcome.exit_code if self.outcome else None

    @property
    def signal(self) -> int | None:
        return self.outcome.signal if self.outcome else None

    @property
    def exit_status(self) -> int | None:
        """The status a shell would show: the exit code, 128+N for signal N, 1 for an end without either; None until the end."""
        if not self.ended:
            return None
        if self.outcome is not None and self.outcome.signal is not None:
            return 128 + self.outcome.signal
        if self.outcome is not None and self.outcome.exit_code is not None:
            return self.outcome.exit_code
        return 0 if self.state is State.SUCCEEDED else 1

    @property
    def progress(self) -> Progress | None:
        return self.run.progress if self.run else None

    @property
    def metrics(self) -> Mapping[str, float]:
        return self.run.progress.metrics if self.run and self.run.progress else {}

    @property
    def is_array(self) -> bool:
        return self.array is not None

    @property
    def array_index(self) -> int | None:
        """The index of an element of an array ("42.7": 7); None for anything else."""
        _, dot, index = self.id.partition(".")
        return int(index) if dot else None


@dataclass(frozen=True, slots=True)
class PriorityFactor:
    """A part of a job's priority: `factor` in [0, 1] times `weight`."""

    name: str
    factor: float
    weight: float
    points: float


@dataclass(frozen=True, slots=True)
class AheadJob:
    """Who goes first, with what decides: parts in [0, 1] of what its user is due and of what was used lately, and its priority."""

    id: str
    user: str
    account: str
    share: float
    usage: float
    priority: float


@dataclass(frozen=True, slots=True)
class Why:
    """Why a job waits: `summary` is one sentence, the rest is what it was made from."""

    id: str
    summary: str
    kind: str
    resource: str
    asked: str
    free: str
    machine_has: str
    ahead: tuple[str, ...]  # nearest first, at most 20
    ahead_count: int
    suggestions: tuple[str, ...]
    policy: str
    estimated_start_at_s: float  # 0: cannot be said
    estimated_start_low_s: float = 0.0  # nine times of ten it starts between these; Unix time, 0: cannot be said
    estimated_start_high_s: float = 0.0
    estimate_basis: str = ""  # what it rests on, in words
    estimate_held_share: float = 0.0  # of the intervals given lately, how many held; 0 with no experience
    factors: tuple[PriorityFactor, ...] = ()  # of policy priority
    ahead_jobs: tuple[AheadJob, ...] = ()  # those of `ahead`, with what decides
    planned_grant: str = ""  # what backfill keeps for it, in words

    def __str__(self) -> str:
        return self.summary


@dataclass(frozen=True, slots=True)
class Sample:
    """What a running job used over the interval before `at_s`."""

    at_s: float
    cpu_millis: float
    memory_bytes: int
    read_bytes_per_s: int
    write_bytes_per_s: int
    gpu_permille: int
    gpu_memory_bytes: int
    processes: int


@dataclass(frozen=True, slots=True)
class ReportedSeries:
    """What the job logged by `aios.run().log`, one metric."""

    name: str
    steps: tuple[float, ...]
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Stats:
    id: str
    requested: Request
    granted: Grant | None
    samples: tuple[Sample, ...]
    usage: Usage | None
    run_s: float
    reported: tuple[ReportedSeries, ...]
