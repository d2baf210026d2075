"""What systemd hears, and that nothing happens where nobody listens."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiosd.host.notify import Notifier, notifier_from


@pytest.fixture(params=["path", "abstract"])
def listener(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    address = str(tmp_path / "notify") if request.param == "path" else f"@aios-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind("\0" + address[1:] if address.startswith("@") else address)
        channel.settimeout(30)
        yield channel, address


def test_every_message_arrives_in_the_protocol_s_form(listener: tuple[socket.socket, str]) -> None:
    channel, address = listener
    notifier = notifier_from({"NOTIFY_SOCKET": address})
    notifier.ready("serving")
    notifier.alive()
    notifier.status("3 jobs run")
    notifier.reloading()
    notifier.stopping()
    heard = [channel.recv(512).decode().splitlines() for _ in range(5)]
    assert heard[0] == ["READY=1", "STATUS=serving"]
    assert heard[1] == ["WATCHDOG=1"]
    assert heard[2] == ["STATUS=3 jobs run"]
    assert heard[3][0] == "RELOADING=1"
    assert heard[3][1].removeprefix("MONOTONIC_USEC=").isdecimal()
    assert heard[4][0] == "STOPPING=1"


def test_without_a_listener_nothing_happens(tmp_path: Path) -> None:
    Notifier().ready("x")
    Notifier(str(tmp_path / "gone")).ready("x")


def test_the_watchdog_is_fed_at_half_its_patience() -> None:
    assert notifier_from({"WATCHDOG_USEC": "30000000"}).watchdog_period_s == 15.0
    assert notifier_from({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}).watchdog_period_s == 15.0


@pytest.mark.parametrize("environment", [{}, {"WATCHDOG_USEC": "x"}, {"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}])
def test_a_watchdog_that_is_not_ours_is_not_fed(environment: dict[str, str]) -> None:
    assert notifier_from(environment).watchdog_period_s == 0.0


def test_an_address_of_another_kind_is_ignored() -> None:
    assert notifier_from({"NOTIFY_SOCKET": "vsock:2:1234"}).address == ""
