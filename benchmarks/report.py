"""What a benchmark found: a table for people, and at the end one line of JSON for machines."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

Value = float | int | str | None
Fact = str | int | float | Sequence[float]


@dataclass(slots=True)
class Report:
    """Lines are shown when `show` is called; `columns` are the headings after the first."""

    name: str
    facts: Mapping[str, Fact]
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]] = field(default_factory=list)
    results: dict[str, dict[str, Value]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, key: str, what: str, shown: Sequence[str], **values: Value) -> None:
        """One line: `shown` are its cells, `values` the same for the JSON, with the unit in each name."""
        self.rows.append((what, *shown))
        self.results[key] = values

    def note(self, text: str) -> None:
        self.notes.append(text)

    def show(self) -> None:
        facts = ", ".join(f"{name} {_text(fact)}" for name, fact in self.facts.items())
        print(f"{self.name}: {facts}")
        for line in aligned([("", *self.columns), *self.rows]):
            print(line)
        for note in self.notes:
            print(f"- {note}")
        print(json.dumps({"benchmark": self.name, "facts": self.facts, "results": self.results, "notes": self.notes}), flush=True)


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """The first column to the left, the others to the right, two blanks between; the last is left as it is when it is text."""
    width = max(len(row) for row in rows)
    full = [[*row, *[""] * (width - len(row))] for row in rows]
    widths = [max(len(row[column]) for row in full) for column in range(width)]
    return ["  ".join([row[0].ljust(widths[0]), *(cell.rjust(widths[at]) for at, cell in enumerate(row) if at)]).rstrip() for row in full]


def seconds(value_s: float) -> str:
    """1.23 s, 4.56 ms or 78 us: three digits that mean something."""
    for least, factor, unit in ((1.0, 1.0, "s"), (1e-3, 1e3, "ms")):
        if abs(value_s) >= least:
            return f"{value_s * factor:.3g} {unit}" if value_s * factor < 1000 else f"{value_s * factor:.0f} {unit}"
    return f"{value_s * 1e6:.0f} us"


def mebibytes(value_bytes: float) -> str:
    return f"{value_bytes / (1 << 20):.1f} MiB"


def _text(fact: Fact) -> str:
    if isinstance(fact, Sequence) and not isinstance(fact, str):
        return " ".join(f"{one:g}" for one in fact)
    return f"{fact:g}" if isinstance(fact, float) else str(fact)
