"""The user's own daemon as a process: where its things are, start, stop, status, log."""

import os
import select
import signal
from typing import TYPE_CHECKING

from aios._autostart import DaemonProcess, log_file, peer_pid, start
from aios._target import find_target
from aios.errors import AiosError, Denied, Timeout

if TYPE_CHECKING:
    from aios.client import Client

__all__ = ["DaemonProcess", "log_file", "log_lines", "start", "status", "stop"]

STOP_TIMEOUT_S = 30.0


def status(target: str | None = None) -> DaemonProcess:
    """Whether a daemon answers, and which process it is; starts nothing."""
    found = find_target(target)
    pid = peer_pid(found.socket_path) if found.socket_path else 0
    return DaemonProcess(found.address, pid, pid > 0, log_file())


def stop(target: str | None = None, *, timeout: float = STOP_TIMEOUT_S) -> bool:
    """Stop the daemon and wait until its process is gone; jobs that run go on. False when none was running."""
    from aios.client import Client

    found = find_target(target)
    pid = peer_pid(found.socket_path) if found.socket_path else 0
    if not pid:
        return False
    try:
        gone = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        with Client(found.address, timeout=timeout, autostart=False) as client:
            _ask_to_stop(client, gone)
        ended = select.poll()  # an application may have descriptors that select() does not know
        ended.register(gone, select.POLLIN)
        if not ended.poll(timeout * 1000):
            raise Timeout(f"the daemon (pid {pid}) did not stop within {timeout:g} s", hint=f"look at {log_file()}; kill {pid} ends it, jobs go on")
    finally:
        os.close(gone)
    return True


def log_lines(tail: int | None = None) -> list[str]:
    """The last `tail` lines of the autostarted daemon's log (None: all of it)."""
    try:
        lines = log_file().read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []
    return lines if tail is None else lines[len(lines) - min(tail, len(lines)) :]


def _ask_to_stop(client: "Client", process: int) -> None:
    """By a call, so that the daemon decides who may; by signal where it does not know the call, or cannot answer any more."""
    try:
        client.stop_daemon()
    except Denied:
        raise
    except AiosError as error:
        try:
            signal.pidfd_send_signal(process, signal.SIGTERM)
        except ProcessLookupError:
            return  # it stopped while it answered
        except PermissionError:
            raise error from None
