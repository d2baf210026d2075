"""What the jobs service answers with, where a Job alone does not say it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from aiosd.errors import AiosError
from aiosd.jobs.job import Job
from aiosd.scheduling.rules import QosSettings, QueueSettings


@dataclass(frozen=True, slots=True)
class Page:
    jobs: Sequence[Job]
    next_page_token: str  # empty: this was the last
    revision: int


class ChangeKind(StrEnum):
    CHANGED = "changed"
    SYNCED = "synced"
    RESYNC = "resync"


@dataclass(frozen=True, slots=True)
class JobEvent:
    """CHANGED: `job` after it; SYNCED: all that was known at `revision` has been sent; RESYNC: forget what you know."""

    kind: ChangeKind
    revision: int
    job: Job | None = None


@dataclass(frozen=True, slots=True)
class Steered:
    """What became of one job of a selection: `job` after the change, or `error`."""

    ref: str
    job: Job | None = None
    error: AiosError | None = None


@dataclass(frozen=True, slots=True)
class LogPiece:
    """Bytes of one output of one attempt; the last piece of a followed log has `ended` instead."""

    output: str  # "stdout" | "stderr"
    offset: int
    data: bytes
    attempt: int
    ended: Job | None = None


@dataclass(frozen=True, slots=True)
class LogWish:
    """`output` "" is both; offsets belong to `attempt` (0: the latest); `tail_lines` > 0 replaces them."""

    output: str = ""
    stdout_offset: int = 0
    stderr_offset: int = 0
    follow: bool = False
    tail_lines: int = 0
    attempt: int = 0


@dataclass(frozen=True, slots=True)
class QueueState:
    """A queue's settings, and what is in it."""

    settings: QueueSettings
    queued: int
    running: int
    oldest_wait_s: float
    mean_wait_s: float = 0.0  # of those that started lately; 0: none did


@dataclass(frozen=True, slots=True)
class QosState:
    """A quality of service, and how many of its jobs wait and run."""

    settings: QosSettings
    queued: int
    running: int


@dataclass(frozen=True, slots=True)
class NodeView:
    """What the engine knows of the node."""

    drained: bool
    drain_reason: str
    policy: str
    jobs_by_phase: Mapping[str, int]
    warnings: Sequence[str]
