"""Where the client looks for its daemon."""

import os
import socket
from pathlib import Path

import pytest

from aios import _target
from aios._target import Origin, find_target, parse_target, private_directory
from aios.errors import Denied, InvalidArgument


@pytest.fixture(autouse=True)
def own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("AIOS_TARGET", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr(_target, "SYSTEM_SOCKET", tmp_path / "system.sock")


def test_the_order(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert find_target() == parse_target(str(tmp_path / "aios" / "aiosd.sock"), Origin.OWN)
    with socket.socket(socket.AF_UNIX) as system:
        system.bind(str(tmp_path / "system.sock"))
        assert find_target().origin is Origin.SYSTEM
        monkeypatch.setenv("AIOS_TARGET", "box:1234")
        assert find_target() == parse_target("box:1234", Origin.ENVIRONMENT)
        assert find_target("unix:/x").socket_path == "/x"


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


def test_a_link_is_no_private_directory(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    with pytest.raises(Denied):
        private_directory(tmp_path / "link")
