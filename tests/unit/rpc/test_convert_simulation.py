"""Experiments and forecasts between wire and lines; what cannot be is refused with the name of its field."""

from typing import Any

import pytest

from aios.v1 import simulation_pb2 as pb
from aiosd.errors import InvalidArgument
from aiosd.rpc.convert_simulation import from_experiment, from_forecast, to_response
from aiosd.simulation.experiment import experiment_of
from tests.fakes.rpc_world import OUTCOME

HERE: dict[str, Any] = {
    "policy": "fair",
    "rules": {"backfill": "easy", "weights": {"age": 5.0}, "backfill_depth": 7},
    "queues": {"night": {"name": "night", "max_running": 1}},
    "shares": {"ada": 2.0},
    "estimate": "predicted",
}


def test_nothing_named_is_as_here() -> None:
    asked = experiment_of(from_experiment(pb.Experiment(source=pb.Experiment.HISTORY), HERE))
    [setup] = asked.setups
    assert (setup.policy, setup.rules.backfill, setup.rules.backfill_depth, setup.rules.weights.age) == ("fair", "easy", 7, 5.0)
    assert (setup.shares, setup.queues["night"].max_running, setup.events, asked.scale) == ({"ada": 2.0}, 1, False, 1.0)


def test_a_trace_has_neither_our_queues_nor_our_users() -> None:
    [setup] = experiment_of(from_experiment(pb.Experiment(source=pb.Experiment.TRACE), HERE)).setups
    assert (dict(setup.queues), dict(setup.shares), setup.rules.backfill_depth, setup.rules.weights.age) == ({}, {}, 1000, 5.0)


def test_every_policy_with_every_backfill() -> None:
    wire = pb.Experiment(
        source=pb.Experiment.LUBLIN, policies=["fifo", "fair"], backfills=["off", "easy"], shortest_first=True, estimate=pb.Experiment.ACTUAL, events=True
    )
    setups = experiment_of(from_experiment(wire, HERE)).setups
    assert [(s.policy, str(s.rules.backfill)) for s in setups] == [("fifo", "off"), ("fifo", "easy"), ("fair", "off"), ("fair", "easy")]
    assert all(s.rules.backfill_order == "shortest" and s.estimate == "actual" and s.events for s in setups)


@pytest.mark.parametrize(
    ("source", "estimate", "believed"),
    [
        (pb.Experiment.HISTORY, pb.Experiment.ESTIMATE_UNSPECIFIED, "predicted"), (pb.Experiment.TRACE, pb.Experiment.ESTIMATE_UNSPECIFIED, "asked"),
        (pb.Experiment.HISTORY, pb.Experiment.ASKED, "asked"), (pb.Experiment.TRACE, pb.Experiment.PREDICTED, "predicted"),
    ],
)  # fmt: skip
def test_run_times_are_believed_as_here_unless_it_is_said(source: pb.Experiment.Source, estimate: pb.Experiment.Estimate, believed: str) -> None:
    [setup] = experiment_of(from_experiment(pb.Experiment(source=source, estimate=estimate), HERE)).setups
    assert (setup.estimate, setup.rules.predict) == (believed, estimate == pb.Experiment.PREDICTED)


def test_amounts() -> None:
    wire = pb.Experiment(source=pb.Experiment.POISSON, cpus=1.5, gpus=2, cpus_delta=-0.5, gpus_delta=-1, memory_bytes=7, seed=3, jobs=4, load=0.5, points=6)
    asked = experiment_of(from_experiment(wire, HERE))
    assert (asked.cpu_millis, asked.gpus, asked.cpu_millis_delta, asked.gpus_delta, asked.memory_bytes) == (1500, 2, -500, -1, 7)
    assert (asked.seed, asked.jobs, asked.load, asked.points) == (3, 4, 0.5, 6)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"cpus": -1}, "cpus"), ({"cpus": float("nan")}, "cpus"), ({"gpus": 1e300}, "gpus"), ({"gpus": 0.5}, "gpus"), ({"gpus_delta": float("inf")}, "gpus_delta"),
        ({"scale": -1}, "scale"), ({"until_s": float("nan")}, "until_s"), ({"memory_bytes": -1}, "memory_bytes"), ({"load": -1}, "load"),
        ({"backfills": ["hard"]}, "backfills"), ({"policies": ["fifo"] * 17}, "policies"), ({"trace_name": "a\0b"}, "trace_name"), ({"source": 0}, "source"), ({"estimate": 9}, "estimate"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(fields: dict[str, Any], field: str) -> None:
    wire = pb.Experiment(**{"source": pb.Experiment.TRACE, **fields})
    with pytest.raises(InvalidArgument) as caught:
        from_experiment(wire, HERE)
    assert caught.value.facts["field"] == field


def test_lines_become_messages() -> None:
    outcome = to_response({"outcome": {**OUTCOME, "policy": "fifo", "backfill": "off"}}).outcome
    assert (outcome.policy, outcome.jobs, outcome.series[0].at_s) == ("fifo", 3, 30.0)
    assert to_response({"notes": ["a"]}).notes.notes == ["a"]
    assert to_response({"progress": {"policy": "fifo", "backfill": "off", "done": 1, "total": 2}}).progress.total == 2


def test_a_forecast() -> None:
    asked = from_forecast(pb.ForecastRequest(queue="night", servers_delta=-1, target_wait_s=60))
    assert (asked["queue"], asked["servers_delta"], asked["arrivals_factor"], asked["target_wait_s"]) == ("night", -1, 1.0, 60)
    with pytest.raises(InvalidArgument):
        from_forecast(pb.ForecastRequest(since_s=-1))
