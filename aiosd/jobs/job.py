"""The records of a job: what was asked, where it stands, what it holds while it runs, how it ended."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from aiosd.ids import JobId
from aiosd.jobs.ranges import IndexRanges
from aiosd.resources.grant import Grant
from aiosd.resources.request import Request
from aiosd.resources.usage import Usage


class Phase(StrEnum):
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

    @property
    def ended(self) -> bool:
        return self in ENDED

    @property
    def active(self) -> bool:
        """Holds a grant: a process of it lives or may live."""
        return self in ACTIVE


ENDED = frozenset({Phase.SUCCEEDED, Phase.FAILED, Phase.CANCELLED, Phase.TIMED_OUT, Phase.OUT_OF_MEMORY, Phase.LOST, Phase.SKIPPED})
ACTIVE = frozenset({Phase.STARTING, Phase.RUNNING, Phase.SUSPENDED, Phase.STOPPING})


class DependencyKind(StrEnum):
    AFTER = "after"
    AFTER_OK = "after-ok"
    AFTER_ANY = "after-any"
    AFTER_FAILED = "after-failed"


@dataclass(frozen=True, slots=True)
class Dependency:
    kind: DependencyKind
    job_id: JobId


class RetryCondition(StrEnum):
    EXIT = "exit"
    OOM = "oom"
    PREEMPT = "preempt"
    TIMEOUT = "timeout"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """The pause before retry k is `backoff_s * 2**(k-1)`, at most `backoff_max_s`.

    After running out of memory it asks for `oom_memory_factor` times what it had, up to `oom_memory_max_bytes` (0: what the machine has).
    """

    retries: int = 0
    conditions: frozenset[RetryCondition] = frozenset({RetryCondition.EXIT, RetryCondition.OOM, RetryCondition.PREEMPT, RetryCondition.LOST})
    backoff_s: float = 1.0
    backoff_max_s: float = 600.0
    oom_memory_factor: float = 1.0
    oom_memory_max_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Environment:
    """The variables of a job, kept once for all jobs that share them. `digest`: SHA-256 of the sorted pairs, hex."""

    digest: str
    variables: Mapping[str, str] = field(compare=False, hash=False)


@dataclass(frozen=True, slots=True)
class ArraySpec:
    """`text` as given, `indices` what it means, `limit` how many at once (0: no limit)."""

    text: str
    indices: IndexRanges
    limit: int = 0


@dataclass(frozen=True, slots=True)
class ProcessLimit:
    """A limit as setrlimit has it, by its name ("nofile"); -1: none."""

    name: str
    soft: int
    hard: int


@dataclass(frozen=True, slots=True)
class ModelOutput:
    """What it leaves at `path` is the next version of a model when it has succeeded. In all three %j, %a and %A stand for what they do in `stdout_path`."""

    model: str
    branch: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSpec:
    """What was asked, checked and with every default filled in; it changes only by `update`."""

    name: str
    command: tuple[str, ...]
    cwd: str
    environment: Environment
    request: Request
    array: ArraySpec | None = None
    dependencies: tuple[Dependency, ...] = ()
    time_limit_s: float = 0.0  # 0: none
    grace_s: float = 30.0
    retry: RetryPolicy = RetryPolicy()
    begin_at_s: float = 0.0  # wall
    deadline_at_s: float = 0.0  # wall; 0: none
    priority: int = 0
    nice: int = 0
    queue: str = "default"
    qos: str = ""
    account: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    held: bool = False
    stdout_path: str = ""
    stderr_path: str = ""
    stdin_open: bool = False
    preemptible: bool = False
    checkpoint_signal: str = ""
    notify_command: str = ""
    script: str = ""
    io_read_bytes_per_s: int = 0  # of each disk; 0: no limit
    io_write_bytes_per_s: int = 0
    io_weight: int = 0  # beside other jobs; 0: as everybody
    secrets: tuple[str, ...] = ()  # their names; the values are kept elsewhere, at `secrets_at`
    secrets_at: str = ""
    private_tmp: bool = False
    login_environment: bool = False
    umask: int = 0o022
    process_limits: tuple[ProcessLimit, ...] = ()
    model_outputs: tuple[ModelOutput, ...] = ()
    open_cpus: bool = False  # the user did not say how many: the request has a default, or what was learned
    open_memory: bool = False


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose job it is, as the kernel told it."""

    uid: int
    gid: int
    name: str


@dataclass(frozen=True, slots=True)
class Run:
    """One attempt that holds a grant. `started_steady_s` counts since `boot_id`'s boot, so limits survive clock jumps."""

    grant: Grant
    dispatched_at_s: float
    boot_id: str
    started_at_s: float = 0.0  # 0: not yet
    started_steady_s: float = 0.0
    shim_pid: int = 0
    suspended_steady_s: float = 0.0  # since when it is suspended; 0: it is not
    suspended_total_s: float = 0.0
    after: JobId | None = None  # staged: it takes over the grant of that job's run, and holds nothing until then
    whole: Grant | None = None  # suspended for another job: what it had, and is to have again; `grant` is what it has kept
    held_since_s: float = 0.0  # wall; since when it holds just this; 0: since its dispatch
    resized: bool = False  # its grant is another than the one it was launched with

    @property
    def since_s(self) -> float:
        """From when on what it holds now is charged."""
        return self.held_since_s or self.dispatched_at_s


@dataclass(frozen=True, slots=True)
class Exit:
    """What the shim saw: an `exit_code` or a `signal`; with an `error` it could not be started, and the code is the shell's for that."""

    ended_at_s: float
    exit_code: int | None = None
    signal: int | None = None
    core_dumped: bool = False
    oom_killed: bool | None = None  # None: not known
    error: str = ""
    usage: Usage = Usage()
    run_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Outcome:
    ended_at_s: float
    exit_code: int | None = None
    signal: int | None = None
    core_dumped: bool = False
    oom_killed: bool | None = None
    reason: str = ""
    usage: Usage = Usage()
    wait_s: float = 0.0
    run_s: float = 0.0


class StopCause(StrEnum):
    """Why a job is STOPPING; decides what it becomes when its process has ended."""

    CANCEL = "cancel"
    TIME_LIMIT = "time_limit"
    REQUEUE = "requeue"
    MEMORY = "memory"  # it uses more memory than its grant, and no kernel holds it
    OVERUSE = "overuse"  # it uses more of anything else
    PREEMPT = "preempt"  # it makes room for another, and goes back to the queue
    PREEMPT_CANCEL = "preempt_cancel"  # it makes room for another, and that was it


@dataclass(frozen=True, slots=True)
class Stop:
    cause: StopCause
    reason: str
    kill_at_steady_s: float  # when SIGKILL follows
    killed: bool = False
    at_s: float = 0.0  # wall; when it was decided
    checkpoint: bool = False  # by its checkpoint signal, where it has one


@dataclass(frozen=True, slots=True)
class ArrayProgress:
    """Where an array stands. An element has a record of its own from its dispatch on; until then it is in `pending`."""

    pending: IndexRanges
    active: int = 0  # elements that have a live record, whatever their phase
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0  # with or without ever having been dispatched


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One job, one array, or one element of an array. `run` exists in ACTIVE phases and after the end; `outcome` after the end."""

    id: JobId
    spec: JobSpec
    owner: Owner
    phase: Phase
    submitted_at_s: float
    eligible_at_s: float = 0.0  # when it could first have started; 0: not yet
    attempt: int = 0  # counts dispatches; 0: never dispatched
    retries_used: int = 0
    not_before_s: float = 0.0  # wall; the end of a retry's pause
    reason: str = ""
    unmet: tuple[Dependency, ...] = ()  # dependencies it still waits for; each names a job that has not ended
    run: Run | None = None
    stop: Stop | None = None  # only while STOPPING
    outcome: Outcome | None = None
    array: ArrayProgress | None = None  # only of an array's own record
    memory_bytes: int = 0  # what it asks for since it ran out of memory; 0: what its spec says
    rightsizing: str = ""  # what earlier runs say of its request, in a sentence
    rightsized: bool = False  # and it asks for that
    ran_out: tuple[int, ...] = ()  # the memory of each attempt that ran out of it; bytes
    preemptions: int = 0  # how often it has made room for another
    made_room_for: JobId | None = None  # for whom it did so last; None once it runs again
    gpu_s: float = 0.0  # for how long it held a GPU before it got what it holds now: GPUs times seconds
    revision: int = 0

    @property
    def request(self) -> Request:
        """What its next run, or the one it has, is to be granted."""
        return replace(self.spec.request, memory_bytes=self.memory_bytes) if self.memory_bytes else self.spec.request

    @property
    def run_key(self) -> str:
        """Names this attempt on disk and to the shim: `42.7.1`, `42.-1.1` for a plain job."""
        return f"{self.id.number}.{self.id.index}.{self.attempt}"
