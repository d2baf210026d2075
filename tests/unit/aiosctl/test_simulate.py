"""`simulate`: what it asks the daemon, and how it shows what came out."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from aios.simulation import SeriesPoint, SimulationOutcome
from aiosctl import plot
from aiosctl.progress import Bar
from tests.unit.aiosctl.conftest import Result
from tests.unit.aiosctl.fake_client import FakeClient

Cli = Callable[..., Result]
SERIES = (SeriesPoint(50, 10, 0.5, 1.0), SeriesPoint(150, 40, 1.0, 2.0))


def test_history_with_two_more_gpus(cli: Cli, fake: FakeClient) -> None:
    said = cli("simulate", "--history", "--since", "30d", "--gpus", "+2", "--policy", "fair,fifo", "--backfill", "off,easy")
    assert said.status == 0
    [(args, asked)] = fake.called("simulate")
    assert args == (None,)
    assert {name: asked[name] for name in ("history", "since", "more_gpus", "policies", "backfills")} == {
        "history": True, "since": 30 * 86400.0, "more_gpus": 2.0, "policies": ["fair", "fifo"], "backfills": ["off", "easy"],
    }  # fmt: skip
    assert not {"cpus", "gpus", "more_cpus"} & asked.keys()
    title, row = said.out.splitlines()
    assert title.split()[:4] == ["POLICY", "BACKFILL", "JOBS", "WAIT"]
    assert row.split()[:4] == ["fifo", "easy", "3", "1m5s"]
    assert "note: 1 of 4 jobs" in said.err


def test_json_is_a_list_with_the_agreed_names(cli: Cli) -> None:
    [found] = json.loads(cli("simulate", "jobs.swf", "-o", "json", "--cpus", "100").out)
    names = ["policy", "backfill", "jobs", "wait_mean_s", "flow_mean_s", "bounded_slowdown_mean", "bounded_slowdown_max", "makespan_s", "utilisation"]
    assert list(found)[:9] == names


@pytest.mark.parametrize(
    ("words", "name", "value"),
    [
        (("--cpus", "64"), "cpus", 64.0), (("--cpus", "-2"), "more_cpus", -2.0), (("--gpus=-1",), "more_gpus", -1.0), (("--scale", "x2"), "scale", 2.0),
        (("--until", "1d"), "until", 86400.0), (("--memory", "4G"), "memory", 4 << 30), (("--order", "events"), "order", "events"),
        (("--backfill-order", "shortest"), "backfill_order", "shortest"), (("--estimate", "actual"), "estimate", "actual"), (("--strict",), "strict", True),
        (("--estimate", "predicted"), "estimate", "predicted"),
    ],
)  # fmt: skip
def test_flags(cli: Cli, fake: FakeClient, words: tuple[str, ...], name: str, value: object) -> None:
    assert cli("simulate", "jobs.csv", *words).status == 0
    assert fake.called("simulate")[0][1][name] == value


@pytest.mark.parametrize(
    "words",
    [(), ("a.csv", "--history"), ("--history", "--generate", "poisson"), ("a.csv", "--cpus", "many"), ("a.csv", "--cpus", "nan"), ("a.csv", "--scale", "0"),
     ("a.csv", "--scale", "-1"), ("a.csv", "--plot", "x.pdf"), ("a.csv", "--plot", "/nowhere/x.png"), ("a.csv", "--order", "random"),
     ("a.csv", "--estimate", "guessed")],
)  # fmt: skip
def test_wrong_usage(cli: Cli, fake: FakeClient, words: tuple[str, ...]) -> None:
    said = cli("simulate", *words)
    assert (said.status, fake.called("simulate")) == (2, [])
    assert said.err.startswith("error: ")


def outcome(series: tuple[SeriesPoint, ...] = SERIES) -> SimulationOutcome:
    return SimulationOutcome("fifo", "easy", 3, 65.0, 70.0, 1.5, 2.0, 200.0, 0.75, 1.0, 2.0, 3.0, 0.9, 1.2, 2, 0.1, series)


def test_a_plot_of_plain_characters(cli: Cli, fake: FakeClient) -> None:
    lines = list(plot.lines_of(outcome()))
    assert lines[1] == "fifo, backfill easy: mean wait of those who came then"
    assert lines[2] == "      40s | #"
    assert lines[9] == "          |##"
    assert lines[10] == "        0 +--"
    assert lines[12] == "    100 % | #"
    assert all(line.isascii() for line in lines)
    assert "utilisation" in cli("simulate", "a.csv", "--plot", "-").out
    assert fake.called("simulate")[0][1]["points"] == 72


def test_nothing_to_plot_is_no_plot() -> None:
    assert list(plot.lines_of(outcome(()))) == []


def test_a_png(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="needs the extra [plot]")
    plot.draw([outcome()], str(tmp_path / "wait.png"))
    assert (tmp_path / "wait.png").read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_it_says_what_to_install(cli: Cli, fake: FakeClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(plot.importlib.util, "find_spec", lambda name: None)
    said = cli("simulate", "a.csv", "--plot", str(tmp_path / "wait.png"))
    assert (said.status, fake.called("simulate")) == (1, [])
    assert "aiosd[plot]" in said.err


def test_a_bar_is_for_terminals_only(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with Bar() as bar:
        bar.show("fifo easy", 1, 2)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("aiosctl.progress.is_terminal", lambda stream: True)
    with Bar() as bar:
        bar.show("fifo\x1b easy", 1, 2)
        bar.show("fair", 0, 0)
    shown = capsys.readouterr().err.split("\r")
    assert shown[1].startswith("[###############...............]  50 %  fifo\\x1b easy")
    assert shown[-1] == ""


@pytest.mark.parametrize(("flag", "value"), [("--cpus", "0"), ("--gpus", "0.0"), ("--jobs", "0"), ("--load", "-1")])
def test_nothing_at_all_is_not_taken_for_the_usual(cli: Cli, fake: FakeClient, flag: str, value: str) -> None:
    said = cli("simulate", "--generate", "poisson", flag, value)
    assert said.status == 2
    assert flag in said.err
    assert "gaps" not in said.err
    assert not fake.called("simulate")
