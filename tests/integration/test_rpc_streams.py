"""Long calls: readers that go away, readers that are slow, and a daemon that stops."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest

from aios.v1 import jobs_pb2 as pb
from aios.v1.jobs_pb2_grpc import JobsStub
from aiosd.errors import Unavailable
from aiosd.jobs.views import ChangeKind, JobEvent
from tests.fakes.rpc_world import World, daemon, error_of
from tests.integration.test_rpc_calls import refused, with_daemon


def test_watch_sends_what_there_is_and_what_comes(tmp_path: Path) -> None:
    async def talk(channel: grpc.aio.Channel, world: World) -> None:
        call = JobsStub(channel).Watch(pb.WatchJobsRequest(since_revision=6))
        first, second = await call.read(), await call.read()
        assert (first.kind, first.job.id, first.revision, second.kind) == (pb.JobEvent.CHANGED, "42", 7, pb.JobEvent.SYNCED)
        world.events.put_nowait(JobEvent(ChangeKind.RESYNC, 8))
        assert (await call.read()).kind == pb.JobEvent.RESYNC

    with_daemon(tmp_path, talk)


def test_logs_arrive_whole_and_end_with_the_job(tmp_path: Path) -> None:
    async def talk(channel: grpc.aio.Channel, world: World) -> None:
        world.pieces, world.piece_bytes = 5, 100_000  # larger than one message
        chunks = [chunk async for chunk in JobsStub(channel).Logs(pb.JobLogsRequest(id="42", follow=True))]
        assert sum(len(chunk.data) for chunk in chunks) == 500_000
        assert max(len(chunk.data) for chunk in chunks) == 64 * 1024
        assert [chunk.ended.id for chunk in chunks if chunk.HasField("ended")] == ["42"]
        assert chunks[-1].HasField("ended")

    with_daemon(tmp_path, talk)


@pytest.mark.parametrize("reading", [True, False], ids=["while it waits", "while it sends"])
def test_a_generator_is_closed_when_its_reader_has_gone(tmp_path: Path, reading: bool) -> None:
    """In both places where a stream can be: waiting for something to say, and held up by the reader's full window."""

    async def talk(channel: grpc.aio.Channel, world: World) -> None:
        stub = JobsStub(channel)
        if reading:
            call, closed = stub.Watch(pb.WatchJobsRequest()), "watch closed"
        else:
            call, closed = stub.Logs(pb.JobLogsRequest(id="42", follow=True)), "logs closed"
        await call.read()
        assert closed not in world.notes
        call.cancel()
        await world.until(closed)

    with_daemon(tmp_path, talk)


def test_a_generator_is_closed_when_its_readers_connection_breaks(tmp_path: Path) -> None:
    async def main() -> None:
        world = World()
        async with daemon(tmp_path, world) as (server, _):
            other = grpc.aio.insecure_channel(server.target, options=[("grpc.use_local_subchannel_pool", 1)])
            call = JobsStub(other).Attach()
            await call.write(pb.AttachRequest(job_id="42"))
            await world.until("terminal  0x0")
            await other.close(None)
            await world.until("terminal closed")

    asyncio.run(main())


def test_a_wait_is_given_up_when_nobody_waits_any_more(tmp_path: Path) -> None:
    async def talk(channel: grpc.aio.Channel, world: World) -> None:
        call = JobsStub(channel).Wait(pb.WaitJobRequest(id="42", timeout_s=3600))
        await world.until("waiting")
        call.cancel()
        await world.until("wait ended")

    with_daemon(tmp_path, talk)


def test_a_slow_reader_holds_its_generator_up_and_nobody_else(tmp_path: Path) -> None:
    async def talk(channel: grpc.aio.Channel, world: World) -> None:
        slow = JobsStub(channel).Logs(pb.JobLogsRequest(id="42", follow=True))
        await slow.read()
        seen = -1
        while seen != world.produced:  # until it stands still
            seen = world.produced
            await asyncio.sleep(0.2)
        assert world.produced * world.piece_bytes < 8 * 1024 * 1024  # the windows of one connection, not the file
        assert (await JobsStub(channel).Get(pb.GetJobRequest(id="42"))).id == "42"
        for _ in range(seen + 10):
            await slow.read()
        assert world.produced > seen  # and goes on when the reader does
        slow.cancel()
        await world.until("logs closed")

    with_daemon(tmp_path, talk)


def test_ten_readers_at_once(tmp_path: Path) -> None:
    async def talk(channel: grpc.aio.Channel, world: World) -> None:
        calls = [JobsStub(channel).Watch(pb.WatchJobsRequest()) for _ in range(10)]
        for call in calls:
            assert (await call.read()).kind == pb.JobEvent.CHANGED
            call.cancel()

    with_daemon(tmp_path, talk)


def test_an_error_in_mid_stream_is_typed(tmp_path: Path) -> None:
    async def talk(channel: grpc.aio.Channel, world: World) -> None:
        call = JobsStub(channel).Watch(pb.WatchJobsRequest())
        await call.read()
        await call.read()
        world.failure = Unavailable("the journal is closed")
        world.events.put_nowait(JobEvent(ChangeKind.SYNCED, 9))
        await call.read()
        failed = await refused(call.read())
        assert (failed.code(), str(error_of(failed))) == (grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE")
        assert "watch closed" in world.notes

    with_daemon(tmp_path, talk)


def test_a_daemon_that_stops_ends_long_calls_with_unavailable(tmp_path: Path) -> None:
    async def main() -> None:
        world = World()
        async with daemon(tmp_path, world) as (server, channel):
            stub = JobsStub(channel)
            watch, logs, wait, attach = (
                stub.Watch(pb.WatchJobsRequest()),
                stub.Logs(pb.JobLogsRequest(id="42", follow=True)),
                stub.Wait(pb.WaitJobRequest(id="42", timeout_s=3600)),
                stub.Attach(),
            )
            await attach.write(pb.AttachRequest(job_id="42"))
            chunks = aiter(logs)
            await anext(chunks)
            await watch.read()
            await watch.read()
            await world.until("waiting")
            await world.until("terminal  0x0")
            async with asyncio.timeout(30):
                stopping = asyncio.create_task(server.stop(600.0))  # does not take the grace: nothing is left to wait for
                for call in (watch.read(), _drained(chunks), wait, attach.read()):
                    failed = await refused(call)
                    error = error_of(failed)
                    assert failed.code() is grpc.StatusCode.UNAVAILABLE
                    assert error is not None
                    assert (str(error), failed.details()) == ("UNAVAILABLE", "the daemon is stopping")
                await stopping
            assert {"watch closed", "logs closed", "wait ended", "terminal closed"} <= set(world.notes)

    asyncio.run(main())


async def _drained(chunks: AsyncIterator[pb.LogChunk]) -> None:
    async for _ in chunks:
        pass
