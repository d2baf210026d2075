"""The calls of the client that concern jobs; each builds a request, sends it, and gives back objects."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Literal, Unpack, overload
from uuid import uuid4

from aios._calls import Calls
from aios.errors import InvalidArgument
from aios.jobs import Job, JobChanges, JobEvent, LogChunk, Steer, Steered
from aios.records import JobRecord, Output, State, Stats, Why
from aios.spec import JobSpec, SubmitOptions
from aios.units import parse_count

if TYPE_CHECKING:
    from aios._attach import AttachSession
    from aios.v1 import jobs_pb2 as pb_jobs

Ref = str | int | JobRecord  # 42, "42.7", a unique name, or a Job
PAGE_SIZE = 1000
MOST_SELECTED = 1000  # jobs steered in one call; more are steered in several


class JobCalls(Calls):
    """The calls of `aios.Client` that concern jobs. Every `timeout` is in seconds; None is the client's own."""

    def submit(self, command: "str | Iterable[str]" = (), *, timeout: float | None = None, key: str = "", **options: Unpack[SubmitOptions]) -> Job:
        """Submit one job (or one array) and answer when it is durable. See `aios.JobSpec` for the options.

        key  makes the submission one with every other of the same key; without it the SDK makes one, so that a retry
             after a lost answer never makes a second job
        """
        (job,) = self.submit_many([JobSpec(command, **options)], timeout=timeout, key=key)
        return job

    def submit_many(self, specs: Iterable[JobSpec], *, timeout: float | None = None, key: str = "") -> list[Job]:
        """Submit many in one call: all are accepted or none. A dependency "#0" is the first job of this call."""
        from aios import _requests
        from aios.v1 import jobs_pb2 as pb

        request = _requests.submission(specs, key or str(uuid4()))
        answer = self._channel.unary("Jobs/Submit", request, pb.SubmitJobsResponse, timeout)
        return [self._job(job) for job in answer.jobs]

    def job(self, ref: Ref, *, with_environment: bool = False, timeout: float | None = None) -> Job:
        """The job of an id, or of a name where it is unique."""
        from aios.v1 import jobs_pb2 as pb

        request = pb.GetJobRequest(id=_ref(ref), with_environment=with_environment)
        return self._job(self._channel.unary("Jobs/Get", request, pb.Job, timeout))

    def jobs(
        self,
        *,
        ids: Iterable[Ref] = (),
        states: Iterable[State | str] = (),
        users: Iterable[str] = (),
        queues: Iterable[str] = (),
        labels: Mapping[str, str] | None = None,
        name: str = "",
        include_ended: bool = False,
        include_elements: bool = False,
        limit: int | None = None,
        timeout: float | None = None,
    ) -> Iterator[Job]:
        """Every job that matches, newest first, page after page as they are needed; at most `limit`."""
        from aios import _requests
        from aios.v1 import jobs_pb2 as pb

        wanted = _requests.job_filter(ids, states, users, queues, labels, name, include_ended, include_elements)
        return self._pages(pb.ListJobsRequest(filter=wanted, page_size=PAGE_SIZE if limit is None else min(limit, PAGE_SIZE)), limit, timeout)

    def watch(
        self,
        *,
        ids: Iterable[Ref] = (),
        states: Iterable[State | str] = (),
        users: Iterable[str] = (),
        queues: Iterable[str] = (),
        labels: Mapping[str, str] | None = None,
        name: str = "",
        include_ended: bool = False,
        include_elements: bool = False,
        since_revision: int = 0,
        timeout: float | None = None,
    ) -> Iterator[JobEvent]:
        """What there is now (or what changed since a revision), then SYNCED, then every change as it happens.

        Goes on by revision after a restart of the daemon. timeout: raise Timeout after so long; None: until you stop.
        """
        from aios import _requests
        from aios._streams import watched
        from aios.v1 import jobs_pb2 as pb

        wanted = _requests.job_filter(ids, states, users, queues, labels, name, include_ended, include_elements)
        request = pb.WatchJobsRequest(filter=wanted, since_revision=since_revision)
        return watched(self._channel, request, self._job, timeout)

    def wait(self, ref: Ref, *, timeout: float | None = None) -> Job:
        """The job when it has ended. Raises Timeout after `timeout` seconds; None: however long it takes."""
        from aios._waiting import awaited

        return self._job(awaited(self._channel, _ref(ref), timeout))

    def steer(self, what: Steer | str, refs: Iterable[Ref], *, reason: str = "", force: bool = False, timeout: float | None = None) -> list[Steered]:
        """Cancel, hold, release, suspend, resume or requeue a selection; one result each, in the order asked."""
        from aios._status import result_error
        from aios.v1 import jobs_pb2 as pb

        try:
            verb = Steer(str(what).lower())
        except ValueError:
            raise InvalidArgument(f"{what!r} is not something to do with a job", hint=f"allowed: {', '.join(Steer)}") from None
        ids, steered = [_ref(ref) for ref in refs], list[Steered]()
        for at in range(0, max(1, len(ids)), MOST_SELECTED):
            request = pb.JobSelection(ids=ids[at : at + MOST_SELECTED], reason=reason, force=force)
            answer = self._channel.unary(f"Jobs/{verb.capitalize()}", request, pb.SteerJobsResponse, timeout, repeatable=False)
            for one in answer.results:
                error = result_error(one.error_reason, one.error, one.hint) if one.error else None
                steered.append(Steered(one.id, error=error) if error else Steered(one.id, self._job(one.job)))
        return steered

    def cancel(self, *refs: Ref, force: bool = False, reason: str = "", timeout: float | None = None) -> list[Steered]:
        return self.steer(Steer.CANCEL, refs, reason=reason, force=force, timeout=timeout)

    def hold(self, *refs: Ref, reason: str = "", timeout: float | None = None) -> list[Steered]:
        return self.steer(Steer.HOLD, refs, reason=reason, timeout=timeout)

    def release(self, *refs: Ref, timeout: float | None = None) -> list[Steered]:
        return self.steer(Steer.RELEASE, refs, timeout=timeout)

    def suspend(self, *refs: Ref, reason: str = "", timeout: float | None = None) -> list[Steered]:
        return self.steer(Steer.SUSPEND, refs, reason=reason, timeout=timeout)

    def resume(self, *refs: Ref, timeout: float | None = None) -> list[Steered]:
        return self.steer(Steer.RESUME, refs, timeout=timeout)

    def requeue(self, *refs: Ref, reason: str = "", timeout: float | None = None) -> list[Steered]:
        return self.steer(Steer.REQUEUE, refs, reason=reason, timeout=timeout)

    def update(self, ref: Ref, *, timeout: float | None = None, **changes: Unpack[JobChanges]) -> Job:
        """Change what is named and leave the rest; the keywords are those of `Job.update`."""
        from aios import _requests
        from aios.v1 import jobs_pb2 as pb

        return self._job(self._channel.unary("Jobs/Update", _requests.update(_ref(ref), changes), pb.Job, timeout))

    def why(self, ref: Ref, *, timeout: float | None = None) -> Why:
        """Why it waits, who is ahead, when it may start, what would make it start sooner."""
        from aios import _convert
        from aios.v1 import jobs_pb2 as pb

        return _convert.why(self._channel.unary("Jobs/Why", pb.GetJobRequest(id=_ref(ref)), pb.WhyResponse, timeout))

    def stats(self, ref: Ref, *, timeout: float | None = None) -> Stats:
        """What it used over time, beside what it asked for and was given."""
        from aios import _convert
        from aios.v1 import jobs_pb2 as pb

        return _convert.stats(self._channel.unary("Jobs/Stats", pb.GetJobRequest(id=_ref(ref)), pb.JobStats, timeout))

    def log_chunks(
        self, ref: Ref, *, follow: bool = False, tail: int | None = None, output: Output | str | None = None, attempt: int = 0, timeout: float | None = None
    ) -> Iterator[LogChunk]:
        """The bytes it printed, in pieces; with `follow` the last piece has `ended`, the job as it ended.

        attempt: 0 is the latest. timeout: raise Timeout after so long; None: until the end.
        """
        from aios._streams import log_chunks
        from aios.v1 import jobs_pb2 as pb

        request = pb.JobLogsRequest(id=_ref(ref), output=_output(output), follow=follow, tail_lines=_tail(tail), attempt=attempt)
        return log_chunks(self._channel, request, self._job, timeout)

    @overload
    def log_lines(
        self, ref: Ref, *, follow: bool = ..., tail: int | None = ..., output: Output | str | None = ..., attempt: int = ..., as_bytes: Literal[False] = ...,
        timeout: float | None = ...,
    ) -> Iterator[str]: ...  # fmt: skip
    @overload
    def log_lines(
        self, ref: Ref, *, follow: bool = ..., tail: int | None = ..., output: Output | str | None = ..., attempt: int = ..., as_bytes: Literal[True],
        timeout: float | None = ...,
    ) -> Iterator[bytes]: ...  # fmt: skip
    def log_lines(
        self, ref: Ref, *, follow: bool = False, tail: int | None = None, output: Output | str | None = None, attempt: int = 0, as_bytes: bool = False,
        timeout: float | None = None,
    ) -> Iterator[str] | Iterator[bytes]:  # fmt: skip
        """The same as lines, without their line ends; see `Job.logs`."""
        from aios._streams import lines_of

        lines = lines_of(self.log_chunks(ref, follow=follow, tail=tail, output=output, attempt=attempt, timeout=timeout))
        return lines if as_bytes else (line.decode("utf-8", "replace") for line in lines)

    def write_input(self, ref: Ref, pieces: Iterable[bytes], *, timeout: float | None = None) -> int:
        """Feed the standard input of a job submitted with `stdin=True`, then close it; the bytes that it took."""
        from aios._attach import input_chunks
        from aios.v1 import jobs_pb2 as pb

        return self._channel.upload("Jobs/WriteInput", input_chunks(_ref(ref), pieces), pb.WriteInputResponse, timeout).bytes_written

    def attach(self, ref: Ref, command: Sequence[str] = (), *, rows: int = 0, columns: int = 0) -> "AttachSession":
        """A terminal beside a running job: `send`, `resize`, iterate its output; empty command: the user's shell."""
        from aios._attach import AttachSession

        return AttachSession(self._channel, _ref(ref), command, rows, columns)

    def _job(self, wire: "pb_jobs.Job") -> Job:
        from aios._convert import job_fields

        record = job_fields(wire)
        return Job(_client=self, **{one.name: getattr(record, one.name) for one in fields(record)})

    def _pages(self, request: "pb_jobs.ListJobsRequest", limit: int | None, timeout: float | None) -> Iterator[Job]:
        from aios.v1 import jobs_pb2 as pb

        left = limit
        while left is None or left > 0:
            page = self._channel.unary("Jobs/List", request, pb.ListJobsResponse, timeout)
            for wire in page.jobs if left is None else page.jobs[:left]:
                yield self._job(wire)
            left = None if left is None else left - len(page.jobs)
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token


def _ref(ref: Ref) -> str:
    from aios._requests import ref_text

    return ref_text(ref)


def _output(output: Output | str | None) -> str:
    if output is None or output == "":
        return "OUTPUT_UNSPECIFIED"
    try:
        return Output(str(output).lower()).upper()
    except ValueError:
        raise InvalidArgument(f"output {output!r} is not known", hint=f"allowed: {', '.join(Output)}; None for both") from None


def _tail(tail: int | None) -> int:
    if tail is None:
        return 0
    return parse_count(tail, what="tail", least=1, most=1 << 40)
