"""The credential socket: it asks the kernel who connects, says one line, and hangs up; nothing that a client sends is read."""

import asyncio
import json
import os
import socket
import stat
import struct
from collections.abc import Callable
from contextlib import suppress

import structlog

from aiosd.access.passes import Bearer
from aiosd.errors import ConfigError

MOST_AT_ONCE = 16  # connections served before the loop does something else
BACKLOG = 1024
PAUSE_S = 0.1  # when the process has no file descriptors left
_CREDENTIALS = struct.Struct("3i")

log = structlog.get_logger("aiosd.credentials")


def credential_path(socket_path: str) -> str:
    """Beside the socket of the calls: aiosd.sock has aiosd.cred. The SDK finds it by the same rule."""
    return socket_path.removesuffix(".sock") + ".cred"


class CredentialSocket:
    """`make_pass` gives the pass for whoever connected; a sentence is said instead when it raises PermissionError.

    mode  0666 where every user of the machine may come: who one is depends on the kernel alone, not on who may connect
    """

    def __init__(self, path: str, mode: int, lifetime_s: float, make_pass: Callable[[Bearer], str]) -> None:
        self._path, self._mode, self._lifetime_s = path, mode, lifetime_s
        self._make_pass = make_pass
        self._socket: socket.socket | None = None
        self._inode = (0, 0)

    def start(self) -> None:
        """Listen, on the running loop. Whoever starts it holds the lock of the state directory: what is there is a leftover.

        raises  ConfigError where it cannot be bound, or something else than a socket is in its place
        """
        _remove_leftover(self._path)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
        before = os.umask(0o777 & ~self._mode)
        try:
            listener.bind(self._path)
        except OSError as error:
            listener.close()
            raise ConfigError(f"cannot listen on {self._path}: {error}", hint="check that its directory exists and can be written", path=self._path) from error
        finally:
            os.umask(before)
        found = os.lstat(self._path)
        self._inode, self._socket = (found.st_dev, found.st_ino), listener
        listener.listen(BACKLOG)
        asyncio.get_running_loop().add_reader(listener, self._serve)

    def close(self) -> None:
        if self._socket is None:
            return
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()
        self._socket = None
        with suppress(FileNotFoundError):
            found = os.lstat(self._path)
            if (found.st_dev, found.st_ino) == self._inode:
                os.unlink(self._path)

    def _serve(self) -> None:
        assert self._socket is not None
        for _ in range(MOST_AT_ONCE):
            try:
                connection, _ = self._socket.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:
                self._pause(error)
                return
            with connection, suppress(OSError):  # gone already: its own loss
                connection.setblocking(False)
                connection.send(self._answer(connection))  # a new connection has room for a line

    def _answer(self, connection: socket.socket) -> bytes:
        pid, uid, gid = _CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
        try:
            said: dict[str, object] = {"pass": self._make_pass(Bearer(uid, gid, pid)), "lifetime_s": self._lifetime_s}
        except PermissionError as error:
            said = {"error": str(error)}
        return json.dumps(said).encode() + b"\n"

    def _pause(self, error: OSError) -> None:
        """Else the loop would be told again and again that somebody waits."""
        assert self._socket is not None
        log.warning("no pass can be given for a moment", error=str(error))
        loop, listener = asyncio.get_running_loop(), self._socket
        loop.remove_reader(listener)
        loop.call_later(PAUSE_S, lambda: loop.add_reader(listener, self._serve) if listener is self._socket else None)


def _remove_leftover(path: str) -> None:
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise ConfigError(f"{path} is there already, and is not a socket", hint="move it away, or choose another socket path", path=path)
    os.unlink(path)
