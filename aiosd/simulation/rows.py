"""One line of a trace as it is written there, and the reading of its numbers: what cannot be one is named with line and field."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import NamedTuple

from aiosd.errors import InvalidArgument

LARGEST = 1e15  # what a float still counts by ones


class Row(NamedTuple):
    """`size` is a number of processors or of GPUs, as the machine says; None in the others: the trace does not say."""

    line: int
    submit_s: float
    run_s: float
    size: float | None = None
    limit_s: float = 0.0
    user: str = ""
    group: str = ""
    queue: str = ""
    status: str = ""
    priority: int = 0
    qos: str = ""
    cpu_millis: float | None = None
    memory_bytes: float | None = None
    gpu_millis: float | None = None
    waited_s: float | None = None
    work: str = ""


@dataclass(frozen=True, slots=True)
class RawTrace:
    """All rows of a trace as they stand there. `capacity` of `unit` ("cpu", "gpu") is what its header says of the machine; 0, "": nothing."""

    name: str
    rows: Sequence[Row]
    capacity: int = 0
    unit: str = ""


def number(text: str, name: str, line: int, field: str) -> float:
    """A finite number. Raises InvalidArgument."""
    try:
        value = float(text)
    except ValueError:
        raise wrong(name, line, field, text, "a number") from None
    if not isfinite(value) or abs(value) > LARGEST:
        raise wrong(name, line, field, text, f"a number of at most {LARGEST:g}")
    return value


def capacity(text: str, name: str, line: int) -> int:
    """What a comment says of the size of the machine. Raises InvalidArgument."""
    return int(number(text, name, line, "the size of the machine"))


def wrong(name: str, line: int, field: str, given: str, allowed: str) -> InvalidArgument:
    return InvalidArgument(
        f"{name}, line {line}: {field} is {given[:40]!r}, not {allowed}",
        hint="correct the line, or take it out",
        trace=name,
        line=line,
        field=field,
    )
