"""Where the development traces are, for the tests that need them: the folder that AIOS_TRACES names."""

import json
import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from aiosd.simulation.cleaning import Rules, clean
from aiosd.simulation.records import ONE, Machine, TraceJob
from aiosd.simulation.traces import read_trace
from tests.unit.simulation.reference import Plain

_NAMED = os.environ.get("AIOS_TRACES", "")  # read now: a test's own environment has nothing of ours


def folder() -> Path:
    """Skips the test where there is none."""
    if not _NAMED or not Path(_NAMED).is_dir():
        pytest.skip("AIOS_TRACES does not name the folder of the development traces")
    return Path(_NAMED)


@cache
def trace(name: str, machine: Machine, unit: str = "cpu") -> Sequence[TraceJob]:
    file = folder() / f"{name}.csv.gz"
    return clean(read_trace(file.read_bytes(), file.name), machine, unit, Rules()).jobs


def targets() -> Any:
    return json.loads((folder() / "targets.json").read_text())


def plain(jobs: Sequence[TraceJob], *, estimate_actual: bool = False) -> list[Plain]:
    return [(job.submit_s, job.run_s, (job.cpu_millis or job.gpu_millis) // ONE, job.run_s if estimate_actual else job.limit_s) for job in jobs]
