"""The private directory through which a task's function, arguments and results pass between the caller and the job."""

import os
import shutil
import stat
import struct
import uuid
from pathlib import Path

from aios._target import private_directory, state_directory
from aios.errors import Denied, NotFound

_FUNCTION, _CALLS, _OFFSETS = "function.pkl", "calls.bin", "calls.idx"
_OFFSET = struct.Struct("<Q")


class Exchange:
    """One directory (0700, this user's) a submission: the function, the pickled calls in one file, one result file a call.

    Whatever is read is unpickled, and so may run code: everything is refused that another user could have put there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, function: bytes, calls: list[bytes]) -> "Exchange":
        private_directory(state_directory())
        made = cls(private_directory(private_directory(state_directory() / "tasks") / uuid.uuid4().hex))
        made._write(_FUNCTION, function)
        made._write(_CALLS, b"".join(calls))
        ends, end = [0], 0
        for call in calls:
            end += len(call)
            ends.append(end)
        made._write(_OFFSETS, b"".join(map(_OFFSET.pack, ends)))
        return made

    def function(self) -> bytes:
        return self._read(_FUNCTION)

    def call(self, index: int) -> bytes:
        """The arguments of one call; only that part of the file is read."""
        offsets = self._read(_OFFSETS, index * _OFFSET.size, 2 * _OFFSET.size)
        first, last = struct.unpack("<2Q", offsets)
        return self._read(_CALLS, first, last - first)

    def write_result(self, index: int, result: bytes) -> None:
        self._write(f"result.{index}", result)

    def result(self, index: int) -> bytes | None:
        """What call `index` came to; None when it left nothing."""
        try:
            return self._read(f"result.{index}")
        except NotFound:
            return None

    def forget_result(self, index: int) -> None:
        (self.path / f"result.{index}").unlink(missing_ok=True)

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)

    def _write(self, name: str, data: bytes) -> None:
        """Whole or not at all: a reader never sees half a pickle."""
        self._check_directory()
        partial = self.path / f".{name}.{os.getpid()}"
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        partial.rename(self.path / name)

    def _read(self, name: str, offset: int = 0, size: int = -1) -> bytes:
        self._check_directory()
        try:
            descriptor = os.open(self.path / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            raise NotFound(f"{self.path / name} is not there") from None
        except OSError as error:
            raise Denied(f"{self.path / name} cannot be trusted or read: {error.strerror}") from None
        with os.fdopen(descriptor, "rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
                raise Denied(f"{self.path / name} is not a private file of user {os.getuid()}; it is not unpickled")
            file.seek(offset)
            return file.read(size)

    def _check_directory(self) -> None:
        try:
            found = self.path.lstat()
        except FileNotFoundError:
            raise NotFound(f"{self.path} is gone", hint="it held the arguments and results of a task; was it removed?") from None
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
            raise Denied(f"{self.path} is not a private directory of user {os.getuid()}; nothing in it is unpickled", hint=f"chmod 700 {self.path}")
