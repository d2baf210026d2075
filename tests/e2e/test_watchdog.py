"""The watchdog of systemd is fed as long as the daemon's loop turns, and not when it hangs."""

import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from tests.e2e.daemon import Daemon, eventually

PERIOD_S = 0.2
HUNG_S = 3.0


def alive(ear: socket.socket, within_s: float) -> bool:
    """Whether it says so in this time; what it has said before does not count."""
    ear.setblocking(False)
    with suppress(BlockingIOError):
        while ear.recv(512):
            continue
    until = time.monotonic() + within_s
    while (left := until - time.monotonic()) > 0:
        ear.settimeout(left)
        with suppress(TimeoutError):
            if ear.recv(512) == b"WATCHDOG=1":
                return True
    return False


def test_a_loop_that_hangs_is_not_reported_alive(daemon: Daemon) -> None:
    """It hangs as a daemon can in earnest: whatever reads its log has stopped to read."""
    reading, writing = os.pipe()
    try:
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
            ear.bind(str(daemon.root / "notify"))
            more = {"NOTIFY_SOCKET": str(daemon.root / "notify"), "WATCHDOG_USEC": str(round(2 * PERIOD_S * 1_000_000))}
            daemon.process = subprocess.Popen(
                [sys.executable, "-m", "aiosd"], env={**daemon.environment, **daemon.settings, **more}, cwd="/", stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=writing, start_new_session=True,
            )  # fmt: skip
            os.set_blocking(reading, False)
            eventually(lambda: _drained(reading) or daemon.answers(), "it answers")
            eventually(lambda: alive(ear, 1.0), "it is alive")
            while alive(ear, HUNG_S):
                _make_it_log(daemon)
            assert Path(f"/proc/{daemon.pid}").exists()
            eventually(lambda: _drained(reading) and alive(ear, 1.0), "it is alive again")
    finally:
        os.close(reading)
        os.close(writing)


def _make_it_log(daemon: Daemon) -> None:
    """Each reload is a line of its log; there is no room for many."""
    for _ in range(40):
        daemon.running.send_signal(signal.SIGHUP)
        time.sleep(0.02)


def _drained(reading: int) -> bool:
    try:
        while os.read(reading, 1 << 16):
            continue
    except BlockingIOError:
        return True
    return False
