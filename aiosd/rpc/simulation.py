"""The Simulation service: convert, call, convert."""

# ruff: noqa: N802  (gRPC spells its methods with capitals)
import json
from collections.abc import AsyncIterator, Mapping

from aios.v1 import simulation_pb2 as pb
from aios.v1.simulation_pb2_grpc import SimulationServicer as Wire
from aiosd.errors import InvalidArgument
from aiosd.rpc import convert_simulation
from aiosd.rpc.auth import caller
from aiosd.rpc.context import Context
from aiosd.rpc.needs import SimulationCalls
from aiosd.rpc.streams import closing


class SimulationServicer(Wire):
    def __init__(self, simulations: SimulationCalls) -> None:
        self._simulations = simulations

    async def Simulate(self, requests: AsyncIterator[pb.SimulateRequest], context: Context) -> AsyncIterator[pb.SimulateResponse]:
        first = await anext(requests, None)
        if first is None or first.WhichOneof("part") != "experiment":
            raise InvalidArgument("the first message is not the experiment", hint="send `experiment` first, then the trace", field="experiment")
        asked = convert_simulation.from_experiment(first.experiment, self._simulations.setup())
        async with closing(self._simulations.simulate(caller().uid, asked, _pieces(requests))) as lines:
            async for line in lines:
                yield convert_simulation.to_response(line)

    async def Forecast(self, request: pb.ForecastRequest, context: Context) -> pb.ForecastResponse:
        asked = convert_simulation.from_forecast(request)
        report: Mapping[str, object] = {}
        async with closing(self._simulations.forecast(caller().uid, asked)) as lines:
            async for line in lines:
                report = line
        return pb.ForecastResponse(report_json=json.dumps(report.get("report", report)))


async def _pieces(requests: AsyncIterator[pb.SimulateRequest]) -> AsyncIterator[bytes]:
    async for request in requests:
        if request.WhichOneof("part") != "trace":
            raise InvalidArgument("a second experiment was sent in one call", hint="make a call for each", field="experiment")
        yield request.trace
