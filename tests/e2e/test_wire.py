"""What a stranger may send: garbage, unknown fields, numbers out of range, messages too large, a million elements; the daemon goes on."""

import socket
import struct
import time

import grpc
import pytest

import aios
from aios.spec import SubmitOptions
from aios.v1 import errors_pb2, queues_pb2, resources_pb2
from aios.v1 import jobs_pb2 as pb
from tests.e2e.daemon import PATIENCE_S, Daemon, eventually

PLAIN = SubmitOptions(cpus=0.1, memory="16M", env={}, inherit_env=False, cwd="/")
Spec = pb.JobSpec


def call(daemon: Daemon, method: str, payload: bytes) -> bytes:
    with grpc.insecure_channel(daemon.target, [("grpc.max_send_message_length", -1)]) as channel:
        return channel.unary_unary(f"/aios.v1.{method}")(payload, timeout=PATIENCE_S, metadata=daemon.metadata())


def refused(daemon: Daemon, method: str, payload: bytes) -> tuple[grpc.StatusCode, str, errors_pb2.ErrorDetail]:
    with pytest.raises(grpc.RpcError) as raised:
        call(daemon, method, payload)
    error = raised.value
    detail = next((value for key, value in error.trailing_metadata() or () if key == "aios-error-bin"), b"")
    return error.code(), error.details() or "", errors_pb2.ErrorDetail.FromString(detail)


def plain(**fields: object) -> Spec:
    return Spec(**{"command": ["true"], "cwd": "/", **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize("spec", [
    Spec(), Spec(command=["true"]), Spec(command=["true"], cwd="relative"), Spec(command=[""], cwd="/"),
    plain(array="0-"), plain(array="5-1"), plain(array="0-99999999999"), plain(array="a"), plain(array="0-9%0"), plain(array="1,1"),
    plain(time_limit_s=-1), plain(time_limit_s=float("nan")), plain(time_limit_s=float("inf")), plain(grace_s=-0.5), plain(nice=99),
    plain(request=resources_pb2.Request(cpu_millis=-1)), plain(request=resources_pb2.Request(memory_bytes=-5)),
    plain(request=resources_pb2.Request(cpu_millis=(1 << 63) - 1)),
    plain(retry=pb.RetryPolicy(retries=4_000_000_000)), plain(retry=pb.RetryPolicy(retries=1, conditions=[77])),
    plain(dependencies=[pb.Dependency(kind=9, job_id="1")]), plain(dependencies=[pb.Dependency(kind=2, job_id="x y")]),
    plain(checkpoint_signal="NOPE"), plain(queue="no such queue"), plain(begin_at_s=float("nan")), plain(stdout_path="a\0b"),
], ids=lambda spec: str(spec).replace("\n", " ")[-60:])  # fmt: skip
def test_a_wrong_submission_is_refused_with_reason_and_sentence(shared: Daemon, spec: Spec) -> None:
    code, text, detail = refused(shared, "Jobs/Submit", pb.SubmitJobsRequest(specs=[spec]).SerializeToString())
    assert code in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND), (code, text)
    assert detail.reason in ("INVALID_ARGUMENT", "NOT_FOUND", "NEVER_FITS")
    assert text and "Traceback" not in text


def test_one_wrong_spec_refuses_all(shared: Daemon, client: aios.Client) -> None:
    before = len(list(client.jobs(include_ended=True)))
    refused(shared, "Jobs/Submit", pb.SubmitJobsRequest(specs=[plain(), plain(), Spec()]).SerializeToString())
    assert len(list(client.jobs(include_ended=True))) == before


def test_fields_of_a_newer_client_are_passed_over(shared: Daemon) -> None:
    unknown = b"\xfa\x7f\x05hello"  # field 2047, five bytes
    answer = pb.SubmitJobsResponse.FromString(call(shared, "Jobs/Submit", pb.SubmitJobsRequest(specs=[plain()]).SerializeToString() + unknown))
    assert answer.jobs[0].id


@pytest.mark.parametrize("method", ["Jobs/Submit", "Jobs/Get", "Jobs/List", "Queues/Set", "Node/Get"])
def test_what_is_no_protobuf_is_an_error_of_the_caller(shared: Daemon, method: str) -> None:
    code, _, _ = refused(shared, method, b"\xff\xff\xff\xff garbage")
    assert code in (grpc.StatusCode.INTERNAL, grpc.StatusCode.INVALID_ARGUMENT)  # grpc's own answer to what it cannot read
    assert shared.answers()


def test_an_oversize_message_is_refused(shared: Daemon) -> None:
    code, _, _ = refused(shared, "Jobs/Submit", pb.SubmitJobsRequest(specs=[plain(script="x" * (70 << 20))]).SerializeToString())
    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_a_page_token_that_was_made_up_is_refused(shared: Daemon) -> None:
    for token in ("-1", "zzz", "\x01", "9" * 400):
        code, text, _ = refused(shared, "Jobs/List", pb.ListJobsRequest(page_token=token).SerializeToString())
        assert code is grpc.StatusCode.INVALID_ARGUMENT, text
    code, _, _ = refused(shared, "Jobs/List", pb.ListJobsRequest(page_size=-5).SerializeToString())
    assert code is grpc.StatusCode.INVALID_ARGUMENT


def test_wrong_queues_and_policies_are_refused(shared: Daemon) -> None:
    for name in ("", "a b", "x" * 200, "../x"):
        code, text, _ = refused(shared, "Queues/Set", queues_pb2.SetQueueRequest(name=name).SerializeToString())
        assert code is grpc.StatusCode.INVALID_ARGUMENT, (name, text)
    code, text, detail = refused(shared, "Queues/SetPolicy", queues_pb2.SetPolicyRequest(name="lifo").SerializeToString())
    assert code in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND)
    assert "lifo" in text and "fifo" in text + detail.hint


def test_noise_on_the_socket_does_no_harm(shared: Daemon, client: aios.Client) -> None:
    before = eventually(shared.descriptors, "it runs")
    for noise in (b"", b"GET / HTTP/1.1\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + struct.pack(">I", 1 << 30) * 64, bytes(range(256)) * 256):
        for _ in range(5):
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stranger:
                stranger.connect(str(shared.socket))
                try:
                    stranger.sendall(noise)
                except (BrokenPipeError, ConnectionResetError):
                    continue
    assert client.submit(["true"], **PLAIN).wait().state is aios.State.SUCCEEDED
    eventually(lambda: shared.descriptors() <= before + 3, "the connections are gone")


def test_a_million_elements_are_one_small_record(daemon: Daemon) -> None:
    client = daemon.start().client()
    client.submit(["true"], **PLAIN).wait()
    before = daemon.memory_bytes()
    began_s = time.monotonic()
    job = client.submit(["true"], array="0-999999%1", hold=True, **PLAIN)
    assert time.monotonic() - began_s < 10.0  # a million of anything take longer
    assert job.array is not None and job.array.pending == 1_000_000
    assert daemon.memory_bytes() - before < 50 << 20
    daemon.restart()
    assert job.refresh().array.pending == 1_000_000  # type: ignore[union-attr]
    assert job.cancel().wait().state is aios.State.CANCELLED
