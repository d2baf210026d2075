"""Programs that run as another user of this machine, who cannot read the files of the interpreter that root may have in its home."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.arch.source import ROOT

PATIENCE_S = 90.0
# All that will be needed is imported before the user changes: afterwards the files of the modules may be out of reach.
PRELUDE = """
import importlib, json, os, pkgutil, socket, sys, threading, time, uuid
uid = int(sys.argv[1])
for name in json.loads(sys.argv[2]):
    package = importlib.import_module(name)
    for info in pkgutil.iter_modules(getattr(package, "__path__", ())):
        importlib.import_module(f"{name}.{info.name}")
os.chdir("/")
os.setgroups([]); os.setgid(uid); os.setuid(uid)
"""


def command(uid: int, code: str, *arguments: str, modules: Sequence[str] = ()) -> list[str]:
    """`code` finds its arguments in sys.argv[3:]."""
    return [sys.executable, "-c", PRELUDE + code, str(uid), json.dumps(list(modules)), *arguments]


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "HOME": "/", "AIOSD_AUTOSTART": "0", **more}


def run_as(uid: int, code: str, *arguments: str, modules: Sequence[str] = (), variables: Mapping[str, str] | None = None) -> str:
    """What the program printed; it must succeed."""
    done = subprocess.run(
        command(uid, code, *arguments, modules=modules), env=environment(**(variables or {})), capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextmanager
def open_directory() -> Iterator[Path]:
    """A short one that every user can enter, other than those of pytest."""
    path = Path(tempfile.mkdtemp(prefix="ao-"))
    path.chmod(0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
