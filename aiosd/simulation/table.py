"""Traces as CSV: a comment that says what it is, a line of titles, then a job a line.

Needed are `submit_s`, `run_s` and one of `req` (processors or GPUs), `cpu_milli`, `gpu_milli`, `gpus`. `gpu_milli` counts once for
each of `req`. Others: `walltime_req_s`, `user`, `group`, `queue`, `priority`, `qos`, `status`, `orig_wait_s`, `mem_mib`, `work`; more are passed over.
"""

import csv
import re
from collections.abc import Iterable, Iterator, Mapping

from aiosd.errors import InvalidArgument
from aiosd.simulation.rows import RawTrace, Row, capacity, number, wrong

NEEDED = ("submit_s", "run_s")
SIZES = ("req", "cpu_milli", "gpu_milli", "gpus")
_CAPACITY = re.compile(r"(\d+) (procs|processors|nodes|cpus|gpus)\b", re.IGNORECASE)
_MIB = 1 << 20


def read_table(lines: Iterable[str], name: str) -> RawTrace:
    """Raises InvalidArgument that names line and field."""
    counted = _Counted(lines)
    comment, titles = _header(counted, name)
    machine = _CAPACITY.search(comment)
    rows = [_row(dict(zip(titles, words, strict=False)), len(words) - len(titles), name, counted.line) for words in _records(counted, name) if words]
    if machine is None:
        return RawTrace(name, rows)
    return RawTrace(name, rows, capacity(machine[1], name, 1), "gpu" if machine[2].lower() == "gpus" else "cpu")


class _Counted:
    """Lines, with the number of the last one."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = iter(lines)
        self.line = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        text = next(self._lines)
        self.line += 1
        return text


def _records(lines: _Counted, name: str) -> Iterator[list[str]]:
    """The cells, record by record. Raises InvalidArgument for what is no CSV, as where a quotation mark is never closed."""
    try:
        yield from csv.reader(lines)
    except csv.Error as error:
        raise InvalidArgument(f"{name}, line {lines.line}: {error}", hint="is a quotation mark left open before it?", trace=name, line=lines.line) from None


def _header(lines: _Counted, name: str) -> tuple[str, list[str]]:
    """The comments together, and the titles."""
    comment = ""
    for text in lines:
        if text.startswith("#"):
            comment += text
        elif text.strip():
            titles = [title.strip() for title in next(_records(_Counted([text]), name))]
            missing = [title for title in NEEDED if title not in titles]
            if missing or not set(SIZES) & set(titles):
                lacking = ", ".join(missing) or f"one of {', '.join(SIZES)}"
                raise InvalidArgument(
                    f"{name}: its titles lack {lacking}", hint="the first line without # has the titles; SWF files end in .swf or .swf.gz", trace=name
                )
            return comment, titles
    raise InvalidArgument(f"{name} has no line of titles", hint="is it empty?", trace=name)


def _row(cells: Mapping[str, str], excess: int, name: str, line: int) -> Row:
    if excess:
        raise InvalidArgument(
            f"{name}, line {line}: it has {abs(excess)} fields {'more' if excess > 0 else 'less'} than titles",
            hint="correct the line, or take it out",
            trace=name,
            line=line,
        )

    def of(field: str) -> float | None:
        text = cells.get(field, "").strip()
        return number(text, name, line, field) if text else None

    def must(field: str) -> float:
        value = of(field)
        if value is None:
            raise wrong(name, line, field, "", "a number")
        return value

    size, gpus, memory_mib = of("req"), of("gpus"), of("mem_mib")
    each = of("gpu_milli")
    gpu_millis = gpus * 1000 if gpus is not None else each if each is None or size is None else each * size
    return Row(
        line,
        must("submit_s"),
        must("run_s"),
        size,
        of("walltime_req_s") or 0.0,
        cells.get("user", ""),
        cells.get("group", ""),
        cells.get("queue", ""),
        cells.get("status", ""),
        int(of("priority") or 0),
        cells.get("qos", ""),
        of("cpu_milli"),
        None if memory_mib is None else memory_mib * _MIB,
        gpu_millis,
        of("orig_wait_s"),
        cells.get("work", ""),
    )
