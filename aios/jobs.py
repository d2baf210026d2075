"""Jobs: the `Job` object with its verbs, and what a watch or a selection answers."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import TYPE_CHECKING, Literal, TypedDict, overload

from aios.errors import AiosError, InvalidArgument, JobFailed
from aios.records import JobRecord, Output, State, Stats, Why
from aios.spec import Amount, Duration, Moment, Size

if TYPE_CHECKING:
    from aios._job_calls import JobCalls

# JobFailed for a job whose end is no success, with what a person needs first.
_ENDINGS = {State.SKIPPED: "was skipped", State.CANCELLED: "was cancelled", State.TIMED_OUT: "ran out of time", State.LOST: "was lost"}


class JobChanges(TypedDict, total=False):
    """What `update` can change; what is absent or None is left. A label with an empty value is removed."""

    name: str | None
    priority: int | None
    nice: int | None
    queue: str | None
    qos: str | None
    cpus: Amount | None
    memory: Size | None
    time: Duration | None
    begin: Moment | None
    deadline: Moment | None
    array_limit: int | None
    labels: Mapping[str, str] | None


class Steer(StrEnum):
    CANCEL = "cancel"
    HOLD = "hold"
    RELEASE = "release"
    SUSPEND = "suspend"
    RESUME = "resume"
    REQUEUE = "requeue"


class EventKind(StrEnum):
    CHANGED = "changed"  # `job` is its state after the change
    SYNCED = "synced"  # all that was known at `revision` has been sent
    RESYNC = "resync"  # too much happened since the revision asked for: forget what you know
    UNKNOWN = "unknown"  # newer than this SDK


@dataclass(slots=True, kw_only=True, eq=False)
class Job(JobRecord):
    """A job as it was when last asked about, and the verbs that steer it; every verb refreshes what is known."""

    _client: "JobCalls" = field(repr=False)

    def __str__(self) -> str:
        return self.id

    def refresh(self, *, timeout: float | None = None) -> "Job":
        """Ask the daemon where the job stands now; returns the job itself."""
        return self._become(self._client.job(self.id, timeout=timeout))

    def wait(self, timeout: float | None = None, *, check: bool = False) -> "Job":
        """Block until the job has ended; returns the job itself.

        Raises Timeout when it has not ended after `timeout` seconds (None: however long it takes), and with `check`
        JobFailed when it ended otherwise than in success. Waits through restarts of the daemon.
        """
        if not self.ended:
            self._become(self._client.wait(self.id, timeout=timeout))
        if check:
            self.raise_for_state()
        return self

    def raise_for_state(self) -> None:
        """Raise JobFailed when the job has ended otherwise than in success."""
        if self.ended and self.state is not State.SUCCEEDED:
            raise job_failed(self)

    def cancel(self, *, force: bool = False, reason: str = "", timeout: float | None = None) -> "Job":
        """End the job: SIGTERM, its grace, SIGKILL; with `force` SIGKILL at once. A job that waits is only taken off."""
        return self._steer(Steer.CANCEL, reason, force, timeout)

    def hold(self, *, reason: str = "", timeout: float | None = None) -> "Job":
        return self._steer(Steer.HOLD, reason, False, timeout)

    def release(self, *, timeout: float | None = None) -> "Job":
        return self._steer(Steer.RELEASE, "", False, timeout)

    def suspend(self, *, reason: str = "", timeout: float | None = None) -> "Job":
        """Stop the whole process tree where it is; it keeps what it holds."""
        return self._steer(Steer.SUSPEND, reason, False, timeout)

    def resume(self, *, timeout: float | None = None) -> "Job":
        return self._steer(Steer.RESUME, "", False, timeout)

    def requeue(self, *, reason: str = "", timeout: float | None = None) -> "Job":
        """Stop the job if it runs, and queue it again from the beginning."""
        return self._steer(Steer.REQUEUE, reason, False, timeout)

    def update(
        self,
        *,
        name: str | None = None,
        priority: int | None = None,
        nice: int | None = None,
        queue: str | None = None,
        qos: str | None = None,
        cpus: Amount | None = None,
        memory: Size | None = None,
        time: Duration | None = None,
        begin: Moment | None = None,
        deadline: Moment | None = None,
        array_limit: int | None = None,
        labels: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> "Job":
        """Change what is named and leave the rest; a label with an empty value is removed."""
        changes = JobChanges(
            name=name, priority=priority, nice=nice, queue=queue, qos=qos, cpus=cpus, memory=memory, time=time,
            begin=begin, deadline=deadline, array_limit=array_limit, labels=labels,
        )  # fmt: skip
        return self._become(self._client.update(self.id, timeout=timeout, **changes))

    def why(self, *, timeout: float | None = None) -> Why:
        """Why it waits, who is ahead, when it may start, what would make it start sooner."""
        return self._client.why(self.id, timeout=timeout)

    def stats(self, *, timeout: float | None = None) -> Stats:
        """What it used over time, beside what it asked for and was given."""
        return self._client.stats(self.id, timeout=timeout)

    @overload
    def logs(
        self,
        *,
        follow: bool = False,
        tail: int | None = None,
        output: Output | str | None = None,
        as_bytes: Literal[False] = False,
        timeout: float | None = None,
    ) -> Iterator[str]: ...
    @overload
    def logs(
        self, *, follow: bool = False, tail: int | None = None, output: Output | str | None = None, as_bytes: Literal[True], timeout: float | None = None
    ) -> Iterator[bytes]: ...
    def logs(
        self, *, follow: bool = False, tail: int | None = None, output: Output | str | None = None, as_bytes: bool = False, timeout: float | None = None
    ) -> Iterator[str] | Iterator[bytes]:
        """The lines it printed, without their line ends; with `follow`, until it has ended and all is read.

        `output` "stdout" or "stderr"; None: both, in the order they grew. Text that is not UTF-8 shows U+FFFD; `as_bytes`
        gives what was written. A follower goes on at the right byte after a restart of the daemon.
        """
        if as_bytes:
            return self._client.log_lines(self.id, follow=follow, tail=tail, output=output, as_bytes=True, timeout=timeout)
        return self._client.log_lines(self.id, follow=follow, tail=tail, output=output, timeout=timeout)

    def output(self, stream: Output | str = Output.STDOUT, *, timeout: float | None = None) -> str:
        """All that one output holds now, as text; not for output that is larger than memory."""
        pieces = self._client.log_chunks(self.id, output=stream, timeout=timeout)
        return b"".join(piece.data for piece in pieces).decode("utf-8", "replace")

    def elements(self, *, timeout: float | None = None) -> "Iterator[Job]":
        """The elements of an array that were dispatched so far, by index; nothing for a job that is no array."""
        found = self._client.jobs(ids=[self.id], include_elements=True, include_ended=True, timeout=timeout)
        return iter(sorted((job for job in found if job.array_index is not None), key=lambda job: job.array_index or 0))

    def __getitem__(self, index: int) -> "Job":
        """The element `index` of an array."""
        if not self.is_array:
            raise InvalidArgument(f"job {self.id} is not an array; it has no element {index}", hint='submit with array="0-9" for an array')
        return self._client.job(f"{self.id}.{index}")

    def _steer(self, what: Steer, reason: str, force: bool, timeout: float | None) -> "Job":
        (result,) = self._client.steer(what, [self.id], reason=reason, force=force, timeout=timeout)
        if result.error is not None:
            raise result.error
        return self._become(result.job) if result.job is not None else self.refresh(timeout=timeout)

    def _become(self, newer: "Job") -> "Job":
        """Take over what a newer answer says; the environment stays when the answer left it out."""
        environment = newer.environment or self.environment
        for one in fields(JobRecord):
            setattr(self, one.name, getattr(newer, one.name))
        self.environment = environment
        return self


@dataclass(frozen=True, slots=True)
class JobEvent:
    kind: EventKind
    revision: int
    job: Job | None = None


@dataclass(frozen=True, slots=True)
class Steered:
    """What became of one job of a selection: `job` after the change, or `error`."""

    ref: str
    job: Job | None = None
    error: AiosError | None = None


@dataclass(frozen=True, slots=True)
class LogChunk:
    """Bytes of one output and where they begin; the last of a followed log has `ended` (and no bytes)."""

    output: Output | None
    offset: int
    data: bytes
    attempt: int = 0  # that printed it; offsets begin anew with each
    ended: Job | None = None


def job_failed(job: JobRecord) -> JobFailed:
    """The error that says how a job ended, when that was no success."""
    how = _ENDINGS.get(job.state, "failed" if job.state is not State.OUT_OF_MEMORY else "ran out of memory")
    status = "" if job.exit_status is None or job.outcome is None else f" with status {job.exit_status}"
    why = f": {job.reason}" if job.reason else ""
    facts = {"job_id": job.id, "state": str(job.state), "exit_status": str(job.exit_status)}
    return JobFailed(f"job {job.id} ({job.name}) {how}{status}{why}", hint=f"see what it printed: aiosctl logs {job.id}", facts=facts)
