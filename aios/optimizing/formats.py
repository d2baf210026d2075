"""Which module knows which format: each runs, and optimises, models of one."""

import os
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from aios.optimizing.samples import Model, Samples
from aios.optimizing.wish import Done, Wish

MODULES = {"onnx": "aios.optimizing.onnx_models", "torchscript": "aios.optimizing.torchscript"}


class Format(Protocol):
    """`CALIBRATES`: int8 uses samples, which then are not those that it is measured with."""

    RUNTIME: str
    CALIBRATES: bool

    def Runner(self, path: Path, threads: int) -> Model: ...  # noqa: N802  (a class, where there is one)

    def parts_of(self, file: Path) -> set[Path]: ...

    def optimise(self, source: Path, target: Path, wish: Wish, samples: Samples) -> Done: ...


def format_named(name: str) -> Format:
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read when ONNX Runtime is imported: else it tells its makers what it does
    return cast(Format, import_module(MODULES[name]))
