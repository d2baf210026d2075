"""A fault strikes at its step, at its n-th time, and nowhere else; the spawner stays small."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from aiosd.host import faults

ROOT = str(Path(faults.__file__).parents[2])


def python(script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    start = f"import sys; sys.path.append({ROOT!r}); {script}"
    return subprocess.run([sys.executable, "-I", "-S", "-c", start], env={**os.environ, **environment}, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("fault", "survives"), [("", 3), ("other", 3), ("a.1-step", 0), ("a.1-step:3", 2), ("a.1-step:4", 3)])
def test_the_step_that_is_named_kills_at_its_time(fault: str, survives: int) -> None:
    done = python("from aiosd.host import faults; [(faults.reached('a.1-step'), print('.', flush=True)) for _ in range(3)]", AIOSD_FAULT=fault)
    assert done.stdout.count(".") == survives
    assert done.returncode == (0 if survives == 3 else -9)


def test_every_step_is_named_once() -> None:
    assert len(set(faults.STEPS)) == len(faults.STEPS)


def test_the_spawner_imports_next_to_nothing() -> None:
    done = python("from aiosd.host import spawner; print(*sorted(sys.modules))")
    loaded = set(done.stdout.split())
    assert "aiosd.host.shim" in loaded, done.stderr
    assert not loaded & {"asyncio", "typing", "dataclasses", "json", "re", "enum", "collections", "socket", "signal", "subprocess", "pathlib", "threading"}
    assert {name for name in loaded if name.startswith("aiosd.")} == {f"aiosd.{n}" for n in (
        "host", "host.cell", "host.child", "host.directories", "host.faults", "host.prepare", "host.runfile", "host.shim", "host.spawner", "host.waiting",
    )}  # fmt: skip
