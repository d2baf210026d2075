"""A forecast asked as the daemon asks it, over the scheduler itself; and what the SDK makes of the answer."""

import json
from collections.abc import Mapping
from io import BytesIO

import numpy as np
import pytest

from aios.forecast import Forecast, forecast_of
from aiosd.simulation.__main__ import main
from aiosd.simulation.history import TITLES
from aiosd.simulation.workload import poisson

HERE = {"cpu_millis": 64_000, "memory_bytes": 0, "gpus": 4}
FIFO = {"policy": "fifo", "rules": {"backfill": "off"}}


def history(jobs: int = 600, load: float = 0.8, waited_s: float = 1.0) -> bytes:
    """Jobs of one GPU and one processor, of which each waited as long."""
    made = poisson(np.random.default_rng(3), jobs, 4, load, 600.0, unit="gpu")
    lines = [_line(submit_s=1e9 + job.submit_s, run_s=job.run_s, user=job.user, cpu_milli=1000, gpus=1, orig_wait_s=waited_s) for job in made]
    return (TITLES + "".join(reversed(lines))).encode()  # newest first, as the journal has it


def _line(**cells: object) -> str:
    return ",".join(str(cells.get(title, "")) for title in TITLES.strip().split(",")) + "\n"


def ask(data: bytes, **request: object) -> Mapping[str, object]:
    """The last line that the program says."""
    sink = BytesIO()
    asked = {"verb": "forecast", "here": HERE, "setup": FIFO, "since_s": 0.0, **request}
    status = main(BytesIO(json.dumps(asked).encode() + b"\n" + data), sink)
    line: dict[str, object] = json.loads(sink.getvalue().splitlines()[-1], parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))
    assert status == ("error" in line)
    return line


def report(data: bytes, **request: object) -> Forecast:
    said = ask(data, **request)
    assert isinstance(said.get("report"), dict), said
    return forecast_of(said["report"])  # type: ignore[arg-type]


def test_theory_agrees_with_the_scheduler_itself() -> None:
    found = report(history(), servers_delta=1, arrivals_factor=1.2, target_wait_s=60.0)
    by = {one.by: one for one in found.figures}
    assert list(by) == ["M/M/c", "G/G/c", "replay", "measured"]
    assert by["M/M/c"].wait_mean_s == pytest.approx(by["replay"].wait_mean_s, rel=0.5)  # 600 jobs: the exact proof is elsewhere
    assert by["measured"].wait_mean_s == 1.0
    assert (found.policy, found.backfill, found.resource, found.units, found.jobs) == ("fifo", "off", "gpu", 4, 600)
    assert found.what_if is not None
    assert [one.by for one in found.what_if.figures] == ["M/M/c", "G/G/c", "replay"]
    assert found.target is not None
    assert list(found.target.by) == ["M/M/c", "G/G/c", "replay"]
    assert all(count is not None and 4 <= count <= 7 for count in found.target.by.values())
    assert any(check.sentence.startswith("arrivals may be Poisson (CV ") for check in found.checks)


def test_what_grows_without_end_is_null() -> None:
    found = report(history(jobs=300, load=2.0))
    assert found.figures[0].wait_mean_s is None
    assert found.figures[0].wait_p95_s is None
    assert found.figures[2].wait_mean_s is not None


def test_too_little_history_is_an_error_that_a_person_understands() -> None:
    error = ask(history(jobs=12))["error"]
    assert error == {
        "class": "FailedPrecondition", "message": "12 jobs with GPUs have ended; at least 30 are needed",
        "hint": "look further back with --since, or wait until more have run", "facts": {"jobs": "12"},
    }  # fmt: skip
    assert "no job has ended yet" in str(ask(TITLES.encode())["error"])


@pytest.mark.parametrize(
    ("request_", "word"),
    [
        ({"resource": "tpu"}, "no resource 'tpu'"),
        ({"arrivals_factor": -1.0}, "arrivals"),
        ({"servers_delta": "one"}, "no question"),
        ({"setup": {"policy": "x"}}, "policy"),
    ],
)
def test_what_is_no_question_is_refused(request_: dict[str, object], word: str) -> None:
    error = ask(history(jobs=100), **request_)["error"]
    assert isinstance(error, dict)
    assert error["class"] == "InvalidArgument"
    assert word in error["message"]
