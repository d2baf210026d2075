"""The Standard Workload Format of the Parallel Workloads Archive: 18 numbers a line, header comments with `;`.

Source: Chapin et al., "Benchmarks and Standards for the Evaluation of Parallel Job Schedulers", JSSPP 1999, and the archive's
own description of version 2.2. -1 is "not known" in every field.
"""

import re
from collections.abc import Iterable

from aiosd.errors import InvalidArgument
from aiosd.simulation.rows import RawTrace, Row, capacity, number

FIELDS = (
    "job number", "submit time", "wait time", "run time", "allocated processors", "average CPU time", "used memory", "requested processors",
    "requested time", "requested memory", "status", "user", "group", "application", "queue", "partition", "preceding job", "think time",
)  # fmt: skip
_STATUS = {0: "failed", 1: "succeeded", 5: "cancelled"}
_PARTIAL = (2, 3, 4)  # a checkpointed job has a line for the whole of it, and these for its parts
_CAPACITY = re.compile(r";\s*Max(?:Procs|Nodes):\s*(\d+)")


def read_swf(lines: Iterable[str], name: str) -> RawTrace:
    """Raises InvalidArgument that names line and field."""
    rows: list[Row] = []
    largest = 0
    for at, line in enumerate(lines, 1):
        text = line.strip()
        if text.startswith(";"):
            found = _CAPACITY.match(text)
            largest = max(largest, capacity(found[1], name, at)) if found else largest
        elif text:
            row = _row(text.split(), name, at)
            rows += [row] if row is not None else []
    return RawTrace(name, rows, largest, "cpu" if largest else "")


def _row(words: list[str], name: str, line: int) -> Row | None:
    """None for what is a part of another line."""
    if len(words) != len(FIELDS):
        raise InvalidArgument(
            f"{name}, line {line}: it has {len(words)} fields, not {len(FIELDS)}",
            hint="a line of SWF is 18 numbers, and a comment begins with `;`",
            trace=name,
            line=line,
        )
    values = [number(word, name, line, field) for word, field in zip(words, FIELDS, strict=True)]
    if int(values[10]) in _PARTIAL:
        return None
    asked = values[7] if values[7] > 0 else values[4]  # the requested number; what was allocated where that is not known
    memory_kib = values[9] if values[9] > 0 else None  # per processor
    return Row(
        line,
        values[1],
        values[3],
        asked,
        max(0.0, values[8]),
        _name(values[11]),
        _name(values[12]),
        _name(values[14]),
        _STATUS.get(int(values[10]), ""),
        memory_bytes=None if memory_kib is None else memory_kib * 1024 * max(0.0, asked),
        waited_s=values[2] if values[2] >= 0 else None,
    )


def _name(value: float) -> str:
    return str(int(value)) if value >= 0 else ""
