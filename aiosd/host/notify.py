"""What the daemon tells systemd: ready, reloading, stopping, still alive. Nothing happens where nobody listens.

Source: sd_notify(3); the protocol is one datagram of KEY=VALUE lines to the socket that $NOTIFY_SOCKET names.
"""

import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Notifier:
    """`address` is a path, or `@name` in the abstract namespace; empty: silent. `watchdog_period_s`: 0 when none is asked for."""

    address: str = ""
    watchdog_period_s: float = 0.0

    def ready(self, status: str) -> None:
        self._send(f"READY=1\nSTATUS={status}")

    def reloading(self) -> None:
        """To be followed by `ready`; systemd compares the time with that of its own request."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self) -> None:
        self._send("STOPPING=1\nSTATUS=stopping; running jobs go on")

    def status(self, status: str) -> None:
        """One line that `systemctl status` shows."""
        self._send(f"STATUS={status}")

    def alive(self) -> None:
        self._send("WATCHDOG=1")

    def _send(self, message: str) -> None:
        if not self.address:
            return
        address = "\0" + self.address[1:] if self.address.startswith("@") else self.address
        # A listener that went away or does not read must not stop or hold up the daemon.
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK) as channel:
            channel.sendto(message.encode(), address)


def notifier_from(environment: Mapping[str, str]) -> Notifier:
    """The one that the environment asks for; the watchdog's period is half of its patience, and only if it is meant for us."""
    period_s = 0.0
    patience_us = environment.get("WATCHDOG_USEC", "")
    if patience_us.isdecimal() and environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid()):
        period_s = int(patience_us) / 2_000_000
    address = environment.get("NOTIFY_SOCKET", "")
    return Notifier(address if address.startswith(("/", "@")) else "", period_s)
