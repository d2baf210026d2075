"""An SQLite journal that can be closed, damaged and opened again, and file systems that misbehave."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import pytest

from aiosd.jobs.ports import Changes
from aiosd.storage.journal import SqlJournal

T = TypeVar("T")


class Store:
    """The database file of a test; `use` opens it, does one thing and closes it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.url = f"sqlite:///{path}"

    def use(self, work: Callable[[SqlJournal], Awaitable[T]], **options: Any) -> T:
        async def once() -> T:
            journal = await SqlJournal.open(self.url, **options)
            try:
                return await work(journal)
            finally:
                await journal.close()

        return asyncio.run(once())

    def commit(self, **changes: Any) -> None:
        self.use(lambda journal: journal.commit(Changes(**changes)))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "state" / "aiosd.db")


def _mount(target: Path, *argv: str) -> None:
    if os.geteuid() != 0:
        pytest.skip("mounting a file system needs root")
    if shutil.which("mount") is None:
        pytest.skip("the program mount is not installed")
    done = subprocess.run(["mount", *argv, str(target)], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"this machine lets nobody mount: {done.stderr.strip()}")


def _unmount(target: Path) -> None:
    subprocess.run(["umount", "--lazy", str(target)], check=True, capture_output=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB, empty."""
    target = tmp_path / "small"
    target.mkdir()
    _mount(target, "-t", "tmpfs", "-o", "size=2m", "aios-test")
    yield target
    _unmount(target)


@pytest.fixture
def make_read_only(tmp_path: Path) -> Iterator[Callable[[Path], None]]:
    """Makes a directory read-only; for root, whom permissions do not stop, by mounting it on itself."""
    mounted: list[Path] = []
    forbidden: list[Path] = []

    def make(directory: Path) -> None:
        if os.geteuid() != 0:
            directory.chmod(0o500)
            forbidden.append(directory)
            return
        _mount(directory, "--bind", str(directory))
        mounted.append(directory)
        done = subprocess.run(["mount", "-o", "remount,bind,ro", str(directory)], capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"this machine lets nobody mount read-only: {done.stderr.strip()}")

    yield make
    for directory in forbidden:
        directory.chmod(0o700)
    for directory in mounted:
        with suppress(subprocess.CalledProcessError):
            _unmount(directory)
