"""Whatever is in a file, its reader reads it or refuses it: it never fails in another way, hangs, or grows."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[4]
LONG = os.environ.get("AIOS_LONG_TESTS", "") not in ("", "0")  # looked at before a test's environment is cleaned
MOST_KIB = 400 << 10


@pytest.mark.timeout(36_000 if LONG else 300)
def test_mutated_models_are_read_or_refused() -> None:
    examples = "20000" if LONG else "150"
    done = subprocess.run([sys.executable, "-m", "tests.unit.models.formats.fuzzing", examples], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-5000:]
    assert int(done.stdout) < MOST_KIB
