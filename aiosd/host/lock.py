"""One daemon a state directory: an exclusive lock on `aiosd.pid`, which tells a second one the pid of the first."""

import errno
import fcntl
import os
from dataclasses import dataclass

from aiosd.errors import AlreadyRunning, StorageUnwritable

FILE = "aiosd.pid"


@dataclass(frozen=True, slots=True)
class StateLock:
    """Held until `release` or the end of the process, however it ends: the kernel takes it back."""

    path: str
    descriptor: int

    def release(self) -> None:
        """Give the directory free. The file stays: removing it could remove a successor's."""
        os.ftruncate(self.descriptor, 0)
        os.close(self.descriptor)


def lock_state(state_directory: str) -> StateLock:
    """Take the state directory for this process.

    raises  AlreadyRunning with the pid of the daemon that has it; StorageUnwritable when the file cannot be made
    """
    path = f"{state_directory}/{FILE}"
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise StorageUnwritable(
            f"the state directory {state_directory} cannot be written: {error.strerror}",
            hint="make it writable for this user, or name another with --state-directory",
            state_directory=state_directory,
        ) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pid = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
        os.close(descriptor)
        raise AlreadyRunning(
            f"another daemon has the state directory {state_directory}: pid {pid}",
            hint=f"stop it with `aiosctl daemon stop` or `kill {pid}`, or name another directory with --state-directory",
            pid=pid,
            state_directory=state_directory,
        ) from None
    _write_pid(descriptor)
    return StateLock(path, descriptor)


def _write_pid(descriptor: int) -> None:
    """Over what is there, so that it needs no new block where the disk is full."""
    try:
        text = f"{os.getpid()}\n".encode("ascii")
        os.pwrite(descriptor, text, 0)
        os.ftruncate(descriptor, len(text))
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise  # a full disk must not keep the daemon from starting: the lock holds without the number
