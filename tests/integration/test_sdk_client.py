"""The SDK against a daemon that fails on purpose: retries, resumed streams, typed errors, keys that stay the same."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from pathlib import Path

import grpc
import pytest

import aios
from aios import errors
from aios.jobs import EventKind, Steer
from aios.records import State
from aios.v1 import errors_pb2, jobs_pb2, jobs_pb2_grpc, node_pb2, node_pb2_grpc

Context = grpc.ServicerContext


class FakeJobs(jobs_pb2_grpc.JobsServicer):
    """Answers from what the test prepared, and remembers what it was asked; `failures` are used up one a call."""

    def __init__(self) -> None:
        self.asked: list[object] = []
        self.failures: list[grpc.StatusCode] = []
        self.jobs = [jobs_pb2.Job(id=str(n), phase=jobs_pb2.JOB_PHASE_QUEUED, attempt=1) for n in range(1, 6)]
        self.streams: list[Callable[[object, Context], Iterator[object]]] = []

    def _enter(self, request: object, context: Context) -> None:
        self.asked.append(request)
        if self.failures:
            context.abort(self.failures.pop(0), "on purpose")

    def Submit(self, request: jobs_pb2.SubmitJobsRequest, context: Context) -> jobs_pb2.SubmitJobsResponse:
        self._enter(request, context)
        jobs = [jobs_pb2.Job(id=str(41 + n), spec=spec, phase=jobs_pb2.JOB_PHASE_QUEUED) for n, spec in enumerate(request.specs, 1)]
        return jobs_pb2.SubmitJobsResponse(jobs=jobs)

    def Get(self, request: jobs_pb2.GetJobRequest, context: Context) -> jobs_pb2.Job:
        self._enter(request, context)
        if request.id == "404":
            detail = errors_pb2.ErrorDetail(reason="NOT_FOUND", facts={"job_id": "404"}, hint="see aiosctl ps -a")
            context.set_trailing_metadata((("aios-error-bin", detail.SerializeToString()),))
            context.abort(grpc.StatusCode.NOT_FOUND, "there is no job 404")
        if request.id == "500":
            detail = errors_pb2.ErrorDetail(reason="INVENTED_LATER", hint="upgrade")
            context.set_trailing_metadata((("aios-error-bin", detail.SerializeToString()),))
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too much of it")
        return jobs_pb2.Job(id=request.id, phase=jobs_pb2.JOB_PHASE_RUNNING, attempt=3)

    def List(self, request: jobs_pb2.ListJobsRequest, context: Context) -> jobs_pb2.ListJobsResponse:
        self._enter(request, context)
        first = int(request.page_token or 0)
        last = first + 2
        return jobs_pb2.ListJobsResponse(jobs=self.jobs[first:last], next_page_token=str(last) if last < len(self.jobs) else "")

    def Wait(self, request: jobs_pb2.WaitJobRequest, context: Context) -> jobs_pb2.Job:
        self._enter(request, context)
        if request.id == "7":
            return jobs_pb2.Job(id="7", phase=jobs_pb2.JOB_PHASE_RUNNING)
        return jobs_pb2.Job(id=request.id, phase=jobs_pb2.JOB_PHASE_FAILED, outcome=jobs_pb2.Outcome(signal=9, ended_at_s=5))

    def Requeue(self, request: jobs_pb2.JobSelection, context: Context) -> jobs_pb2.SteerJobsResponse:
        self._enter(request, context)
        result = jobs_pb2.SteerJobsResponse.Result
        bad = result(id="2", error="job 2 has ended", error_reason="FAILED_PRECONDITION", hint="look at it")
        return jobs_pb2.SteerJobsResponse(results=[result(id="1", job=self.jobs[0]), bad])

    def Watch(self, request: jobs_pb2.WatchJobsRequest, context: Context) -> Iterator[object]:
        yield from self._stream(request, context)

    def Logs(self, request: jobs_pb2.JobLogsRequest, context: Context) -> Iterator[object]:
        yield from self._stream(request, context)

    def WriteInput(self, request_iterator: Iterator[jobs_pb2.InputChunk], context: Context) -> jobs_pb2.WriteInputResponse:
        chunks = list(request_iterator)
        self.asked.append(chunks)
        return jobs_pb2.WriteInputResponse(bytes_written=sum(len(chunk.data) for chunk in chunks))

    def Attach(self, request_iterator: Iterator[jobs_pb2.AttachRequest], context: Context) -> Iterator[jobs_pb2.AttachResponse]:
        first = next(request_iterator)
        yield jobs_pb2.AttachResponse(output=f"{first.job_id} {list(first.command)} {first.rows}x{first.columns}\n".encode())
        for request in request_iterator:
            if request.input == b"exit\n":
                break
            yield jobs_pb2.AttachResponse(output=request.input or f"{request.rows}x{request.columns}".encode())
        yield jobs_pb2.AttachResponse(exit_code=3)

    def _stream(self, request: object, context: Context) -> Iterator[object]:
        kept = type(request)()
        kept.CopyFrom(request)  # type: ignore[attr-defined]
        self.asked.append(kept)
        yield from self.streams.pop(0)(request, context)


class FakeNode(node_pb2_grpc.NodeServicer):
    def Get(self, request: node_pb2.GetNodeRequest, context: Context) -> node_pb2.NodeStatus:
        return node_pb2.NodeStatus(policy="fair", jobs_by_phase={"running": 2}, daemon=node_pb2.DaemonStatus(pid=os.getpid()))


def serve(fake: FakeJobs, socket: Path) -> grpc.Server:
    server = grpc.server(futures.ThreadPoolExecutor(4), options=(("grpc.so_reuseport", 0),))
    jobs_pb2_grpc.add_JobsServicer_to_server(fake, server)
    node_pb2_grpc.add_NodeServicer_to_server(FakeNode(), server)
    server.add_insecure_port(f"unix:{socket}")
    server.start()
    return server


@pytest.fixture
def fake() -> FakeJobs:
    return FakeJobs()


@pytest.fixture
def client(fake: FakeJobs, tmp_path: Path) -> Iterator[aios.Client]:
    server = serve(fake, tmp_path / "s")
    with aios.Client(str(tmp_path / "s"), timeout=10) as made:
        yield made
    server.stop(0).wait()


def chunk(offset: int, data: bytes, output: jobs_pb2.Output = jobs_pb2.STDOUT, attempt: int = 3) -> jobs_pb2.LogChunk:
    return jobs_pb2.LogChunk(output=output, offset=offset, data=data, attempt=attempt)


def then_lost(*messages: object) -> Callable[[object, Context], Iterator[object]]:
    def stream(request: object, context: Context) -> Iterator[object]:
        yield from messages
        context.abort(grpc.StatusCode.UNAVAILABLE, "on purpose")

    return stream


def whole(*messages: object) -> Callable[[object, Context], Iterator[object]]:
    return lambda request, context: iter(messages)


ENDED = jobs_pb2.LogChunk(ended=jobs_pb2.Job(id="42", phase=jobs_pb2.JOB_PHASE_SUCCEEDED, outcome=jobs_pb2.Outcome(exit_code=0)))


def test_a_retried_submit_carries_the_same_key(client: aios.Client, fake: FakeJobs) -> None:
    fake.failures = [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNAVAILABLE]
    job = client.submit(["true"], name="x", cpus=0.5, memory="2G", gpus="a100:2", array="0-9%2", labels={"a": "b"}, time="2h", retry_on="oom,exit", retries=2)
    assert job.id == "42" and job.state is State.QUEUED and job.request.memory_bytes == 2 << 30
    requests = [one for one in fake.asked if isinstance(one, jobs_pb2.SubmitJobsRequest)]
    assert len(requests) == 3 and len({one.idempotency_key for one in requests}) == 1 and requests[0].idempotency_key
    assert {one.name: one.value for one in requests[0].environment}["PATH"] == os.environ["PATH"]
    client.submit(["true"])
    assert fake.asked[-1].idempotency_key != requests[0].idempotency_key  # type: ignore[attr-defined]


def test_errors_come_back_typed(client: aios.Client) -> None:
    with pytest.raises(errors.NotFound) as caught:
        client.job("404")
    assert (str(caught.value), caught.value.reason, caught.value.hint) == ("there is no job 404", "NOT_FOUND", "see aiosctl ps -a")
    assert caught.value.facts == {"job_id": "404"}
    with pytest.raises(errors.Exhausted) as unknown:
        client.job(500)
    assert (unknown.value.reason, unknown.value.hint) == ("INVENTED_LATER", "upgrade")
    with pytest.raises(errors.Unsupported):
        client.why(1)


def test_unavailable_ends_with_the_timeout(client: aios.Client, fake: FakeJobs) -> None:
    fake.failures = [grpc.StatusCode.UNAVAILABLE] * 1000
    with pytest.raises(errors.DaemonUnreachable):
        client.job(1, timeout=1.5)
    assert len(fake.asked) > 2


def test_steering_is_sent_once_and_answers_one_by_one(client: aios.Client, fake: FakeJobs) -> None:
    good, bad = client.steer(Steer.REQUEUE, [1, "2"])
    assert good.job is not None and good.job.id == "1" and isinstance(bad.error, errors.FailedPrecondition) and bad.error.hint == "look at it"
    fake.failures, before = [grpc.StatusCode.UNAVAILABLE], len(fake.asked)
    with pytest.raises(errors.Unavailable):
        client.requeue(1)
    assert len(fake.asked) == before + 1


def test_pages(client: aios.Client, fake: FakeJobs) -> None:
    assert [job.id for job in client.jobs(states=["queued"])] == ["1", "2", "3", "4", "5"]
    assert len(fake.asked) == 3
    assert [job.id for job in client.jobs(limit=3)] == ["1", "2", "3"]
    with pytest.raises(errors.InvalidArgument, match="state 'sleeping'"):
        client.jobs(states=["sleeping"])


def test_wait(client: aios.Client, fake: FakeJobs) -> None:
    job = client.job(9)
    assert job.wait().state is State.FAILED and job.exit_status == 137 and job.ended_at_s == 5
    with pytest.raises(errors.JobFailed) as caught:
        job.wait(check=True)
    assert caught.value.facts["exit_status"] == "137"
    with pytest.raises(errors.Timeout, match="still running"):
        client.wait(7, timeout=0.05)
    assert all(one.timeout_s > 0 for one in fake.asked if isinstance(one, jobs_pb2.WaitJobRequest))  # 0 would mean: for ever


def test_a_followed_log_goes_on_at_the_next_byte_of_the_same_attempt(client: aios.Client, fake: FakeJobs) -> None:
    fake.streams = [
        then_lost(chunk(0, b"one\ntw"), chunk(0, b"err", output=jobs_pb2.STDERR)),
        then_lost(chunk(6, b"o\nthr")),
        whole(chunk(11, b"ee\n\xff"), ENDED),
    ]
    job = client.job(42)
    assert sorted(job.logs(follow=True)) == ["err", "one", "three", "two", "\ufffd"]
    logs = [one for one in fake.asked if isinstance(one, jobs_pb2.JobLogsRequest)]
    assert [(one.stdout_offset, one.stderr_offset, one.attempt) for one in logs] == [(0, 0, 0), (6, 3, 3), (11, 3, 3)]


def test_a_followed_log_goes_from_attempt_to_attempt(client: aios.Client, fake: FakeJobs) -> None:
    fake.streams = [then_lost(chunk(0, b"one\ntw", attempt=1), chunk(0, b"again\n", attempt=2)), whole(chunk(6, b"done", attempt=2), ENDED)]
    assert list(client.log_lines(42, follow=True, tail=9)) == ["one", "tw", "again", "done"]
    logs = [one for one in fake.asked if isinstance(one, jobs_pb2.JobLogsRequest)]
    assert [(one.stdout_offset, one.attempt, one.tail_lines) for one in logs] == [(0, 0, 9), (6, 2, 0)]


def test_lines_are_whole_and_each_outputs_own(client: aios.Client, fake: FakeJobs) -> None:
    fake.streams = [
        whole(
            chunk(0, b"one\ntw"),
            chunk(0, b"bad\nwor", output=jobs_pb2.STDERR),
            chunk(6, b"o\n\n"),
            chunk(7, b"se", output=jobs_pb2.STDERR),
            chunk(9, b"\xff"),
            ENDED,
        )
    ] * 2
    assert list(client.log_lines(42, follow=True)) == ["one", "bad", "two", "", "\ufffd", "worse"]
    assert list(client.log_lines(42, follow=True, as_bytes=True))[-2:] == [b"\xff", b"worse"]


def test_the_last_piece_of_a_followed_log_is_the_end(client: aios.Client, fake: FakeJobs) -> None:
    fake.streams = [whole(chunk(0, b"x")), whole(chunk(1, b"y"), ENDED)]  # the first was cut short by a daemon that stopped well
    *pieces, last = client.log_chunks(42, follow=True)
    assert b"".join(piece.data for piece in pieces) == b"xy" and last.ended is not None and last.ended.state is State.SUCCEEDED


def test_output_is_read_once_without_follow(client: aios.Client, fake: FakeJobs) -> None:
    fake.streams = [whole(chunk(0, b"a\n"), chunk(2, b"b"))]
    assert client.job(1).output() == "a\nb"


def test_a_log_that_takes_too_long(client: aios.Client, fake: FakeJobs) -> None:
    over = threading.Event()

    def stuck(request: object, context: Context) -> Iterator[object]:
        context.add_callback(over.set)
        yield chunk(0, b"x\n")
        over.wait(10)

    fake.streams = [stuck]
    lines = client.log_lines(42, follow=True, timeout=2)
    assert next(lines) == "x"
    with pytest.raises(errors.Timeout):
        next(lines)


def test_a_watch_resumes_by_revision(client: aios.Client, fake: FakeJobs) -> None:
    def event(kind: jobs_pb2.JobEvent.Kind, revision: int, job_id: str = "") -> jobs_pb2.JobEvent:
        return jobs_pb2.JobEvent(kind=kind, revision=revision, job=jobs_pb2.Job(id=job_id) if job_id else None)

    changed, synced = jobs_pb2.JobEvent.CHANGED, jobs_pb2.JobEvent.SYNCED
    fake.streams = [
        then_lost(event(changed, 9, "1")),  # broken before SYNCED: what was sent is no whole
        then_lost(event(changed, 9, "1"), event(synced, 10), event(changed, 11, "2")),
        whole(event(changed, 12, "3")),
    ]
    events = []
    for one in client.watch():
        events.append(one)
        if one.job is not None and one.job.id == "3":
            break
    asked = [one.since_revision for one in fake.asked if isinstance(one, jobs_pb2.WatchJobsRequest)]
    assert asked == [0, 0, 11]
    assert [one.revision for one in events] == [9, 9, 10, 11, 12] and events[2].kind is EventKind.SYNCED


def test_a_client_survives_a_restart_of_the_daemon(fake: FakeJobs, tmp_path: Path) -> None:
    server = serve(fake, tmp_path / "s")
    with aios.Client(str(tmp_path / "s"), timeout=10) as client:
        assert client.job(1).id == "1"
        server.stop(0).wait()
        started: list[grpc.Server] = []
        later = threading.Timer(0.4, lambda: started.append(serve(fake, tmp_path / "s")))
        later.start()
        assert client.job(2).id == "2"
        assert client.requeue(1)[0].ref == "1"
        later.join()
        started[0].stop(0).wait()
        with pytest.raises(errors.DaemonUnreachable):
            client.job(3, timeout=0.2)


def test_a_daemon_that_is_not_there_is_told_at_once(tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(errors.DaemonUnreachable) as caught:
        aios.Client(str(tmp_path / "none")).node()
    assert time.monotonic() - began < 15 and caught.value.hint


def test_a_forked_child_uses_a_channel_of_its_own(client: aios.Client) -> None:
    assert client.node().jobs_by_state == {"running": 2}
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = 0 if client.job(5, timeout=30).id == "5" else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert client.job(6).id == "6"


def test_input_and_attach(client: aios.Client, fake: FakeJobs) -> None:
    assert client.write_input(42, iter([b"abc", b"d" * (3 << 20)])) == 3 + (3 << 20)
    chunks = fake.asked[-1]
    assert chunks[0].job_id == "42" and chunks[-1].end  # type: ignore[index]
    with client.attach(42, ["bash"], rows=24, columns=80) as session:
        session.send(b"hello")
        session.resize(30, 100)
        session.send(b"exit\n")
        assert b"".join(session) == b"42 ['bash'] 24x80\nhello30x100"
    assert session.exit_code == 3


def test_bad_input_never_reaches_the_wire(client: aios.Client, fake: FakeJobs) -> None:
    bad: list[Callable[[], object]] = [
        lambda: client.submit([]),
        lambda: client.submit(""),
        lambda: client.submit(["a\0b"]),
        lambda: client.submit(["\udcff"]),
        lambda: client.submit(["x", 1]),  # type: ignore[list-item]
        lambda: client.submit(["x"], memory="16Q"),
        lambda: client.submit(["x"], nice=20),
        lambda: client.submit(["x"], retry_on="rain"),
        lambda: client.submit(["x"], env={"A=B": "c"}),
        lambda: client.submit(["x"], gpus=1, gres="gpu=1"),
        lambda: client.submit(["x"], labels={"a": "\0"}),
        lambda: client.submit_many([]),
        lambda: client.job(""),
        lambda: client.job(1, timeout=-1),
        lambda: client.update(1),
        lambda: list(client.log_lines(1, tail=0)),
        lambda: list(client.log_lines(1, output="sideways")),
        lambda: client.steer("explode", [1]),
    ]
    for call in bad:
        with pytest.raises(errors.InvalidArgument):
            call()
    assert fake.asked == []
