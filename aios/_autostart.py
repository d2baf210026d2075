"""Starting the user's own daemon: once for many callers, as a command that is never imported, told by the log when it fails."""

import fcntl
import importlib.util
import os
import select
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from aios._target import Origin, Target, answers, own_socket, private_directory, python_path, runtime_directory, state_directory
from aios.errors import DaemonUnreachable, FailedPrecondition

START_TIMEOUT_S = 60.0  # imports are 2 s of computing, 20 s on a machine that is busy five times over; one that has died is noticed at once
_PROBE_PERIOD_S = 0.008
_started: list[subprocess.Popen[bytes]] = []  # kept, so that a daemon this process started is reaped and never warned about


@dataclass(frozen=True, slots=True)
class DaemonProcess:
    """The daemon at a target. `pid` is 0 when nothing answers there; `log_file` is where the autostarted daemon writes."""

    target: str
    pid: int
    running: bool
    log_file: Path


def log_file() -> Path:
    return state_directory() / "aiosd.log"


def start(*, timeout: float = START_TIMEOUT_S) -> DaemonProcess:
    """Start the user's own daemon unless it runs; returns when it answers. Of many callers at once, one starts it.

    Raises DaemonUnreachable, with the last lines of its log, when it does not come up.
    """
    deadline = time.monotonic() + timeout
    private_directory(runtime_directory())
    path = str(own_socket())
    if not answers(path):
        with _start_lock(deadline):
            if not answers(path):  # else another caller was first
                _launch(path, deadline)
    return DaemonProcess(f"unix:{path}", peer_pid(path), True, log_file())


def may_start(target: Target) -> bool:
    """Whether a call may start the daemon of this target by itself: only the user's own, and AIOSD_AUTOSTART=0 forbids it."""
    return target.origin is Origin.OWN and os.environ.get("AIOSD_AUTOSTART", "1").lower() not in ("0", "no", "false", "off")


def _launch(path: str, deadline: float) -> None:
    log = log_file()
    private_directory(log.parent)
    began_at = log.stat().st_size if log.exists() else 0
    process = _spawn(log)
    _started.append(process)
    watch = select.poll()
    pidfd = os.pidfd_open(process.pid)
    try:
        watch.register(pidfd, select.POLLIN)
        while not answers(path):
            if watch.poll(_PROBE_PERIOD_S * 1000) and not answers(path):
                raise _did_not_start(f"it ended with status {process.wait()}", log, began_at)
            if time.monotonic() > deadline:
                raise _did_not_start("it did not answer in time", log, began_at)
    finally:
        os.close(pidfd)


def _spawn(log: Path) -> subprocess.Popen[bytes]:
    """The daemon in a session of its own, so that a closed terminal or a Ctrl-C here does not reach it."""
    found = importlib.util.find_spec("aiosd")  # finds it, without importing it
    if found is None or found.origin is None:
        raise DaemonUnreachable("no daemon is running, and the package aiosd is not installed here", hint=f"{sys.executable} -m pip install aiosd")
    environment = {**os.environ, "PYTHONPATH": python_path(found.origin, os.environ.get("PYTHONPATH", ""))}
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        return subprocess.Popen(
            [sys.executable, "-m", "aiosd"], stdin=subprocess.DEVNULL, stdout=descriptor, stderr=descriptor, cwd="/", env=environment, start_new_session=True
        )
    finally:
        os.close(descriptor)


def _did_not_start(how: str, log: Path, began_at: int) -> DaemonUnreachable:
    with log.open("rb") as file:
        file.seek(began_at)
        said = file.read()[-8192:].decode("utf-8", "replace").strip().splitlines()[-12:]
    text = "\n".join(("", *(f"  {line}" for line in said))) if said else " (it logged nothing)"
    return DaemonUnreachable(f"the daemon could not be started: {how}; its log says:{text}", hint=f"the whole log: {log}", facts={"log_file": str(log)})


@contextmanager
def _start_lock(deadline: float) -> Iterator[None]:
    descriptor = os.open(runtime_directory() / "start.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        while not _locked(descriptor):
            if time.monotonic() > deadline:
                raise FailedPrecondition("another client is starting the daemon and does not come to an end", hint=f"look at {log_file()}")
            time.sleep(_PROBE_PERIOD_S)
        yield
    finally:
        os.close(descriptor)  # and with it the lock


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def peer_pid(path: str) -> int:
    """The process that listens at the socket, as the kernel says; 0 when nothing does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(path)
        except OSError:
            return 0
        pid, _, _ = struct.unpack("3i", probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        return int(pid)
