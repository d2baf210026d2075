"""What the jobs domain needs of the outside: a journal that remembers, a launcher that runs, a reader of what was printed."""

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from aiosd.ids import JobId
from aiosd.jobs.job import Exit, Job, Owner, Phase


@dataclass(frozen=True, slots=True)
class Submission:
    """A submission that was answered: the same key again gets the same jobs. Numbers are contiguous."""

    uid: int
    key: str
    digest: str  # of the request, so that a key reused for something else is noticed
    first: int
    count: int
    at_s: float


@dataclass(frozen=True, slots=True)
class Changes:
    """All that one turn changed; committed as one transaction or not at all."""

    saved: Sequence[Job] = ()  # live jobs, inserted or replaced
    ended: Sequence[Job] = ()  # moved from the live table to the history; what they leave as models is due from then on
    amended: Sequence[Job] = ()  # of the history, with another reason
    withdrawn: Sequence[JobId] = ()  # elements that are pending again: their live records are dropped, where there are any
    submissions: Sequence[Submission] = ()
    settings: Mapping[str, str] = field(default_factory=dict)  # JSON values; "policy", "queue.default", "drained" …


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Empty fields match everything. Elements of arrays are left out unless asked for."""

    ids: Sequence[JobId] = ()
    phases: frozenset[Phase] = frozenset()
    users: frozenset[str] = frozenset()
    queues: frozenset[str] = frozenset()
    labels: Mapping[str, str] = field(default_factory=dict)
    name: str = ""
    include_ended: bool = False
    include_elements: bool = False


@dataclass(frozen=True, slots=True)
class Loaded:
    """The hot state, as it was last committed."""

    jobs: Sequence[Job]
    submissions: Sequence[Submission]
    settings: Mapping[str, str]
    next_number: int
    revision: int  # the highest that was ever stored


class Journal(Protocol):
    """The memory of the daemon. Raises DiskFull, StorageUnwritable and StorageCorrupt; else never fails half-way."""

    async def load(self) -> Loaded:
        """All live jobs, the submissions of the last day, the settings. Its cost does not depend on the history."""

    async def commit(self, changes: Changes) -> None:
        """Make `changes` one durable fact: returns when it would survive a power cut."""

    async def get(self, job_id: JobId) -> Job | None:
        """A job that has ended; None when the history has none of that id."""

    async def ended_phases(self, ids: Sequence[JobId]) -> Mapping[JobId, Phase]:
        """The phases of those of `ids` that are in the history."""

    async def history(self, job_filter: JobFilter, before: JobId | None, limit: int) -> Sequence[Job]:
        """At most `limit` ended jobs that match, newest first, older than `before`."""

    async def changed_since(self, revision: int, job_filter: JobFilter, limit: int) -> Sequence[Job]:
        """Ended jobs with a higher revision that match, by revision; at most `limit`."""


@dataclass(frozen=True, slots=True)
class DueOutput:
    """What a job that has succeeded has left, and that is not registered yet: by its place in the spec's `model_outputs`. `error`: it was tried in vain."""

    job_id: JobId
    place: int
    error: str = ""


class OutputBook(Protocol):
    """The memory of what is still to be registered. Raises as Journal does."""

    async def due(self, job_id: JobId | None = None) -> Sequence[DueOutput]:
        """Of all jobs, or of one; oldest first."""

    async def settle(self, due: DueOutput) -> None:
        """Forget it where it has no error; else it was tried in vain, and stays until somebody asks for it again."""

    async def source(self, job_id: JobId, attempt: int) -> str:
        """What was noted when this attempt began; "": nothing was."""

    async def note(self, job_id: JobId, attempt: int, source: str) -> None:
        """In place of what was noted of an attempt before; forgotten when nothing of the job is, or will be, due."""


@dataclass(frozen=True, slots=True)
class Launched:
    """The shim of a run exists. The run itself may have ended already; `RunEnded` follows in any case."""

    job_id: JobId
    attempt: int
    shim_pid: int
    at_s: float
    at_steady_s: float


@dataclass(frozen=True, slots=True)
class RunEnded:
    """A run is over, and all of its processes are gone. `exit` is None when its end cannot be known."""

    job_id: JobId
    attempt: int
    exit: Exit | None
    reason: str = ""  # where `exit` is None: what is known


@dataclass(frozen=True, slots=True)
class LaunchFailed:
    """The run has provably not begun, and never will: it may be dispatched again."""

    job_id: JobId
    attempt: int
    reason: str


@dataclass(frozen=True, slots=True)
class Resized:
    """A run is held to the grant that it has now; or `error` says what of it the kernel refused."""

    job_id: JobId
    attempt: int
    error: str = ""


class Scope(StrEnum):
    TREE = "tree"  # every process of the run
    MAIN = "main"  # the command itself


LauncherEvent = Launched | RunEnded | LaunchFailed | Resized


class Launcher(Protocol):
    """Runs jobs. Its methods return at once; what comes of them arrives as events, in order for each run."""

    async def recover(self, expected: Sequence[Job]) -> None:
        """Match what is on this machine with `expected`, the ACTIVE jobs of the journal.

        For each, one event or more follows: `Launched` (it lives and is watched again), `RunEnded` (it ended while
        nobody looked, or its end is unknown), or `LaunchFailed` (it had not begun, and is now barred from beginning).
        Leftovers of runs that nobody expects are removed. May be called again at any time.
        """

    def launch(self, job: Job) -> None:
        """Start the run of a STARTING job: command, environment, directory, grant and paths are in the record."""

    def signal(self, job: Job, signal: str, scope: Scope = Scope.TREE) -> None:
        """Send "TERM", "KILL", "STOP", "CONT", "USR1" … ; nothing happens when the run has ended."""

    def resize(self, job: Job) -> None:
        """Hold a run that lives to the grant in its record. `Resized` follows; nothing happens when it has ended."""

    def forget(self, job: Job) -> None:
        """The end of this run is committed: what was kept for a daemon that missed it can go."""

    def notify(self, job: Job) -> None:
        """Run the notify command of a job that has ended for good, beside everything else; best effort."""

    def log_paths(self, job: Job) -> tuple[str, str]:
        """Where the standard output and error of the job's current (or last) attempt are kept."""

    def subscribe(self, on_event: Callable[[LauncherEvent], None]) -> None:
        """Every event from now on goes to `on_event`, on the event loop's thread."""


class Evidence(Protocol):
    """Keeps what explains a fault of our own, for whoever mends it."""

    def keep(self, name: str, text: str) -> str:
        """Where it will be; written in a moment, and never an error: the disk may be what is at fault."""


class SecretKeeper(Protocol):
    """Keeps the values of secrets, which no record of a job holds."""

    async def keep(self, values: Mapping[str, bytes]) -> str:
        """Where they are kept from now on, durably. Raises DiskFull or StorageUnwritable."""

    def drop(self, place: str) -> None:
        """Forget what is kept there. Returns at once."""

    def sweep(self, places: Collection[str]) -> None:
        """Forget all but what is kept at `places`. Returns at once."""


class OutputReader(Protocol):
    def of(self, owner: Owner) -> "OutputReader":
        """The same, reading as that user: what it may not read is not read."""

    async def read(self, path: str, offset: int, limit: int) -> bytes:
        """Bytes of a file from `offset`, at most `limit`; b"" at its end or when it does not exist."""

    async def size(self, path: str) -> int:
        """Bytes in the file; 0 when it does not exist."""

    async def offset_of_tail(self, path: str, lines: int) -> int:
        """Where the last `lines` lines of the file begin."""

    def changes(self, paths: Sequence[str]) -> AsyncIterator[None]:
        """Yields whenever one of the files may have grown; at least once at the beginning."""
