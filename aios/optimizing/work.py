"""The work itself, from one directory to another: optimise a model, measure it beside the original, judge it."""

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from aios.errors import InvalidArgument
from aios.optimizing.formats import format_named
from aios.optimizing.gates import ACCURACY, SIZE, SPARSITY, Gate, judged
from aios.optimizing.measuring import measure
from aios.optimizing.report import Report
from aios.optimizing.samples import Input, Samples, file_in, random_samples, read_samples
from aios.optimizing.wish import INT8, Wish


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """`source`: the version as people know it; `whole`: where it lies, `file`: the model in it, where that is a directory.

    samples  where they lie, and what they are called; None: random ones
    threads  processors that both models are measured with
    """

    source: str
    whole: Path
    file: str
    format: str
    wish: Wish
    samples: tuple[Path, str] | None
    gates: Sequence[Gate]
    threads: int


def carry_out(order: Order, made: Path, at: Callable[[int], None]) -> Report:
    """Lays the optimised version out at `made`, all but the model as it was. `at` is told how many steps, of 3, are done."""
    known, single = format_named(order.format), order.whole.is_file()
    before, after = (order.whole, made) if single else (order.whole / order.file, made / order.file)
    parts = known.parts_of(before)
    _lay_out(order.whole, made, parts)
    original = known.Runner(before, order.threads)
    samples = _samples(order, original.inputs, original.outputs)
    calibrating, measuring = samples.halves() if order.wish.quantize == INT8 and known.CALIBRATES and samples.given else (samples, samples)
    at(1)
    done = known.optimise(before, after, order.wish, calibrating)
    at(2)
    measured = measure(original, known.Runner(after, order.threads), measuring)
    measured.before[SIZE], measured.after[SIZE] = _size(order.whole), _size(made)
    if done.sparsity is not None:
        measured.after[SPARSITY] = done.sparsity
    at(3)
    verdicts = [judged(gate, measured.before, measured.after) for gate in order.gates]
    name = order.samples[1] if order.samples else ""
    told = f"{measuring.count} {'samples of ' + name if name else 'random samples, so no accuracy is known'}"
    return Report(source=order.source, done=done, measured=measured, samples=told, runtime=known.RUNTIME, threads=order.threads, verdicts=verdicts)


def _samples(order: Order, inputs: Sequence[Input], outputs: Sequence[str]) -> Samples:
    found = read_samples(file_in(order.samples[0]), inputs, outputs) if order.samples else random_samples(inputs)
    if not found.truth and (blind := [gate.text for gate in order.gates if gate.figure == ACCURACY]):
        raise InvalidArgument(
            f"the gate {blind[0]!r} needs to know what is right",
            hint="give samples with an array `labels` (--calibrate), or set a gate on the agreement with the original: agreement>=0.99",
        )
    return found


def _lay_out(whole: Path, made: Path, parts: set[Path]) -> None:
    """All files but `parts`, as new ones that may be written to; a place for those."""
    made.parent.mkdir(parents=True, exist_ok=True)
    for path in whole.rglob("*") if whole.is_dir() else ():
        target = made / path.relative_to(whole)
        if path.is_dir():
            target.mkdir(parents=True, exist_ok=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            if path not in parts:
                shutil.copyfile(path, target)
                target.chmod(0o755 if os.access(path, os.X_OK) else 0o644)


def _size(path: Path) -> float:
    """Of all files, in bytes."""
    return float(sum(each.stat().st_size for each in ([path] if path.is_file() else path.rglob("*")) if each.is_file()))
