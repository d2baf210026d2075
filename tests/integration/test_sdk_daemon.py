"""Starting the user's own daemon: one of many callers does it, its failure is told, and it is stopped again."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from aios import daemon
from aios.errors import DaemonUnreachable

STAND_IN = """
import os, pathlib, signal, socket, sys, time
state = pathlib.Path(os.environ["XDG_STATE_HOME"])
with open(state / "starts", "a") as file:
    file.write("started\\n")
if (state / "broken").exists():
    print("config: no such setting: colour", file=sys.stderr)
    sys.exit(3)
time.sleep(0.2)
listener = socket.socket(socket.AF_UNIX)
listener.bind(os.environ["XDG_RUNTIME_DIR"] + "/aios/aiosd.sock")
listener.listen(64)
signal.pause()
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for the package aiosd, found before the real one, and directories of its own."""
    (tmp_path / "code" / "aiosd").mkdir(parents=True)
    (tmp_path / "code" / "aiosd" / "__init__.py").touch()
    (tmp_path / "code" / "aiosd" / "__main__.py").write_text(STAND_IN)
    for name, value in {"XDG_RUNTIME_DIR": "run", "XDG_STATE_HOME": "state", "HOME": "."}.items():
        (tmp_path / value).mkdir(exist_ok=True)
        monkeypatch.setenv(name, str(tmp_path / value))
    root = Path(daemon.__file__).parent.parent
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'code'}:{root}")
    monkeypatch.delenv("AIOS_TARGET", raising=False)
    monkeypatch.delenv("AIOSD_AUTOSTART", raising=False)
    return tmp_path


def client(home: Path, code: str) -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, "-c", code], cwd=home, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_six_at_once_start_one_and_it_is_stopped(home: Path) -> None:
    clients = [client(home, "from aios import daemon; print(daemon.start().pid)") for _ in range(6)]
    said = {one.communicate(timeout=60)[0].strip() for one in clients}
    try:
        assert len(said) == 1 and (home / "state" / "starts").read_text().splitlines() == ["started"]
        (pid,) = map(int, said)
        assert daemon.status().pid == pid and os.getsid(pid) == pid
    finally:
        assert daemon.stop(timeout=10)
    assert not daemon.status().running and not daemon.stop()


def test_a_daemon_that_fails_shows_its_log(home: Path) -> None:
    (home / "state" / "broken").touch()
    failed = client(home, "import aios\ntry:\n    aios.Client().node()\nexcept aios.errors.DaemonUnreachable as e:\n    print(e, e.hint)")
    said, _ = failed.communicate(timeout=60)
    assert "ended with status 3" in said and "no such setting: colour" in said and "aiosd.log" in said


def test_autostart_can_be_forbidden(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import aios

    monkeypatch.setenv("AIOSD_AUTOSTART", "0")
    with pytest.raises(DaemonUnreachable, match="no daemon answers"):
        aios.Client().node()
    monkeypatch.delenv("AIOSD_AUTOSTART")
    with pytest.raises(DaemonUnreachable):
        aios.Client(autostart=False).node()
    assert not (home / "state" / "starts").exists()


def test_a_machine_without_the_daemon_is_told_so(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(DaemonUnreachable, match="not installed"):
        daemon.start()


def test_log_lines(home: Path) -> None:
    assert daemon.log_lines() == []
    daemon.log_file().parent.mkdir()
    daemon.log_file().write_text("a\nb\nc\n")
    assert daemon.log_lines(2) == ["b", "c"] and daemon.log_lines(0) == [] and daemon.log_lines() == ["a", "b", "c"]
