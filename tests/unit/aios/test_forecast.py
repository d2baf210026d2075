"""The SDK's question for a forecast, and what it makes of the daemon's report."""

import json
from dataclasses import asdict
from typing import Any, cast

import pytest

from aios._forecast_calls import ForecastCalls
from aios.errors import InvalidArgument
from aios.forecast import Assumption, Figures, Forecast, Target, WhatIf, forecast_of
from aios.v1 import simulation_pb2 as pb

FIGURES = Figures("M/M/c", None, 0.0, 1200.0, 0.4, None, 0.8)
FORECAST = Forecast(
    "gpu", 8.0, 1204, 1204, 1e6, 2040.0, 3.92, 7800.0, 2.3, 1.7, 4.0, 4.706, 0.81, "fair", "easy",
    (Assumption("Poisson arrivals", "fails", 3.92, 0.0001, "arrivals are not Poisson"),), (FIGURES,),
    WhatIf(9.0, 1.5, 1.08, (FIGURES,), ("a note",)), Target(600.0, 1.5, {"M/M/c": 6, "replay": None}), ("believe the replay",),
)  # fmt: skip


class OneAnswer:
    """A channel that answers every call with one report."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, pb.ForecastRequest, float]] = []

    def unary(self, method: str, request: pb.ForecastRequest, answer: type, timeout: float) -> pb.ForecastResponse:
        self.asked.append((method, request, timeout))
        return pb.ForecastResponse(report_json=json.dumps(asdict(FORECAST)))


def calls() -> tuple[ForecastCalls, OneAnswer]:
    client, channel = ForecastCalls(), OneAnswer()
    client._channel = cast(Any, channel)
    return client, channel


def test_the_report_becomes_records() -> None:
    client, channel = calls()
    assert client.forecast() == FORECAST
    (method, request, timeout), *_ = channel.asked
    assert (method, request.arrivals_factor, timeout) == ("Simulation/Forecast", 1.0, 600.0)


def test_the_question_goes_over_the_wire() -> None:
    client, channel = calls()
    client.forecast(since="30d", queue="night", user="ada", resource="gpu", servers=-2, arrivals=1.5, target_wait="10m", seed=7, timeout=5.0)
    (_, request, timeout), *_ = channel.asked
    assert request == pb.ForecastRequest(
        since_s=30 * 86400.0, queue="night", user="ada", resource="gpu", servers_delta=-2, arrivals_factor=1.5, target_wait_s=600.0, seed=7
    )
    assert timeout == 5.0
    with pytest.raises(InvalidArgument):
        client.forecast(target_wait="soon")


def test_a_report_without_questions_and_one_of_a_newer_daemon() -> None:
    plain = {**asdict(FORECAST), "what_if": None, "target": None, "of_tomorrow": 1}
    found = forecast_of(plain)
    assert (found.what_if, found.target, found.figures) == (None, None, (FIGURES,))
