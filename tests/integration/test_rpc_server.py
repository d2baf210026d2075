"""The server's socket: who may open it, what is there before and after, what health and reflection say."""

import asyncio
import os
import socket
import stat
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2_grpc import HealthStub
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.reflection_pb2_grpc import ServerReflectionStub

from aios.v1 import jobs_pb2 as pb
from aios.v1.jobs_pb2_grpc import JobsStub
from aiosd.errors import AlreadyRunning, ConfigError
from aiosd.rpc import server as server_module
from tests.fakes.rpc_world import World, daemon, server_of


def test_the_socket_is_its_owners_from_the_first_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No chmod is called: gRPC binds under a umask, and whatever umask there was is there again afterwards."""
    monkeypatch.setattr(os, "chmod", lambda *_, **__: pytest.fail("a chmod leaves a moment in which anybody may connect"))

    async def main() -> None:
        world = World()
        before = os.umask(0)
        try:
            async with daemon(tmp_path, world):
                mode = (tmp_path / "aiosd.sock").stat().st_mode
                assert stat.S_ISSOCK(mode)
                assert stat.S_IMODE(mode) == 0o600
                assert os.umask(0) == 0
        finally:
            os.umask(before)

    asyncio.run(main())


def test_the_socket_is_gone_when_the_server_has_stopped(tmp_path: Path) -> None:
    async def main() -> None:
        async with daemon(tmp_path, World()) as (server, _):
            await server.stop(0.0)
            assert os.listdir(tmp_path) == []
            await server.stop(0.0)  # again, for nothing

    asyncio.run(main())


def test_a_socket_that_another_put_there_meanwhile_is_left_alone(tmp_path: Path) -> None:
    async def main() -> None:
        async with daemon(tmp_path, World()):
            (tmp_path / "aiosd.sock").rename(tmp_path / "old.sock")
            (tmp_path / "aiosd.sock").write_text("another's")
        assert (tmp_path / "aiosd.sock").read_text() == "another's"

    asyncio.run(main())


def test_a_stale_socket_is_replaced(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "aiosd.sock"))

    async def main() -> None:
        async with daemon(tmp_path, World()) as (_, channel):
            assert (await JobsStub(channel).Get(pb.GetJobRequest(id="1"))).id == "42"

    asyncio.run(main())


@pytest.mark.parametrize("backlog", [0, 8])
def test_a_socket_that_answers_is_not_taken(tmp_path: Path, backlog: int) -> None:
    path = tmp_path / "aiosd.sock"
    with socket.socket(socket.AF_UNIX) as living, socket.socket(socket.AF_UNIX) as filler:
        living.bind(str(path))
        living.listen(backlog)
        if backlog == 0:
            filler.connect(str(path))  # the queue is full: a further connect would have to wait
        with pytest.raises(AlreadyRunning, match=r"aiosd\.sock"):
            asyncio.run(server_of(World(), path).start())
    assert path.exists()


def test_a_file_in_the_sockets_place_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "aiosd.sock"
    path.write_text("precious")
    with pytest.raises(ConfigError, match="is not a socket"):
        asyncio.run(server_of(World(), path).start())
    assert path.read_text() == "precious"


def test_paths_that_cannot_be_sockets_are_explained(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="bytes long, more than the 107") as caught:
        asyncio.run(server_of(World(), Path("/tmp") / ("ü" * 60)).start())
    assert caught.value.hint
    with pytest.raises(ConfigError, match="not an absolute path"):
        asyncio.run(server_of(World(), Path("aiosd.sock")).start())
    with pytest.raises(ConfigError, match="cannot listen on"):
        asyncio.run(server_of(World(), tmp_path / "missing" / "aiosd.sock").start())
    server_module.check_path("/" + "x" * 106)


@pytest.mark.parametrize("name", ["with space", "100%", "a?b#c", "ünïcode"])
def test_odd_paths_are_only_odd(tmp_path: Path, name: str) -> None:
    directory = tmp_path / name
    directory.mkdir()

    async def main() -> None:
        async with daemon(directory, World()) as (_, channel):
            assert os.listdir(directory) == ["aiosd.sock"]
            assert (await JobsStub(channel).Get(pb.GetJobRequest(id="1"))).id == "42"

    asyncio.run(main())


def test_health_follows_the_server(tmp_path: Path) -> None:
    async def main() -> None:
        server = server_of(World(), tmp_path / "aiosd.sock")
        await server.start()
        async with grpc.aio.insecure_channel(server.target) as channel, asyncio.timeout(60):
            stub = HealthStub(channel)
            watch = stub.Watch(health_pb2.HealthCheckRequest())
            assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING  # bound, and not ready
            await server.serving()
            assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
            for service in ("", "aios.v1.Jobs", "aios.v1.Node", "aios.v1.Queues"):
                answer = await stub.Check(health_pb2.HealthCheckRequest(service=service))
                assert answer.status == health_pb2.HealthCheckResponse.SERVING
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await stub.Check(health_pb2.HealthCheckRequest(service="none"))
            assert caught.value.code() is grpc.StatusCode.NOT_FOUND
            await server.stopping()
            assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
            assert (await stub.Check(health_pb2.HealthCheckRequest())).status == health_pb2.HealthCheckResponse.NOT_SERVING
            await server.serving()  # too late
            assert (await stub.Check(health_pb2.HealthCheckRequest())).status == health_pb2.HealthCheckResponse.NOT_SERVING
            async with asyncio.timeout(30):
                await server.stop(600.0)  # a watcher of health does not use up the grace

    asyncio.run(main())


def test_reflection_lists_and_describes_the_services(tmp_path: Path) -> None:
    async def main() -> None:
        async with daemon(tmp_path, World()) as (_, channel):
            asked = [
                reflection_pb2.ServerReflectionRequest(list_services=""),
                reflection_pb2.ServerReflectionRequest(file_containing_symbol="aios.v1.Jobs"),
            ]
            listed, described = [answer async for answer in ServerReflectionStub(channel).ServerReflectionInfo(iter(asked))]
            names = {service.name for service in listed.list_services_response.service}
            assert {"aios.v1.Jobs", "aios.v1.Node", "aios.v1.Queues", "grpc.health.v1.Health"} <= names
            assert b"SubmitJobsRequest" in described.file_descriptor_response.file_descriptor_proto[0]

    asyncio.run(main())
