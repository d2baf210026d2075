"""One question to the simulator, from the request to the last line."""

import io
import json
from collections.abc import Mapping
from typing import Any

import pytest

from aiosd.errors import InvalidArgument
from aiosd.simulation.__main__ import main
from aiosd.simulation.experiment import answer, experiment_of, work

CSV = b"# 4 GPUs\nsubmit_s,run_s,req,user\n0,10,4,ada\n0,10,2,bob\n5,10,1,ada\n"
PLAIN = b"submit_s,run_s,req\n0,10,4\n"
FIFO = {"policy": "fifo", "rules": {"backfill": "off"}}


def asked(**fields: object) -> dict[str, object]:
    return {"source": "trace", "name": "t.csv", "setups": [FIFO], **fields}


def lines(request: Mapping[str, object], data: bytes = CSV) -> list[Mapping[str, Any]]:
    said: list[Mapping[str, Any]] = []
    answer(request, data, said.append, lambda: 0.0)
    return said


def test_notes_progress_and_an_outcome_for_each_setup() -> None:
    said = lines(asked(setups=[FIFO, {"policy": "fair", "rules": {"backfill": "off"}}], points=2))
    outcomes = [line["outcome"] for line in said if "outcome" in line]
    assert said[0] == {"notes": ["3 jobs on 4 GPUs"]}
    assert [(o["policy"], o["backfill"], o["jobs"], o["makespan_s"]) for o in outcomes] == [("fifo", "off", 3, 20), ("fair", "off", 3, 20)]
    assert outcomes[0]["wait_mean_s"] == 5
    assert len(outcomes[0]["series"]) == 2
    names = ["policy", "backfill", "jobs", "wait_mean_s", "flow_mean_s", "bounded_slowdown_mean", "bounded_slowdown_max", "makespan_s", "utilisation"]
    assert list(outcomes[0])[:9] == names
    assert any("progress" in line for line in said)


@pytest.mark.parametrize(
    ("fields", "data", "words", "millis"),
    [
        ({}, CSV, "4 GPUs", (0, 4000)),
        ({"gpus": 8}, CSV, "8 GPUs", (0, 4000)),
        ({"gpus_delta": 2}, CSV, "6 GPUs", (0, 4000)),
        ({"gpus": 4}, PLAIN, "4 GPUs", (0, 4000)),
        ({"cpu_millis": 4000}, PLAIN, "4 processors", (4000, 0)),
        ({"cpu_millis": 6000, "cpu_millis_delta": -1000}, PLAIN, "5 processors", (4000, 0)),
        ({"source": "history", "here": {"cpu_millis": 8000, "memory_bytes": 1 << 30}}, PLAIN, "8 processors and 1 GiB of memory", (4000, 0)),
    ],
)
def test_the_machine_is_what_was_said_or_what_the_trace_says(fields: dict[str, object], data: bytes, words: str, millis: tuple[int, int]) -> None:
    trace, machine = work(experiment_of(asked(**fields)), data)
    assert machine.words == words
    assert (trace.jobs[0].cpu_millis, trace.jobs[0].gpu_millis) == millis


@pytest.mark.parametrize(
    ("request_", "data", "says"),
    [
        (asked(), PLAIN, "does not say how large its machine is"),
        (asked(gpus_delta=-5), CSV, "less than nothing"),
        (asked(gpus_delta=-4), CSV, "less than nothing"),
        (asked(source="dream"), CSV, "no experiment"),
        (asked(setups=[{"policy": "magic"}]), CSV, "there is no policy 'magic'"),
        (asked(setups=[]), CSV, "0 set-ups"),
        (asked(scale=0.0), CSV, "a scale of 0"),
        (asked(scale=-1.0), CSV, "a scale of -1"),
        (asked(until_s=-1.0), CSV, "cannot be negative"),
        (asked(jobs=-1), CSV, "cannot be negative"),
        (asked(source="poisson"), b"", "at least one processor or GPU"),
        (asked(source="poisson", here={"cpu_millis": 4000}, load=-0.5), b"", "a load of -0.5"),
    ],
)
def test_what_cannot_be_asked(request_: dict[str, object], data: bytes, says: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        lines(request_, data)
    assert says in str(caught.value)


@pytest.mark.parametrize("source", ["poisson", "lublin"])
def test_what_is_made_up(source: str) -> None:
    first, second = (lines(asked(source=source, here={"gpus": 8}, jobs=50, seed=3, setups=[FIFO])) for _ in range(2))
    assert first == second
    assert first[-1]["outcome"]["jobs"] == 50


def test_until_and_scale_hold_for_what_is_made_up_too() -> None:
    whole = work(experiment_of(asked(source="poisson", here={"cpu_millis": 4000}, jobs=100)), b"")[0].jobs
    half = work(experiment_of(asked(source="poisson", here={"cpu_millis": 4000}, jobs=100, scale=2.0, until_s=whole[50].submit_s * 2)), b"")[0].jobs
    assert len(half) == 51
    assert half[50].submit_s == 2 * whole[50].submit_s


def talk(request: bytes, data: bytes = CSV) -> tuple[int, list[Mapping[str, Any]]]:
    sink = io.BytesIO()
    status = main(io.BytesIO(request + b"\n" + data), sink)
    return status, [json.loads(line) for line in sink.getvalue().splitlines()]


def test_the_program_answers_in_lines() -> None:
    status, said = talk(json.dumps({"verb": "simulate", **asked()}).encode())
    assert (status, "outcome" in said[-1]) == (0, True)


def test_the_program_says_what_is_wrong() -> None:
    status, said = talk(json.dumps({"verb": "simulate", **asked()}).encode(), b"a,b\n")
    assert (status, said[-1]["error"]["class"], said[-1]["error"]["facts"]) == (1, "InvalidArgument", {"trace": "t.csv"})
    assert talk(b'{"verb": "dance"}')[1][-1]["error"]["hint"] == "there are simulate, forecast"
