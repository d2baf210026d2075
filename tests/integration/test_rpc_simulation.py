"""Simulate and Forecast over a socket, and by the SDK."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest

import aios
from aios.errors import InvalidArgument, NotFound
from aios.simulation import SimulationProgress
from aios.v1 import simulation_pb2 as pb
from aios.v1.simulation_pb2_grpc import SimulationStub
from tests.fakes.rpc_world import World, daemon
from tests.integration.test_rpc_calls import refused, with_daemon


def test_the_experiment_comes_first(tmp_path: Path) -> None:
    async def nothing() -> AsyncIterator[pb.SimulateRequest]:
        for request in ():
            yield request

    async def talk(channel: grpc.aio.Channel, world: World) -> None:
        stub = SimulationStub(channel)
        for requests in (nothing(), iter([pb.SimulateRequest(trace=b"x")])):
            error = await refused(stub.Simulate(requests).read())
            assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        twice = [pb.SimulateRequest(experiment=pb.Experiment(source=pb.Experiment.TRACE))] * 2
        assert "a second experiment" in str((await refused(stub.Simulate(iter(twice)).read())).details())

    with_daemon(tmp_path, talk)


def test_a_caller_that_leaves_ends_it(tmp_path: Path) -> None:
    async def talk(channel: grpc.aio.Channel, world: World) -> None:
        experiment = pb.Experiment(source=pb.Experiment.TRACE, trace_name="endless")
        call = SimulationStub(channel).Simulate(iter([pb.SimulateRequest(experiment=experiment)]))
        assert (await call.read()).notes.notes == ["0 bytes"]
        assert (await call.read()).progress.total == 2
        call.cancel()
        await world.until("simulation closed")

    with_daemon(tmp_path, talk)


def test_forecast(tmp_path: Path) -> None:
    async def talk(channel: grpc.aio.Channel, world: World) -> None:
        answer = await SimulationStub(channel).Forecast(pb.ForecastRequest(queue="night"))
        assert answer.report_json == '{"queue": "night"}'

    with_daemon(tmp_path, talk)


def test_the_sdk_sends_the_file_and_hears_all(tmp_path: Path) -> None:
    file = tmp_path / "jobs.csv"
    file.write_bytes(b"x" * 600_000)  # several pieces
    told: list[SimulationProgress] = []
    notes: list[str] = []

    def ask(target: str) -> list[aios.simulation.SimulationOutcome]:
        with aios.Client(target, autostart=False) as client:
            with pytest.raises(NotFound, match="there is no file"):
                client.simulate(tmp_path / "missing")
            for wrong in ({}, {"history": True, "generate": "poisson"}, {"generate": "magic"}, {"history": True, "order": "random"}):
                with pytest.raises(InvalidArgument):
                    client.simulate(**wrong)  # type: ignore[arg-type]
            return client.simulate(file, policies=["fifo", "fair"], on_progress=told.append, on_note=notes.append)

    async def main() -> list[aios.simulation.SimulationOutcome]:
        async with asyncio.timeout(60), daemon(tmp_path, World()) as (server, _):
            return await asyncio.to_thread(ask, server.target)

    outcomes = asyncio.run(main())
    assert [(o.policy, o.backfill, o.jobs, o.fairness, o.series[0].queued) for o in outcomes] == [("fifo", "easy", 3, 0.9, 0.2), ("fair", "easy", 3, 0.9, 0.2)]
    assert notes == ["600000 bytes"]
    assert [progress.policy for progress in told] == ["fifo", "fair"]
