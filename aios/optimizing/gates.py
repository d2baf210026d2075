"""What an optimised model must be worth: `accuracy>=-0.5%`, `latency<=0.8x`, `size<=20M`; read, and judged by what was measured."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from aios.errors import InvalidArgument
from aios.units import format_bytes, parse_bytes

SIZE, LATENCY, LATENCY_P95 = "size_bytes", "latency_ms_p50", "latency_ms_p95"
ACCURACY, AGREEMENT, ERROR, SPARSITY = "accuracy", "agreement", "relative_error", "sparsity"
OF_EACH = (SIZE, LATENCY, LATENCY_P95, ACCURACY)  # of the original, too; the others are of the two, or of the optimised one alone
FIGURES = (*OF_EACH, AGREEMENT, ERROR, SPARSITY)
_SHORT = {"size": SIZE, "latency": LATENCY, "latency_p50": LATENCY, "latency_p95": LATENCY_P95, "error": ERROR}
_MS = {"": 1.0, "ms": 1.0, "s": 1000.0, "us": 0.001}
_GATE = re.compile(r"\s*([A-Za-z_0-9]+)\s*(>=|<=|>|<)\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([A-Za-z%]*)\s*", re.ASCII)
_EXAMPLES = '"accuracy>=-0.5%" (against the original), "latency<=0.8x" (so many times it), "size<=20M", "agreement>=0.99"'


@dataclass(frozen=True, slots=True)
class Gate:
    """`unit` "%": a change against the original in per cent; "x": so many times the original; "": as it is."""

    text: str
    figure: str
    operator: str
    value: float
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    gate: Gate
    passed: bool
    why: str

    def __str__(self) -> str:
        return f"{'passed' if self.passed else 'FAILED'}  {self.gate.text}: {self.why}"


def parse_gate(text: str) -> Gate:
    """Raises InvalidArgument with what is wrong and how gates are written."""
    found = _GATE.fullmatch(text)
    if found is None:
        raise InvalidArgument(
            f"the gate {text[:80]!r} is not FIGURE, one of >= <= > <, and a number", hint=f"for example {_EXAMPLES}", facts={"gate": text[:80]}
        )
    name, operator, number, unit = found.groups()
    figure = _SHORT.get(name, name)
    if figure not in FIGURES:
        raise InvalidArgument(
            f"the gate {text[:80]!r} asks for {name[:40]!r}, which is not measured",
            hint=f"measured are {', '.join((*_SHORT, ACCURACY, AGREEMENT, SPARSITY))}", facts={"gate": text[:80]},
        )  # fmt: skip
    return Gate(text.strip(), figure, operator, *_value(text, figure, number, unit))


def _value(text: str, figure: str, number: str, unit: str) -> tuple[float, str]:
    """The number in the figure's own unit, and how it is meant."""
    if unit in ("%", "x") and figure in OF_EACH:
        return float(number), unit
    if unit == "%":  # 99% of the rows
        return float(number) / 100, ""
    if figure == SIZE and not number.startswith(("-", "+")):
        return float(parse_bytes(number + unit, what=f"the gate {text[:80]!r}")), ""
    if figure in (LATENCY, LATENCY_P95) and unit in _MS:
        return float(number) * _MS[unit], ""
    if unit or figure == SIZE:
        raise InvalidArgument(f"the gate {text[:80]!r}: {number}{unit} is no {figure}", hint=f"for example {_EXAMPLES}", facts={"gate": text[:80]})
    return float(number), ""


def judged(gate: Gate, before: Mapping[str, float], after: Mapping[str, float]) -> Verdict:
    """Whether what was measured passes; a figure that is not there, or no number, does not."""
    now = after.get(gate.figure)
    was = before.get(gate.figure)
    if now is None or (gate.unit and was is None):
        return Verdict(gate, False, f"{gate.figure} was not measured")
    exact = now if was is None or not gate.unit else change_percent(was, now) if gate.unit == "%" else now / was if was else float("inf")
    measured = float(f"{exact:.9g}")  # what is -0.5 % on paper is a little less in binary
    said = format_bytes if gate.figure == SIZE else "{:.6g}".format
    passed = {">=": measured >= gate.value, "<=": measured <= gate.value, ">": measured > gate.value, "<": measured < gate.value}[gate.operator]
    return Verdict(gate, passed, f"it is {measured:.4g}{gate.unit}" + (f", {said(was)} and then {said(now)}" if gate.unit and was is not None else ""))


def change_percent(was: float, now: float) -> float:
    if was == now:
        return 0.0
    return 100 * (now - was) / abs(was) if was else float("inf") if now > was else float("-inf")
