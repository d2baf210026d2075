"""The host's end of the two sockets of a machine: its agent, which runs commands as root, and qemu's monitor."""

import json
import os
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any


class RigFailed(Exception):
    """The rig itself did not do its work: no image, no qemu, a guest that cannot be set up."""


def dial(directory: Path, name: str) -> socket.socket:
    """Connects to the socket of this name in `directory`, however long its path is."""
    where = os.open(directory, os.O_PATH)
    link = socket.socket(socket.AF_UNIX)
    try:
        link.connect(f"/proc/self/fd/{where}/{name}")
    except OSError as error:
        link.close()
        raise RigFailed(f"qemu's socket {name} in {directory}: {error}") from None
    finally:
        os.close(where)
    return link


class Agent:
    """One command at a time in the guest. `check` raises when the machine is no more, or the time is over."""

    def __init__(self, directory: Path, check: Callable[[], None]) -> None:
        self._link = dial(directory, "agent")
        self._check = check
        self._buffer = b""

    def close(self) -> None:
        self._link.close()

    def boot_id(self) -> str:
        """Waits until the guest's agent answers; the guest's boot id."""
        while True:
            self._send(ping=0)
            while (message := self._receive(10)) is not None:
                if "pong" in message:
                    return str(message["boot"])

    def run(self, command: str, heard: Callable[[str], bool] | None = None) -> int | None:
        """The exit code of `command` (bash, as root). `heard` gets its output, piece by piece; None when that returned True: enough."""
        ident = time.monotonic_ns()
        self._send(run=ident, cmd=command)
        while True:
            message = self._receive(60) or {}
            if "start" in message:
                raise RigFailed("the guest's agent started anew while the command ran")
            if message.get("id") != ident:
                continue
            if "rc" in message:
                return int(message["rc"])
            if heard is not None and heard(message["out"]):
                return None

    def _send(self, **message: Any) -> None:
        self._link.settimeout(None)
        self._link.sendall(json.dumps(message).encode() + b"\n")

    def _receive(self, wait_s: float) -> dict[str, Any] | None:
        """The next message; None when there was none for so long."""
        give_up_s = time.monotonic() + wait_s
        while b"\n" not in self._buffer:
            self._check()
            if time.monotonic() > give_up_s:
                return None
            self._link.settimeout(0.5)
            try:
                data = self._link.recv(65536)
            except TimeoutError:
                continue
            if not data:
                raise RigFailed("qemu ended")
            self._buffer += data
        line, self._buffer = self._buffer.split(b"\n", 1)
        try:
            message: dict[str, Any] = json.loads(line)
        except ValueError:  # the tail of a message from before this connection
            return {}
        return message


class Monitor:
    """qemu's monitor: `monitor(command, arguments)` returns what the command returned."""

    def __init__(self, directory: Path) -> None:
        self._link = dial(directory, "qmp")
        self._file = self._link.makefile("rw")
        self._file.readline()
        self("qmp_capabilities")

    def __enter__(self) -> "Monitor":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()
        self._link.close()

    def __call__(self, command: str, arguments: dict[str, Any] | None = None) -> Any:
        self._file.write(json.dumps({"execute": command, "arguments": arguments or {}}) + "\n")
        self._file.flush()
        while True:
            message = json.loads(self._file.readline())
            if "error" in message:
                raise RigFailed(f"{command}: {message['error']['desc']}")
            if "return" in message:
                return message["return"]


def told(text: str) -> bool:
    """For `Agent.run`: shows the output as it comes."""
    sys.stdout.write(text)
    sys.stdout.flush()
    return False
