"""Gates: what they may say, what is refused with which advice, and how they judge."""

import math

import pytest

from aios.errors import InvalidArgument
from aios.optimizing.gates import change_percent, judged, parse_gate


@pytest.mark.parametrize(
    ("text", "figure", "operator", "value", "unit"),
    [
        ("accuracy>=-0.5%", "accuracy", ">=", -0.5, "%"),
        (" accuracy >= 0.95 ", "accuracy", ">=", 0.95, ""),
        ("latency<=0.8x", "latency_ms_p50", "<=", 0.8, "x"),
        ("latency_p95<5ms", "latency_ms_p95", "<", 5.0, ""),
        ("latency<1.5s", "latency_ms_p50", "<", 1500.0, ""),
        ("latency_ms_p50<=5", "latency_ms_p50", "<=", 5.0, ""),
        ("size<=20M", "size_bytes", "<=", 20 * 2**20, ""),
        ("size_bytes<1000", "size_bytes", "<", 1000, ""),
        ("size<=-50%", "size_bytes", "<=", -50.0, "%"),
        ("agreement>=99%", "agreement", ">=", 0.99, ""),
        ("error<1e-3", "relative_error", "<", 0.001, ""),
        ("sparsity>.5", "sparsity", ">", 0.5, ""),
    ],
)
def test_what_a_gate_says(text: str, figure: str, operator: str, value: float, unit: str) -> None:
    gate = parse_gate(text)
    assert (gate.text, gate.figure, gate.operator, gate.value, gate.unit) == (text.strip(), figure, operator, pytest.approx(value), unit)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "accuracy",
        "accuracy=1",
        "accuracy==1",
        ">=1",
        "accuracy>=",
        "accuracy>=nan",
        "accuracy>=1>=2",
        "a b>=1",
        "x" * 500,
    ],
)
def test_what_is_no_gate(text: str) -> None:
    with pytest.raises(InvalidArgument, match="is not FIGURE, one of") as raised:
        parse_gate(text)
    assert "accuracy>=-0.5%" in raised.value.hint
    assert len(str(raised.value)) < 200


@pytest.mark.parametrize(
    "text", ["accuracy>=5M", "agreement>=0.9x", "size<=-5", "latency<5min", "size<=5 ducks", "error<1ms", "accuracy>=1e", "accuracy>=1 %x"]
)
def test_a_unit_that_is_not_the_figures(text: str) -> None:
    with pytest.raises(InvalidArgument):
        parse_gate(text)


def test_a_figure_that_nobody_measures() -> None:
    with pytest.raises(InvalidArgument, match="'beauty', which is not measured") as raised:
        parse_gate("beauty>1")
    assert "accuracy" in raised.value.hint and "latency_p95" in raised.value.hint


BEFORE = {"accuracy": 0.8, "size_bytes": 1000.0, "latency_ms_p50": 2.0}
AFTER = {"accuracy": 0.796, "size_bytes": 250.0, "latency_ms_p50": 3.0, "agreement": 0.9, "relative_error": 0.1}


@pytest.mark.parametrize(
    ("text", "passed"),
    [
        ("accuracy>=-0.5%", True), ("accuracy>=-0.49%", False), ("accuracy>0.796", False), ("accuracy>=0.796", True), ("accuracy>=1x", False),
        ("size<=-75%", True), ("size<0.25x", False), ("size<=0.25x", True), ("size<=250", True),
        ("latency<=1.5x", True), ("latency<1.5x", False), ("latency<=+50%", True), ("latency<=2.9ms", False),
        ("agreement>=90%", True), ("agreement>0.9", False), ("error<=0.1", True),
    ],
)  # fmt: skip
def test_how_a_gate_judges(text: str, passed: bool) -> None:
    verdict = judged(parse_gate(text), BEFORE, AFTER)
    assert verdict.passed is passed
    assert str(verdict).startswith(("passed" if passed else "FAILED") + f"  {text}: it is ")


def test_the_report_of_a_gate_has_both_values() -> None:
    assert str(judged(parse_gate("accuracy>=-0.4%"), BEFORE, AFTER)) == "FAILED  accuracy>=-0.4%: it is -0.5%, 0.8 and then 0.796"
    size = judged(parse_gate("size<=0.6x"), {"size_bytes": 4 << 20}, {"size_bytes": 3 << 20})
    assert str(size) == "FAILED  size<=0.6x: it is 0.75x, 4 MiB and then 3 MiB"


def test_what_was_not_measured_does_not_pass() -> None:
    assert not judged(parse_gate("sparsity<=1"), BEFORE, AFTER).passed
    assert "was not measured" in judged(parse_gate("accuracy<=9%"), {}, AFTER).why
    assert not judged(parse_gate("error<=9"), BEFORE, AFTER | {"relative_error": math.nan}).passed


def test_a_change_from_nothing_is_not_small() -> None:
    assert (change_percent(0, 0), change_percent(0, 1), change_percent(0, -1), change_percent(-2, -1)) == (0, math.inf, -math.inf, 50)
    assert not judged(parse_gate("accuracy<=100x"), {"accuracy": 0.0}, {"accuracy": 0.1}).passed
