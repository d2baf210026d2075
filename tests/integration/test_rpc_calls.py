"""Calls over a real socket: every method answers, every failure is typed, wrong input of any kind is refused and nothing else."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from pathlib import Path

import grpc
import pytest
import structlog
from structlog.testing import LogCapture

from aios.v1 import admin_pb2, node_pb2, queues_pb2, resources_pb2
from aios.v1 import jobs_pb2 as pb
from aios.v1.admin_pb2_grpc import AdminStub
from aios.v1.jobs_pb2_grpc import JobsStub
from aios.v1.node_pb2_grpc import NodeStub
from aios.v1.queues_pb2_grpc import QueuesStub
from aios.v1.resources_pb2 import Reservation
from aiosd.errors import Exhausted, NeverFits
from aiosd.rpc import interceptor
from tests.fakes.rpc_world import World, daemon, error_of
from tests.unit.rpc.records import OWNER

Talk = Callable[[grpc.aio.Channel, World], Awaitable[None]]


def with_daemon(directory: Path, talk: Talk, **listening: int) -> World:
    async def main() -> World:
        world = World()
        async with asyncio.timeout(30), daemon(directory, world, **listening) as (_, channel):
            await talk(channel, world)
        return world

    return asyncio.run(main())


def recorded(monkeypatch: pytest.MonkeyPatch) -> list[MutableMapping[str, object]]:
    """What the interceptor logs from now on, whatever is configured for the process."""
    capture = LogCapture()
    logger = structlog.wrap_logger(None, processors=[capture], wrapper_class=structlog.make_filtering_bound_logger(0))
    monkeypatch.setattr(interceptor, "log", logger)
    return capture.entries


async def refused(call: Awaitable[object]) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


def test_submit_converts_calls_converts(tmp_path: Path) -> None:
    async def talk(channel: grpc.aio.Channel, world: World) -> None:
        request = pb.SubmitJobsRequest(specs=[pb.JobSpec(command=["a"]), pb.JobSpec(command=["b"])], idempotency_key="k")
        answer = await JobsStub(channel).Submit(request)
        assert [job.id for job in answer.jobs] == ["42", "43"]
        ((drafts, owner, key, digest),) = world.submitted
        assert ([draft.command for draft in drafts], owner, key, len(digest)) == ([("a",), ("b",)], OWNER, "k", 64)

    with_daemon(tmp_path, talk)


def test_every_unary_method_answers(tmp_path: Path) -> None:
    async def talk(channel: grpc.aio.Channel, world: World) -> None:
        jobs, node, queues = JobsStub(channel), NodeStub(channel), QueuesStub(channel)
        assert (await jobs.Get(pb.GetJobRequest(id="42", with_environment=True))).spec.environment[0].value == "1"
        page = await jobs.List(pb.ListJobsRequest(filter=pb.JobFilter(name="n"), page_size=3, page_token="t"))
        assert (len(page.jobs), page.next_page_token, page.revision, world.filters[0].name) == (3, "after t", 7, "n")
        assert (await jobs.Wait(pb.WaitJobRequest(id="42", timeout_s=0))).id == "42"
        assert (await jobs.Update(pb.UpdateJobRequest(id="42", priority=5))).id == "42"
        assert (await jobs.Why(pb.GetJobRequest(id="42"))).summary == "behind 41"
        assert (await jobs.Stats(pb.GetJobRequest(id="42"))).samples[0].memory_bytes == 1024
        for verb in ("Cancel", "Hold", "Release", "Suspend", "Resume", "Requeue"):
            answer = await getattr(jobs, verb)(pb.JobSelection(ids=["42", "99"], reason="r", force=True))
            assert [result.error_reason for result in answer.results] == ["", "NOT_FOUND"]
            assert f"{verb.lower()} 42,99 r True" in world.notes
        await node.SetDevice(node_pb2.SetDeviceRequest(device_id="gpu-1", quarantined=True, reason="smells"))
        assert f"device gpu-1 True smells {OWNER.name}" in world.notes
        asked = Reservation(from_s=10, until_s=20, users=["ann", "@lab"], request={"cpu_millis": 2000}, reason="demo")
        made = await node.Reserve(node_pb2.ReserveRequest(reservation=asked))
        assert (made.id, list(made.users), made.request.cpu_millis, made.reason, made.created_by) == (3, ["ann", "@lab"], 2000, "demo", OWNER.name)
        assert (await node.Unreserve(node_pb2.UnreserveRequest(id=7))).id == 7
        assert (await node.Drain(node_pb2.DrainRequest())).drained
        assert not (await node.Resume(node_pb2.ResumeRequest())).drained
        assert (await node.Get(node_pb2.GetNodeRequest())).inventory.hostname == "box"
        assert list((await node.Reload(node_pb2.ReloadRequest())).applied) == ["log.level"]
        await node.Stop(node_pb2.StopRequest())
        assert (await queues.List(queues_pb2.ListQueuesRequest())).queues[0].queued == 1
        assert (await queues.Get(queues_pb2.GetQueueRequest(name="q"))).name == "q"
        assert (await queues.Set(queues_pb2.SetQueueRequest(name="q", open=False))).name == "q"
        assert (await queues.GetPolicy(queues_pb2.GetPolicyRequest())).summary == "in order"
        assert (await queues.SetPolicy(queues_pb2.SetPolicyRequest(name="fifo"))).name == "fifo"
        assert [qos.queued for qos in (await queues.ListQos(queues_pb2.ListQosRequest())).qos] == [2]
        tree = await queues.Shares(queues_pb2.SharesRequest())
        assert ([node.name for node in tree.nodes], tree.half_life_s) == (["ada"], 3600.0)
        assert {"queue q False", "asked to stop", "update 42 5"} <= set(world.notes)

    with_daemon(tmp_path, talk)


def test_a_typed_error_arrives_with_its_reason_facts_and_hint(tmp_path: Path) -> None:
    async def talk(channel: grpc.aio.Channel, world: World) -> None:
        world.failure = NeverFits("8 gpus asked, the machine has 2", hint="ask for 2 or less", resource="gpu", asked=8)
        failed = await refused(JobsStub(channel).Submit(pb.SubmitJobsRequest(specs=[pb.JobSpec()])))
        error = error_of(failed)
        assert (failed.code(), failed.details()) == (grpc.StatusCode.INVALID_ARGUMENT, "8 gpus asked, the machine has 2")
        assert error is not None
        assert (str(error), error.hint, error.facts) == ("NEVER_FITS", "ask for 2 or less", {"resource": "gpu", "asked": "8"})
        world.failure = Exhausted("x" * 100_000, hint="ü" * 10_000, fact="漢" * 10_000)
        failed = await refused(JobsStub(channel).Get(pb.GetJobRequest(id="1")))
        error = error_of(failed)
        assert error is not None
        assert (failed.code(), str(error)) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "EXHAUSTED")

    with_daemon(tmp_path, talk)


def test_what_nobody_expected_gets_an_incident_that_the_log_knows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failures: list[grpc.aio.AioRpcError] = []

    async def talk(channel: grpc.aio.Channel, world: World) -> None:
        world.failure = ZeroDivisionError("secret")
        failures.append(await refused(JobsStub(channel).Get(pb.GetJobRequest(id="1"))))
        failures.append(await refused(_all(JobsStub(channel).Watch(pb.WatchJobsRequest()))))
        world.failure = None
        assert (await JobsStub(channel).Get(pb.GetJobRequest(id="1"))).id == "42"  # and the daemon goes on

    logs = recorded(monkeypatch)
    with_daemon(tmp_path, talk)
    crashes = [entry for entry in logs if entry["event"] == "call crashed"]
    for failed, crash, method in zip(failures, crashes, ["/aios.v1.Jobs/Get", "/aios.v1.Jobs/Watch"], strict=True):
        assert failed.code() is grpc.StatusCode.INTERNAL
        assert crash["incident"] in str(failed.details())
        assert "secret" not in str(failed.details())
        assert isinstance(crash["exc_info"], ZeroDivisionError)
        assert (crash["method"], crash["log_level"]) == (method, "error")


def test_failed_calls_are_logged_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def talk(channel: grpc.aio.Channel, world: World) -> None:
        await refused(JobsStub(channel).Get(pb.GetJobRequest(id="99")))

    logs = recorded(monkeypatch)
    with_daemon(tmp_path, talk)
    (entry,) = [entry for entry in logs if entry["event"] == "call failed"]
    assert {"method": "/aios.v1.Jobs/Get", "code": "NOT_FOUND", "reason": "NOT_FOUND", "fact_job": "99", "log_level": "debug"}.items() <= entry.items()


@pytest.mark.parametrize(
    ("method", "request_", "field"),
    [
        ("Get", pb.GetJobRequest(), "id"),
        ("Get", pb.GetJobRequest(id="a\0"), "id"),
        ("Submit", pb.SubmitJobsRequest(), "specs"),
        ("Submit", pb.SubmitJobsRequest(specs=[pb.JobSpec(time_limit_s=float("nan"))]), "time_limit_s"),
        ("Submit", pb.SubmitJobsRequest(specs=[pb.JobSpec(dependencies=[pb.Dependency(kind=77, job_id="1")])]), "dependencies[0].kind"),  # type: ignore[arg-type]
        ("Submit", pb.SubmitJobsRequest(specs=[pb.JobSpec(request=resources_pb2.Request(memory_bytes=-1))] * 2), "specs[0].request.memory_bytes"),
        ("List", pb.ListJobsRequest(filter=pb.JobFilter(phases=[55])), "filter.phases[0]"),  # type: ignore[list-item]
        ("List", pb.ListJobsRequest(page_size=-1), "page_size"),
        ("Wait", pb.WaitJobRequest(id="1", timeout_s=float("inf")), "timeout_s"),
        ("Cancel", pb.JobSelection(), "ids"),
        ("Update", pb.UpdateJobRequest(priority=1), "id"),
        ("Logs", pb.JobLogsRequest(id="1", output=9), "output"),  # type: ignore[arg-type]
        ("Watch", pb.WatchJobsRequest(since_revision=-1), "since_revision"),
    ],
)
def test_wrong_input_is_an_invalid_argument_that_names_its_field(tmp_path: Path, method: str, request_: pb.JobSpec, field: str) -> None:
    async def talk(channel: grpc.aio.Channel, world: World) -> None:
        call = getattr(JobsStub(channel), method)(request_)
        failed = await refused(_all(call) if method in ("Logs", "Watch") else call)
        error = error_of(failed)
        assert failed.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert error is not None
        assert (str(error), error.facts["field"]) == ("INVALID_ARGUMENT", field)
        assert error.hint
        assert not world.submitted

    with_daemon(tmp_path, talk)


def test_unknown_fields_are_let_be_and_bytes_that_are_no_message_refused(tmp_path: Path) -> None:
    async def talk(channel: grpc.aio.Channel, world: World) -> None:
        raw = channel.unary_unary("/aios.v1.Jobs/Get")
        assert pb.Job.FromString(await raw(pb.GetJobRequest(id="1").SerializeToString() + b"\xfa\x3f\x03new")).id == "42"
        failed = await refused(raw(b"\xff\xff\xff"))
        assert (failed.code(), str(error_of(failed))) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT")
        assert (await refused(raw(b"\x0a\x02\xff\xfe"))).code() is grpc.StatusCode.INVALID_ARGUMENT  # a string that is not UTF-8
        assert (await refused(channel.stream_unary("/aios.v1.Jobs/WriteInput")(iter([b"\xff"])))).code() is grpc.StatusCode.INVALID_ARGUMENT
        assert (await refused(_all(channel.unary_stream("/aios.v1.Jobs/Watch")(b"\xff")))).code() is grpc.StatusCode.INVALID_ARGUMENT
        assert pb.Job.FromString(await raw(pb.GetJobRequest(id="1").SerializeToString())).id == "42"

    with_daemon(tmp_path, talk)


def test_methods_that_do_not_exist_are_unimplemented(tmp_path: Path) -> None:
    async def talk(channel: grpc.aio.Channel, world: World) -> None:
        failed = await refused(channel.unary_unary("/aios.v1.Jobs/Dance")(b""))
        assert failed.code() is grpc.StatusCode.UNIMPLEMENTED

    with_daemon(tmp_path, talk)


def test_a_message_that_is_too_large_is_refused_and_the_next_is_not(tmp_path: Path) -> None:
    async def talk(channel: grpc.aio.Channel, world: World) -> None:
        stub = JobsStub(channel)
        failed = await refused(stub.Submit(pb.SubmitJobsRequest(specs=[pb.JobSpec(script="x" * 200_000)])))
        assert failed.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "larger than max" in str(failed.details())
        assert error_of(failed) is None  # gRPC's own, told apart from ours by the missing trailer
        assert await stub.Submit(pb.SubmitJobsRequest(specs=[pb.JobSpec(script="x" * 50_000)]))

    with_daemon(tmp_path, talk, max_receive_bytes=100_000)


def test_input_is_written_and_counted(tmp_path: Path) -> None:
    async def talk(channel: grpc.aio.Channel, world: World) -> None:
        stub = JobsStub(channel)
        chunks = [pb.InputChunk(job_id="42", data=b"ab"), pb.InputChunk(data=b"cd"), pb.InputChunk(end=True)]
        assert (await stub.WriteInput(iter(chunks))).bytes_written == 4
        assert (world.typed, world.notes) == (b"abcd", ["input ended"])
        assert (await stub.WriteInput(iter(chunks[:1]))).bytes_written == 2
        assert world.notes == ["input ended"]  # nobody said end: the input stays open
        for wrong in ([], [pb.InputChunk(data=b"x")], [pb.InputChunk(job_id="1"), pb.InputChunk(job_id="2")]):
            assert (await refused(stub.WriteInput(iter(wrong)))).code() is grpc.StatusCode.INVALID_ARGUMENT
        assert (await refused(stub.WriteInput(iter([pb.InputChunk(job_id="99")])))).code() is grpc.StatusCode.NOT_FOUND

    with_daemon(tmp_path, talk)


def test_a_terminal_is_typed_into_resized_and_ends_with_its_exit_code(tmp_path: Path) -> None:
    async def talk(channel: grpc.aio.Channel, world: World) -> None:
        call = JobsStub(channel).Attach()
        await call.write(pb.AttachRequest(job_id="42", command=["sh", "-i"], rows=24, columns=80))
        await call.write(pb.AttachRequest(input=b"ls"))
        assert (await call.read()).output == b"ls"
        await call.write(pb.AttachRequest(rows=50, columns=100))
        assert (await call.read()).output == b"50x100"
        await call.write(pb.AttachRequest(input=b"exit"))
        last = await call.read()
        assert (last.HasField("exit_code"), last.exit_code) == (True, 7)
        assert await call.read() is grpc.aio.EOF
        assert world.notes == ["terminal sh -i 24x80", "terminal closed"]

    with_daemon(tmp_path, talk)


async def _all(call: AsyncIterator[object]) -> list[object]:
    return [message async for message in call]


def test_backup_and_check_convert_call_convert(tmp_path: Path) -> None:
    async def talk(channel: grpc.aio.Channel, world: World) -> None:
        admin = AdminStub(channel)
        done = await admin.Backup(admin_pb2.BackupRequest(path="/b"))
        assert (done.path, done.bytes, done.jobs, done.took_s, len(done.sha256)) == ("/b", 10, 2, 0.5, 64)
        assert (done.models_bytes, done.models_new_bytes, done.models_lost) == (5, 3, 0)
        await admin.Backup(admin_pb2.BackupRequest(path="/c", without_models=True))
        assert (await refused(admin.Backup(admin_pb2.BackupRequest()))).code() is grpc.StatusCode.INVALID_ARGUMENT
        found = await admin.Check(admin_pb2.CheckRequest(repair=True))
        assert [(f.subject, f.problem, f.repaired, f.action) for f in found.findings] == [("job 1", "is lost", True, "done")]
        assert found.checked == 7

    assert {"backup /b", "backup /c without models"} <= set(with_daemon(tmp_path, talk).notes)
