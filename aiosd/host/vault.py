"""Where the values of secrets are kept until their job is over: files of root alone, outside of the database and of every backup of it."""

import asyncio
import errno
import os
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from aiosd.errors import DiskFull, StorageUnwritable
from aiosd.host.directories import remove_tree


class FileVault:
    """Implements SecretKeeper of the jobs domain. What blocks runs on its own thread."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="vault")

    async def keep(self, values: Mapping[str, bytes]) -> str:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._keep, values)
        except OSError as error:
            kind = DiskFull if error.errno in (errno.ENOSPC, errno.EDQUOT) else StorageUnwritable
            raise kind(f"secrets cannot be kept in '{self._directory}': {error.strerror}", path=str(self._directory)) from None

    def drop(self, place: str) -> None:
        self._threads.submit(remove_tree, f"{self._directory}/{place}")

    def sweep(self, places: Collection[str]) -> None:
        self._threads.submit(self._sweep, frozenset(places))

    def close(self) -> None:
        """What was asked for is done first."""
        self._threads.shutdown()

    def _keep(self, values: Mapping[str, bytes]) -> str:
        """Whoever finds the directory finds it whole, or finds it swept: nothing names it before this has returned."""
        place = os.urandom(16).hex()
        directory = self._directory / place
        directory.mkdir(mode=0o700, parents=True)
        self._directory.chmod(0o700)
        try:
            for name, value in values.items():
                _write(str(directory / name), value)
            for made in (directory, self._directory):
                _synchronise(str(made))
        except OSError:
            remove_tree(str(directory))
            raise
        return place

    def _sweep(self, places: frozenset[str]) -> None:
        if self._directory.is_dir():
            for left in set(os.listdir(self._directory)) - places:
                remove_tree(str(self._directory / left))


def _write(path: str, value: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(fd, "wb") as file:
        file.write(value)
        file.flush()
        os.fsync(fd)


def _synchronise(directory: str) -> None:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
