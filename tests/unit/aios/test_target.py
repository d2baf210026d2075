"""Where the client looks for its daemon."""

import os
import socket
import threading
import time
from pathlib import Path

import pytest

from aios import _target
from aios._channel import SYSTEM_PATIENCE_S, Channel
from aios._target import Origin, find_target, parse_target, private_directory
from aios.errors import Denied, InvalidArgument, StorageUnwritable


@pytest.fixture(autouse=True)
def own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("AIOS_TARGET", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr(_target, "SYSTEM_SOCKET", tmp_path / "system" / "aiosd.sock")


def test_the_order(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert find_target() == parse_target(str(tmp_path / "aios" / "aiosd.sock"), Origin.OWN)
    (tmp_path / "system").mkdir()
    with socket.socket(socket.AF_UNIX) as system:
        system.bind(str(tmp_path / "system" / "aiosd.sock"))
        assert find_target().origin is Origin.SYSTEM
        monkeypatch.setenv("AIOS_TARGET", "box:1234")
        assert find_target() == parse_target("box:1234", Origin.ENVIRONMENT)
        assert find_target("unix:/x").socket_path == "/x"


@pytest.mark.root
def test_no_daemon_of_ones_own_stands_in_for_the_systems_while_that_restarts(tmp_path: Path) -> None:
    (tmp_path / "system").mkdir()
    found = find_target()
    assert (found.origin, found.socket_path) == (Origin.SYSTEM, str(tmp_path / "system" / "aiosd.sock"))
    os.chown(tmp_path / "system", 12345, -1)  # somebody else's directory of that name says nothing
    assert find_target().origin is Origin.OWN


@pytest.mark.root
def test_a_first_call_waits_for_the_systems_daemon_to_come_back(tmp_path: Path) -> None:
    (tmp_path / "system").mkdir()
    channel = Channel(find_target(), timeout_s=30.0, autostart=True)
    with socket.socket(socket.AF_UNIX) as system:
        coming = threading.Timer(0.5, lambda: (system.bind(str(tmp_path / "system" / "aiosd.sock")), system.listen()))
        coming.start()
        assert channel.ensure_daemon(time.monotonic() + 30.0) is False
        coming.join()
    assert channel.patience_s == SYSTEM_PATIENCE_S


def test_only_the_machines_and_other_machines_daemons_are_waited_for_so_long(tmp_path: Path) -> None:
    patience = {text: Channel(parse_target(text), timeout_s=30.0, autostart=False).patience_s for text in (str(_target.SYSTEM_SOCKET), "box:1", "/x")}
    assert list(patience.values()) == [SYSTEM_PATIENCE_S, SYSTEM_PATIENCE_S, 30.0]
    assert Channel(parse_target("box:1"), timeout_s=30.0, autostart=False, patience_s=5.0).patience_s == 5.0


def test_without_a_runtime_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    assert _target.runtime_directory() == Path(f"/tmp/aios-{os.getuid()}")


@pytest.mark.parametrize("bad", ["", "host", "host:", "host:0", "host:99999", "unix:relative", "/" + "x" * 120, "unix:/a\0b", ":5"])
def test_bad_targets(bad: str) -> None:
    with pytest.raises(InvalidArgument):
        parse_target(bad)


def test_a_directory_that_others_can_write_is_refused(tmp_path: Path) -> None:
    (tmp_path / "aios").mkdir()
    (tmp_path / "aios").chmod(0o777)
    with pytest.raises(Denied, match="0777"):
        find_target()


def test_a_directory_that_cannot_be_made_is_named_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageUnwritable, match="cannot be made: Not a directory") as caught:
        private_directory(tmp_path / "file" / "aios")
    assert "XDG_RUNTIME_DIR" in caught.value.hint


def test_a_link_is_no_private_directory(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    with pytest.raises(Denied):
        private_directory(tmp_path / "link")
