"""What came of it, as people read it: a table in Markdown, for the job's output and the card of the version."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aios.optimizing.gates import ACCURACY, AGREEMENT, ERROR, FIGURES, LATENCY, LATENCY_P95, SIZE, SPARSITY, Verdict, change_percent
from aios.optimizing.measuring import Measured
from aios.optimizing.wish import Done
from aios.units import format_bytes

_TITLES = {
    SIZE: "size", LATENCY: "latency, median (ms)", LATENCY_P95: "latency, 95th percentile (ms)", ACCURACY: "accuracy", AGREEMENT: "agreement",
    ERROR: "relative error", SPARSITY: "weights that are 0",
}  # fmt: skip
_PARTS = (AGREEMENT, SPARSITY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """`source`: the version it was made from; `samples`: with what it was measured."""

    source: str
    done: Done
    measured: Measured
    samples: str
    runtime: str
    threads: int
    verdicts: Sequence[Verdict]

    @property
    def passed(self) -> bool:
        return all(each.passed for each in self.verdicts)

    @property
    def title(self) -> str:
        return f"{', '.join(self.done.did)}: from {self.source}"

    def metrics(self) -> dict[str, float]:
        return {**self.measured.after, **{f"original.{name}": value for name, value in self.measured.before.items()}}

    def markdown(self) -> str:
        """The table, how it was measured, and what the gates said."""
        before, after = self.measured.before, self.measured.after
        rows = [("", "original", "optimised", "change"), ("---", "---:", "---:", "---:")]
        rows += [_row(name, before, after) for name in FIGURES if name in after]
        widths = [max(len(row[column]) for row in rows) for column in range(4)]
        table = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows]
        how = (
            f"Measured on {os.uname().nodename} ({_processor()}), {self.threads} thread{'s' if self.threads != 1 else ''}, {self.runtime}: "
            f"{self.measured.pairs} runs of each, in turns; with {self.samples}."
        )
        gates = [f"- {each}" for each in self.verdicts]
        return "\n".join([*table, "", how, *self.done.notes, *([""] if gates else []), *gates])

    def card(self, before: str) -> str:
        """The card of the original, and what was done to it."""
        return f"{before.rstrip()}\n\n## Optimised\n\n{self.title}\n\n{self.markdown()}\n".lstrip()


def _row(name: str, before: Mapping[str, float], after: Mapping[str, float]) -> tuple[str, str, str, str]:
    was, now = before.get(name), after[name]
    change = "" if was is None else f"{change_percent(was, now):+.2f} %"
    return _TITLES[name], "" if was is None else _value(name, was), _value(name, now), change


def _value(name: str, value: float) -> str:
    if name == SIZE:
        return format_bytes(value)
    return f"{100 * value:.2f} %" if name in _PARTS else f"{value:.4g}"


def _processor() -> str:
    """The name of the processor, as Linux has it."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            return next((line.partition(":")[2].strip() for line in file if line.startswith("model name")), os.uname().machine)
    except OSError:
        return os.uname().machine
