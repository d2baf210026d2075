"""Jobs and models over a socket: what a job read and made is answered, what it left is registered again by whoever may, and who says that it is a job."""

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest

import aios
from aios.v1 import jobs_pb2 as pb
from aios.v1 import models_pb2
from aios.v1.jobs_pb2_grpc import JobsStub
from aios.v1.models_pb2_grpc import ModelsStub
from aiosd.access.principal import Principal, Role
from aiosd.models.ports import Use, UseRole
from aiosd.models.version import Kind, Lineage, Version
from aiosd.rpc.auth import Gate
from aiosd.rpc.context import Context
from tests.fakes.model_world import ModelWorld
from tests.fakes.rpc_world import World, server_of
from tests.unit.rpc.records import OWNER

ID = "0123456789ab" + "c" * 52


@dataclass
class Caller:
    """Who calls, as the test has it."""

    principal_: Principal = Principal(OWNER.uid, OWNER.gid, OWNER.name, Role.USER)

    async def principal(self, context: Context) -> Principal:
        return self.principal_


@dataclass
class Served:
    world: World
    models: ModelWorld
    caller: Caller
    target: str


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    started, ended, caller = threading.Event(), threading.Event(), Caller()
    models = ModelWorld(tmp_path)
    world = World(models=models)

    async def serve() -> None:
        server = server_of(world, tmp_path / "aiosd.sock", Gate(caller))
        await server.start()
        await server.serving()
        started.set()
        while not ended.is_set():
            await asyncio.sleep(0.01)
        await server.stop(0.0)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        assert started.wait(30)
        yield Served(world, models, caller, f"unix:{tmp_path}/aiosd.sock")
    finally:
        ended.set()
        thread.join(30)


def used(role: UseRole, kind: Kind, name: str) -> Use:
    return Use("42", role, kind, name, ID, 1.0)


def test_a_job_is_shown_with_what_it_read_and_made_to_its_own_user_alone(served: Served) -> None:
    served.world.used = [
        used(UseRole.READ, Kind.DATASET, "mnist"), used(UseRole.READ, Kind.MODEL, "base"), used(UseRole.MADE, Kind.MODEL, "digits"),
        used(UseRole.MADE, Kind.DATASET, "clean"),
    ]  # fmt: skip
    with grpc.insecure_channel(served.target) as channel:
        job = JobsStub(channel).Get(pb.GetJobRequest(id="43"))  # type: ignore[attr-defined]
        lists = job.datasets_read, job.models_read, job.models_made, job.datasets_made
        assert [list(names) for names in lists] == [[f"mnist@{ID}"], [f"base@{ID}"], [f"digits@{ID}"], [f"clean@{ID}"]]
        served.caller.principal_ = Principal(7, 7, "eve", Role.USER)
        hidden = JobsStub(channel).Get(pb.GetJobRequest(id="43"))  # type: ignore[attr-defined]
        assert hidden.redacted
        assert not (hidden.datasets_read or hidden.models_made)


def test_what_a_job_left_is_registered_again_for_its_own_user_and_for_operators(served: Served) -> None:
    served.world.problems = ["out as digits: there is no 'out'"]
    with aios.Client(served.target, autostart=False) as client:
        assert client.models.register_outputs("42") == ("out as digits: there is no 'out'",)
        served.caller.principal_ = Principal(7, 7, "eve", Role.OPERATOR)
        assert client.models.register_outputs("42")
    with grpc.insecure_channel(served.target) as channel:
        served.caller.principal_ = Principal(7, 7, "eve", Role.USER)
        with pytest.raises(grpc.RpcError) as caught:
            ModelsStub(channel).RegisterOutputs(models_pb2.RegisterOutputsRequest(job_id="42"))
        assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"AIOS_JOB_ID": "42", "AIOS_RUN_KEY": "42.-1.1", "AIOS_TARGET": "here"}, "42"),
        ({"AIOS_JOB_ID": "42", "AIOS_RUN_KEY": "42.-1.1", "AIOS_TARGET": "unix:/another/daemon.sock"}, ""),
        ({"AIOS_JOB_ID": "42", "AIOS_TARGET": "here"}, ""),  # a command of --notify: the job has ended
        ({}, ""),
    ],
)
def test_only_inside_a_job_of_that_daemon_it_is_said_which(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], said: str
) -> None:
    claimed: list[str] = []

    async def read(job_id: str, version: Version, by: Principal) -> None:
        claimed.append(job_id)

    async def complete(given: Lineage, by: Principal) -> Lineage:
        claimed.append(given.job_id)
        return given

    served.models.reader.reads, served.models.models.lineage, served.models.moves.lineage = read, complete, complete
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("AIOS_JOB_ID", "AIOS_RUN_KEY", "AIOS_TARGET"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, served.target if value == "here" else value)
    (tmp_path / "m").write_text("weights")
    with aios.Client(served.target, autostart=False) as client:
        client.models.register("digits", tmp_path / "m")
        client.models.checkout("digits")
        for _ in range(2):  # the second time it is in the cache
            client.models.checkout("digits", download=True)
        assert claimed == ([said] * 4 if said else [""])
        claimed.clear()
        client.models.alias("digits", "prod")
        client.models.rollback("digits", to="main")
        client.models.branch("digits", "side")
        (tmp_path / "m").write_text("others")
        client.models.register("digits", tmp_path / "m", branch="side")
        client.models.merge("digits", "side", strategy="ours")
        client.models.revert("digits:side", branch="side")
        client.models.remove_reference("digits:prod")
        assert claimed == [said] * 7
        assert {move.who for move in client.models.moves("digits")} == {OWNER.name + f" (job {said})" * bool(said)}
