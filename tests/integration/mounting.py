"""File systems of a test's own: a small one in memory, and in a file one of a kind that this machine's disk is not."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

MAKE = {"xfs": ["mkfs.xfs", "-q", "-m", "reflink=1"], "btrfs": ["mkfs.btrfs", "-q"], "ext4": ["mkfs.ext4", "-q"]}


@contextmanager
def in_memory(target: Path, size: str) -> Iterator[Path]:
    """A tmpfs of this size; skips where nobody may mount."""
    target.mkdir(exist_ok=True)
    with _mounted(["-t", "tmpfs", "-o", f"size={size}", "aios-test"], target):
        yield target


@contextmanager
def in_a_file(kind: str, target: Path, size_bytes: int) -> Iterator[Path]:
    """A file system of this kind in a file beside `target`; skips where it cannot be made."""
    program = MAKE[kind][0]
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    image = target.with_suffix(".image")
    with image.open("wb") as file:
        file.truncate(size_bytes)
    subprocess.run([*MAKE[kind], str(image)], check=True, capture_output=True)
    target.mkdir(exist_ok=True)
    with _mounted(["-o", "loop", str(image)], target):
        yield target


@contextmanager
def _mounted(words: list[str], target: Path) -> Iterator[None]:
    done = subprocess.run(["mount", *words, str(target)], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"this machine lets nobody mount that: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(target)], check=True)
