"""The calls of the client that ask what would have been."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from aios._calls import Calls
from aios.errors import InvalidArgument, NotFound
from aios.units import parse_bytes, parse_seconds

if TYPE_CHECKING:
    from os import PathLike

    from aios.simulation import SimulationOutcome, SimulationProgress
    from aios.v1 import simulation_pb2 as pb

_PIECE_BYTES = 256 << 10


class SimulationCalls(Calls):
    """The calls of `aios.Client` that ask the simulator."""

    def simulate(
        self,
        trace: "str | PathLike[str] | None" = None,
        *,
        history: bool = False,
        generate: str | None = None,
        policies: Iterable[str] = (),
        backfills: Iterable[str] = (),
        cpus: float = 0.0,
        gpus: float = 0.0,
        more_cpus: float = 0.0,
        more_gpus: float = 0.0,
        memory: str | int = 0,
        scale: float = 1.0,
        since: str | float = 0.0,
        until: str | float = 0.0,
        backfill_order: str = "arrival",
        estimate: str | None = None,
        order: str = "instant",
        strict: bool = False,
        seed: int = 0,
        jobs: int = 0,
        load: float = 0.0,
        points: int = 0,
        on_progress: "Callable[[SimulationProgress], None] | None" = None,
        on_note: Callable[[str], None] | None = None,
    ) -> "list[SimulationOutcome]":
        """What comes of a workload under each policy with each backfill, on the daemon's own scheduling code in virtual time.

        trace       a file of jobs (SWF or CSV, .gz or not), read here; or `history=True`: this machine's own past; or `generate`
        generate    "poisson" or "lublin": made up from `seed`, `jobs` of them, with an offered `load`
        cpus, gpus  of the machine; 0: as the trace says, or as this machine has. `more_cpus`, `more_gpus`: so many beside that
        estimate    what is believed of run times: "asked" (limits), "actual" (the truth), "predicted" (what earlier runs taught by then);
                    None: of the history what this machine goes by, else "asked"
        until       only what is submitted so long after the first; `since`: of the history only so much
        raises      InvalidArgument that names line and field of the trace; Exhausted while another simulation of this user goes on
        """
        from aios.v1 import simulation_pb2 as pb

        if sum((trace is not None, history, generate is not None)) != 1:
            raise InvalidArgument("one of trace, history and generate is needed", hint='for example trace="jobs.swf.gz", or history=True')
        experiment = pb.Experiment(
            source=_source(history, generate),
            trace_name=Path(trace).name if trace is not None else "",
            policies=list(policies),
            backfills=list(backfills),
            cpus=cpus,
            gpus=gpus,
            cpus_delta=more_cpus,
            gpus_delta=more_gpus,
            memory_bytes=parse_bytes(memory, zero=True),
            scale=scale,
            since_s=parse_seconds(since, zero=True),
            until_s=parse_seconds(until, zero=True),
            shortest_first=_chosen("backfill_order", backfill_order, ("arrival", "shortest")),
            estimate=_estimate(estimate),
            events=_chosen("order", order, ("instant", "events")),
            strict=strict,
            seed=seed,
            jobs=jobs,
            load=load,
            points=points,
        )
        requests = _requests(experiment, trace)
        return _heard(self._answers(requests), on_progress, on_note)

    def _answers(self, requests: "Iterator[pb.SimulateRequest]") -> "Iterator[pb.SimulateResponse]":
        import grpc

        from aios.v1 import simulation_pb2 as pb

        answers = self._channel.duplex("Simulation/Simulate", requests, pb.SimulateResponse)
        try:
            yield from answers
        except grpc.RpcError as failure:
            raise self._channel.failed(failure, "Simulation/Simulate") from None
        finally:
            answers.cancel()


def _source(history: bool, generate: str | None) -> "pb.Experiment.Source":
    from aios.v1 import simulation_pb2 as pb

    made = {None: pb.Experiment.HISTORY if history else pb.Experiment.TRACE, "poisson": pb.Experiment.POISSON, "lublin": pb.Experiment.LUBLIN}
    if generate not in made:
        raise InvalidArgument(f"workloads {generate!r} cannot be made", hint='there are "poisson" and "lublin"')
    return made[generate]


def _estimate(given: str | None) -> "pb.Experiment.Estimate":
    from aios.v1 import simulation_pb2 as pb

    known = {None: pb.Experiment.ESTIMATE_UNSPECIFIED, "asked": pb.Experiment.ASKED, "actual": pb.Experiment.ACTUAL, "predicted": pb.Experiment.PREDICTED}
    if given not in known:
        raise InvalidArgument(f"estimate {given!r} is not known", hint="there are asked, actual and predicted")
    return known[given]


def _chosen(name: str, given: str, words: Sequence[str]) -> bool:
    """Whether it is the second of two words."""
    if given not in words:
        raise InvalidArgument(f"{name} {given!r} is not known", hint=f"there are {' and '.join(words)}")
    return given == words[1]


def _requests(experiment: "pb.Experiment", trace: "str | PathLike[str] | None") -> "Iterator[pb.SimulateRequest]":
    """Opened here, before anything is asked: a file that is not there is told as such."""
    from aios.v1 import simulation_pb2 as pb

    file = _opened(trace) if trace is not None else None

    def each() -> "Iterator[pb.SimulateRequest]":
        yield pb.SimulateRequest(experiment=experiment)
        if file is not None:
            with file:
                while piece := file.read(_PIECE_BYTES):
                    yield pb.SimulateRequest(trace=piece)

    return each()


def _opened(trace: "str | PathLike[str]") -> BinaryIO:
    try:
        return open(trace, "rb")
    except FileNotFoundError:
        raise NotFound(f"there is no file {trace}", hint="a trace is an SWF or CSV file") from None
    except OSError as error:
        raise InvalidArgument(f"{trace} cannot be read: {error.strerror}", hint="a trace is an SWF or CSV file") from None


def _heard(
    answers: "Iterator[pb.SimulateResponse]", on_progress: "Callable[[SimulationProgress], None] | None", on_note: Callable[[str], None] | None
) -> "list[SimulationOutcome]":
    from aios.simulation import SimulationProgress

    outcomes = []
    for answer in answers:
        part = answer.WhichOneof("part")
        if part == "outcome":
            outcomes.append(_outcome(answer.outcome))
        elif part == "progress" and on_progress is not None:
            said = answer.progress
            on_progress(SimulationProgress(said.policy, said.backfill, said.done, said.total))
        elif part == "notes" and on_note is not None:
            for note in answer.notes.notes:
                on_note(note)
    return outcomes


def _outcome(wire: "pb.SimulationOutcome") -> "SimulationOutcome":
    from dataclasses import fields

    from aios.simulation import SeriesPoint, SimulationOutcome

    plain = {field.name: getattr(wire, field.name) for field in fields(SimulationOutcome) if field.name != "series"}
    series = tuple(SeriesPoint(point.at_s, point.wait_mean_s, point.utilisation, point.queued) for point in wire.series)
    return SimulationOutcome(**plain, series=series)
