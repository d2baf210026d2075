"""How versions, models and references read in one cell, and the progress of what takes a while."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from aios.units import format_bytes, format_seconds
from aios.versions import Model, Progress, Schema, Tensor, Version
from aiosctl import session
from aiosctl.describe import number
from aiosctl.output import is_terminal, truncated

if TYPE_CHECKING:
    from aios._model_calls import StoreCalls

SHORT = 12
ORIGINAL = "original."  # begins the names of metrics that were measured of the version it was made from
COLOURS = {"flagged": "yellow", "damaged": "red"}
_EVERY_S = 0.2
_CELLS = 100


@contextmanager
def calls(kind: str) -> "Iterator[StoreCalls]":
    """The calls about models, or about datasets."""
    with session.connect() as client:
        yield client.models if kind == "model" else client.datasets


def metrics(values: Mapping[str, float]) -> str:
    """`accuracy=0.97 size_bytes=1.2MiB`; without those of another version."""
    return " ".join(f"{name}={_metric(name, value)}" for name, value in _own(values))


def metric_rows(values: Mapping[str, float]) -> list[tuple[str, str]]:
    """Each metric; beside it that of the version it was made from, where both were measured."""
    before = {name: f"  (was {_metric(name, values[ORIGINAL + name])})" for name in values if ORIGINAL + name in values}
    return [(name, _metric(name, value) + before.get(name, "")) for name, value in _own(values)]


def _own(values: Mapping[str, float]) -> list[tuple[str, float]]:
    return sorted((name, value) for name, value in values.items() if not (name.startswith(ORIGINAL) and name.removeprefix(ORIGINAL) in values))


def _metric(name: str, value: float) -> str:
    return size(int(value)) if name.endswith("_bytes") else number(value)


def labels(values: Mapping[str, str]) -> str:
    return " ".join(f"{name}={value}" for name, value in sorted(values.items()))


def first_line(text: str) -> str:
    return text.strip().partition("\n")[0]


def many(count: int, thing: str) -> str:
    """`1 chunk`, `2 chunks`."""
    return f"{count} {thing}{'s' if count != 1 else ''}"


def version_id(id: str) -> str:
    return id[:SHORT]


def age(at_s: float) -> str:
    """`3d ago`: how long, in one unit."""
    passed_s = max(0, int(time.time() - at_s))
    unit_s = next((unit for unit in (86_400, 3_600, 60) if passed_s >= unit), 1)
    return f"{format_seconds(passed_s - passed_s % unit_s)} ago"


def size(size_bytes: int) -> str:
    return format_bytes(size_bytes).replace(" ", "")


def tensor(one: Tensor) -> str:
    """`x float32 [?, 64]`"""
    shape = f" [{', '.join('?' if each < 0 else str(each) for each in one.shape)}]" if one.shape else ""
    return f"{one.name} {one.dtype}{shape}"


def tensors(many: Iterable[Tensor]) -> str:
    return "; ".join(map(tensor, many))


def parameters(count: int) -> str:
    """`22.7 million`, as people say it."""
    for unit, word in ((1e12, " trillion"), (1e9, " billion"), (1e6, " million"), (1e3, " thousand")):
        if count >= unit:
            return f"{count / unit:.3g}{word}"
    return str(count) if count else ""


def format_of(schema: Schema) -> str:
    framework = "" if schema.framework == schema.format else schema.framework
    return " ".join(word for word in (schema.format, framework, f"opset {schema.opset}" if schema.opset else "") if word)


def shown(model: Model, cell: Callable[[Version], str]) -> str:
    """Of the version that was asked for, else of the latest."""
    version = model.found or model.latest
    return cell(version) if version is not None else "-"


@contextmanager
def progress_line(verb: str) -> "Iterator[Callable[[Progress], None] | None]":
    """On a terminal one line of stderr that says how far it is, gone when it is done; elsewhere nothing."""
    if not is_terminal(sys.stderr):
        yield None
        return
    began_s = time.monotonic()
    shown_s = 0.0

    def show(at: Progress) -> None:
        nonlocal shown_s
        now_s = time.monotonic()
        if now_s - shown_s < _EVERY_S:
            return
        shown_s = now_s
        sys.stderr.write(f"\r\x1b[K{truncated(progress_text(verb, at, now_s - began_s), _CELLS)}")
        sys.stderr.flush()

    try:
        yield show
    finally:
        if shown_s:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def progress_text(verb: str, at: Progress, took_s: float) -> str:
    """`registering 42% of 1.2 GiB, 310 MiB new, 512 MiB/s, model.onnx`"""
    part = f"{100 * at.done / at.total:.0f}% of {format_bytes(at.total)}" if at.total else format_bytes(at.done)
    new = f"{format_bytes(at.stored)} new" if at.stored else ""
    rate = f"{format_bytes(at.done / took_s)}/s" if took_s > 1 else ""
    return ", ".join(word for word in (f"{verb} {part}", new, rate, at.doing) if word)
