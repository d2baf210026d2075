"""Experiments and forecasts between wire and the lines that the simulator takes and gives."""

from collections.abc import Mapping
from math import isfinite
from typing import Any

from aios.v1 import simulation_pb2 as pb
from aiosd.errors import InvalidArgument
from aiosd.rpc import limits
from aiosd.rpc.fields import amount, few, seconds, text, texts

SOURCES = {pb.Experiment.TRACE: "trace", pb.Experiment.HISTORY: "history", pb.Experiment.POISSON: "poisson", pb.Experiment.LUBLIN: "lublin"}
ESTIMATES = {pb.Experiment.ESTIMATE_UNSPECIFIED: "", pb.Experiment.ASKED: "asked", pb.Experiment.ACTUAL: "actual", pb.Experiment.PREDICTED: "predicted"}
BACKFILLS = ("off", "easy", "conservative")
MOST_NAMES = 16
LARGEST = 1e9  # processors, GPUs


def from_experiment(wire: pb.Experiment, here: Mapping[str, Any]) -> dict[str, object]:
    """`here`: how this machine is set up, which is simulated where nothing else is named."""
    if wire.source not in SOURCES:
        raise InvalidArgument("the source is not set", hint=f"choose one of {', '.join(SOURCES.values())}", field="source")
    return {
        "source": SOURCES[wire.source],
        "name": text(wire.trace_name, "", "trace_name", limits.TEXT) or "the trace",
        "setups": _setups(wire, here),
        "cpu_millis": round(1000 * _machine(wire.cpus, "cpus")),
        "memory_bytes": amount(wire.memory_bytes, "", "memory_bytes"),
        "gpus": _whole(_machine(wire.gpus, "gpus"), "gpus"),
        "cpu_millis_delta": round(1000 * _delta(wire.cpus_delta, "cpus_delta")),
        "gpus_delta": _whole(_delta(wire.gpus_delta, "gpus_delta"), "gpus_delta"),
        "scale": seconds(wire.scale, "", "scale") or 1.0,
        "since_s": seconds(wire.since_s, "", "since_s"),
        "until_s": seconds(wire.until_s, "", "until_s"),
        "strict": wire.strict,
        "seed": wire.seed,
        "jobs": wire.jobs,
        "load": seconds(wire.load, "", "load"),
        "points": wire.points,
    }


def _setups(wire: pb.Experiment, here: Mapping[str, Any]) -> list[dict[str, object]]:
    """Every policy with every backfill. Queues, accounts and shares of this machine are for its own history: a trace has others."""
    policies = texts(wire.policies, "", "policies") or (here["policy"],)
    backfills = texts(wire.backfills, "", "backfills") or (here["rules"]["backfill"],)
    for names, field in ((policies, "policies"), (backfills, "backfills")):
        few(names, "", field, MOST_NAMES)
    unknown = [name for name in backfills if name not in BACKFILLS]
    if unknown:
        raise InvalidArgument(f"there is no backfill {unknown[0][:40]!r}", hint=f"choose among {', '.join(BACKFILLS)}", field="backfills")
    own = wire.source == pb.Experiment.HISTORY
    rules = {**(here["rules"] if own else {"weights": here["rules"]["weights"]}), "backfill_order": "shortest" if wire.shortest_first else "arrival"}
    if wire.estimate not in ESTIMATES:
        raise InvalidArgument(f"estimate is {wire.estimate}, which this daemon does not know", hint="choose asked, actual or predicted", field="estimate")
    estimate = ESTIMATES[wire.estimate] or (here["estimate"] if own else "asked")
    if wire.estimate == pb.Experiment.PREDICTED:
        rules["predict"] = True  # whoever asks for predictions means them to count beside limits
    known = {"estimate": estimate, "events": wire.events, **({"queues": here["queues"], "shares": here["shares"]} if own else {})}
    return [{"policy": policy, "rules": {**rules, "backfill": backfill}, **known} for policy in policies for backfill in backfills]


def _machine(value: float, field: str) -> float:
    if not 0 <= value <= LARGEST:
        raise InvalidArgument(f"{field} is {value}, and cannot be", hint=f"give a number from 0 to {LARGEST:g}; 0 is what the trace says", field=field)
    return value


def _delta(value: float, field: str) -> float:
    if not isfinite(value) or abs(value) > LARGEST:
        raise InvalidArgument(f"{field} is {value}, and cannot be", hint="give how many more, or fewer", field=field)
    return value


def _whole(value: float, field: str) -> int:
    if value != int(value):
        raise InvalidArgument(f"{field} is {value}, and GPUs are whole", hint="jobs may ask for parts of them", field=field)
    return int(value)


def from_forecast(wire: pb.ForecastRequest) -> dict[str, object]:
    return {
        "since_s": seconds(wire.since_s, "", "since_s"),
        "queue": text(wire.queue, "", "queue", limits.TEXT),
        "user": text(wire.user, "", "user", limits.TEXT),
        "resource": text(wire.resource, "", "resource", limits.TEXT),
        "servers_delta": wire.servers_delta,
        "arrivals_factor": seconds(wire.arrivals_factor, "", "arrivals_factor") or 1.0,
        "target_wait_s": seconds(wire.target_wait_s, "", "target_wait_s"),
        "seed": wire.seed,
    }


def to_response(line: Mapping[str, Any]) -> pb.SimulateResponse:
    """A line of the simulator. Raises KeyError for one that it does not say."""
    if "progress" in line:
        return pb.SimulateResponse(progress=pb.SimulationProgress(**line["progress"]))
    if "notes" in line:
        return pb.SimulateResponse(notes=pb.SimulationNotes(notes=line["notes"]))
    outcome = dict(line["outcome"])
    points = [pb.SeriesPoint(**point) for point in outcome.pop("series")]
    return pb.SimulateResponse(outcome=pb.SimulationOutcome(**outcome, series=points))
