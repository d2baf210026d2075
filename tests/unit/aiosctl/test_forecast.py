"""`forecast`: what it asks, and what it prints."""

import json
from dataclasses import replace

from aios.forecast import Assumption, Figures, Forecast, Target, WhatIf

MODEL = Figures("M/M/c", 240.0, 0.0, 1200.0, 0.4, 1.5, 0.8)
ENDLESS = Figures("G/G/c", None, None, None, 1.0, None, 1.0)
REPLAY = Figures("replay", 3600.0, 60.0, 7200.0, 0.5, 2.0, 0.79)
MEASURED = Figures("measured", 3000.0, 30.0, 7000.0, 0.45, 1.9, 0.78)
FORECAST = Forecast(
    resource="gpu", units=8.0, jobs=1204, selected=1204, span_s=29 * 86400.0, gap_mean_s=2040.0, gap_cv=3.92, run_mean_s=7800.0, run_cv=2.3, width_mean=1.7,
    width_max=4.0, servers=4.706, load=0.81, policy="fair", backfill="easy",
    checks=(Assumption("Poisson arrivals", "fails", 3.92, 0.0001, "arrivals are not Poisson (CV 3.92; KS p < 0.001): treat M/M/c as a first guess"),),
    figures=(MODEL, ENDLESS, REPLAY, MEASURED), what_if=None, target=None, notes=("believe the replay\x1b[2J",),
)  # fmt: skip


def test_theory_replay_and_measurement_stand_side_by_side(cli, fake) -> None:  # type: ignore[no-untyped-def]
    fake.forecast = lambda **asked: FORECAST
    lines = cli("forecast").out.splitlines()
    for line in (
        "8 GPUs, 1204 jobs in 29d",
        "  arrivals     one every 34m, CV 3.92",
        "  a job takes  1.7 GPUs at once on average, 4 at most: 4.71 servers",
        "Waits                  M/M/c     G/G/c   replay (fair, easy)   measured",
        "mean wait                 4m   endless                    1h        50m",
        "half wait less than       0s   endless                    1m        30s",
        "have to wait          40.0 %   100.0 %                50.0 %     45.0 %",
        "  fails  arrivals are not Poisson (CV 3.92; KS p < 0.001): treat M/M/c as a first guess",
        "note: believe the replay\\x1b[2J",
    ):
        assert line in lines
    assert not any("as asked for" in line for line in lines)


def test_what_if_and_target_are_answered(cli, fake) -> None:  # type: ignore[no-untyped-def]
    what_if = WhatIf(9.0, 1.5, 1.08, (MODEL, ENDLESS, REPLAY), ("10 of 1204 jobs ask for more, and are left out",))
    target = Target(600.0, 1.5, {"M/M/c": 6, "G/G/c": 11, "replay": None})
    fake.forecast = lambda **asked: replace(FORECAST, what_if=what_if, target=target, selected=7)
    lines = cli("forecast", "--servers", "+1").out.splitlines()
    for line in (
        "  of these jobs  7 as asked for",
        "With 9 GPUs, 1.5 times the arrivals    M/M/c     G/G/c   replay (fair, easy)",
        "note: 10 of 1204 jobs ask for more, and are left out",
        "A mean wait of 10m at 1.5 times the arrivals takes",
        "  M/M/c   6 GPUs (-2)",
        "  G/G/c   11 GPUs (+3)",
        "  replay  more than could be tried",
    ):
        assert line in lines


def test_the_question_is_handed_on(cli, fake) -> None:  # type: ignore[no-untyped-def]
    asked: list[dict[str, object]] = []
    fake.forecast = lambda **question: asked.append(question) or FORECAST
    cli("forecast")
    of_jobs = ("--since", "30d", "--queue", "night", "--user", "ada", "--resource", "cpu")
    cli("forecast", *of_jobs, "--servers", "-2", "--arrivals", "x1.5", "--target-wait", "10m", "--seed", "4")
    plain = {"since": 0.0, "queue": "", "user": "", "resource": "", "servers": 0, "arrivals": 1.0, "target_wait": 0.0, "seed": 0}
    there = {"since": 30 * 86400.0, "queue": "night", "user": "ada", "resource": "cpu", "servers": -2, "arrivals": 1.5, "target_wait": 600.0, "seed": 4}
    assert asked == [plain, there]


def test_json_is_json_though_waits_may_be_endless(cli, fake) -> None:  # type: ignore[no-untyped-def]
    fake.forecast = lambda **asked: FORECAST
    said = json.loads(cli("forecast", "-o", "json").out, parse_constant=lambda word: 1 / 0)
    assert said["figures"][1]["wait_mean_s"] is None
    assert said["checks"][0]["verdict"] == "fails"
    assert cli("forecast", "-o", "name").out == "gpu\n"


def test_what_is_no_number_of_servers_and_no_factor_is_wrong_usage(cli, fake) -> None:  # type: ignore[no-untyped-def]
    for words, complaint in (
        (("--servers", "8"), "does not say how many more or fewer"),
        (("--servers", "+x"), "is not a whole number"),
        (("--arrivals", "x0"), "is not more than 0 and at most 100"),
        (("--arrivals", "xnan"), "is not more than 0 and at most 100"),
        (("--arrivals", "many"), "is not a factor"),
        (("--resource", "tpu"), "tpu"),
        (("--target-wait", "soon"), "soon"),
    ):
        result = cli("forecast", *words)
        assert result.status == 2
        assert complaint in result.err
        assert "hint: " in result.err
