"""The daemon's end of the spawner: starts it, sends it plans, hears its answers, and says which plans a dead one left open."""

import asyncio
import os
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from pathlib import Path

import aiosd
from aiosd.host import faults

_START = "import sys; sys.path.append({root!r}); from aiosd.host.spawner import main; main({fd}, {files})"
_RECEIVE_BYTES = 1 << 16
_DESCRIPTORS = 64  # at most so many of them in one message
_MAX_FRAME_BYTES = (1 << 32) - 1
_PATIENCE_S = 5.0

OnAnswer = Callable[[str, int, int, int], None]  # key, pid (0: none), pidfd (-1: none), errno
OnEnd = Callable[[str], None]
OnDeath = Callable[[list[str]], None]


class Spawner:
    """One spawner process. `on_answer`, `on_end` and `on_death` are called on the loop's thread; after `on_death` this object is done."""

    def __init__(self, loop: asyncio.AbstractEventLoop, log: Path, on_answer: OnAnswer, on_end: OnEnd, on_death: OnDeath, *, fault: str, files: int) -> None:
        self._loop, self._on_answer, self._on_end, self._on_death = loop, on_answer, on_end, on_death
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with theirs:
            self._process = _start(theirs, log, fault, files)
        self._socket.setblocking(False)
        self._outgoing: deque[tuple[str, bytes]] = deque()
        self._sent_bytes = 0  # of the first in `_outgoing`
        self._unanswered: dict[str, None] = {}
        self._descriptors: deque[int] = deque()
        self._incoming = b""
        self._writing = False
        self.answers = 0
        loop.add_reader(self._socket, self._readable)

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, key: str, plan: bytes) -> None:
        """Queue a plan; it is written at once where the socket takes it."""
        payload = key.encode() + b"\n" + plan
        if len(payload) > _MAX_FRAME_BYTES:
            raise ValueError(f"the plan of run {key} has {len(payload)} bytes, more than a frame holds")
        self._outgoing.append((key, len(payload).to_bytes(4, "little") + payload))
        if not self._writing:
            self._flush()

    def unsent(self) -> list[tuple[str, bytes]]:
        """The plans that the spawner cannot have seen whole, as (key, plan), to be sent to its successor."""
        return [(key, frame[4:].partition(b"\n")[2]) for key, frame in self._outgoing]

    def hang_up(self) -> None:
        """The spawner begins what it was sent, and ends."""
        self._loop.remove_reader(self._socket)
        self._want_write(False)
        self._socket.close()

    def wait(self) -> None:
        """Until it has ended, after `hang_up`. Blocks."""
        try:
            self._process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _flush(self) -> None:
        try:
            while self._outgoing:
                key, frame = self._outgoing[0]
                faults.reached("launch.1-before-send")
                self._sent_bytes += self._socket.send(memoryview(frame)[self._sent_bytes :])
                if self._sent_bytes == len(frame):
                    self._outgoing.popleft()
                    self._sent_bytes = 0
                    self._unanswered[key] = None
                    faults.reached("launch.2-sent")
        except BlockingIOError:
            self._want_write(True)
        except OSError:
            self._want_write(False)  # it is dying: the reading side tells, after its last answers
        else:
            self._want_write(False)

    def _want_write(self, wanted: bool) -> None:
        if wanted and not self._writing:
            self._loop.add_writer(self._socket, self._flush)
        elif self._writing and not wanted:
            self._loop.remove_writer(self._socket)
        self._writing = wanted

    def _readable(self) -> None:
        try:
            data, descriptors, _, _ = socket.recv_fds(self._socket, _RECEIVE_BYTES, _DESCRIPTORS)
        except BlockingIOError:
            return
        except OSError:
            data, descriptors = b"", []
        if not data:
            self._died()
            return
        self._descriptors.extend(descriptors)
        *lines, self._incoming = (self._incoming + data).split(b"\n")
        for line in lines:
            self._answered(line)

    def _answered(self, line: bytes) -> None:
        key, pid, errno = line[1:].split(b" ")
        if line[:1] == b"*":
            self._on_end(key.decode())
            return
        pidfd = self._descriptors.popleft() if line[:1] == b"+" and self._descriptors else -1  # none came when this process has too many
        self._unanswered.pop(key.decode(), None)
        self.answers += 1
        self._on_answer(key.decode(), int(pid), pidfd, int(errno))

    def _died(self) -> None:
        self.hang_up()
        self._process.kill()
        self._process.wait()
        self._on_death(list(self._unanswered))


def _start(theirs: socket.socket, log: Path, fault: str, files: int) -> subprocess.Popen[bytes]:
    root = str(Path(aiosd.__file__).resolve().parent.parent)
    command = _START.format(root=root, fd=theirs.fileno(), files=files)
    environment = {name: value for name in ("PATH", "LD_LIBRARY_PATH") if (value := os.environ.get(name))}
    with log.open("ab") as errors:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", "-X", "utf8", "-c", command], env=environment | ({faults.VARIABLE: fault} if fault else {}),
            cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors, pass_fds=(theirs.fileno(),),
            start_new_session=True,
        )  # fmt: skip
