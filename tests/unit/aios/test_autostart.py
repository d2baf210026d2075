"""The user's own daemon is started with patience: a slow one is waited for, a dead one is not."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from aios import _autostart
from aios.errors import DaemonUnreachable


class Clock:
    """Every look at it takes half a second."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def monotonic(self) -> float:
        self.now_s += 0.5
        return self.now_s


@pytest.fixture
def clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(_autostart, "time", clock)
    return clock


@pytest.fixture
def spawned(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[subprocess.Popen[bytes]]]:
    """What stands for the daemon: it lives, and never answers."""
    started: list[subprocess.Popen[bytes]] = []

    def spawn(log: Path) -> subprocess.Popen[bytes]:
        log.touch()
        started.append(subprocess.Popen(["sleep", "600"]))
        return started[0]

    monkeypatch.setattr(_autostart, "_spawn", spawn)
    yield started
    for each in started:
        each.kill()
        each.wait()


def test_a_daemon_that_takes_its_time_is_waited_for(clock: Clock, spawned: list[subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_autostart, "answers", lambda path: clock.now_s > 40)
    assert _autostart.start().running
    assert len(spawned) == 1


def test_one_that_never_answers_is_told_in_the_end(clock: Clock, spawned: list[subprocess.Popen[bytes]]) -> None:
    with pytest.raises(DaemonUnreachable, match="it did not answer in time"):
        _autostart.start()
    assert spawned[0].poll() is None


def test_one_that_has_died_is_told_at_once(clock: Clock, spawned: list[subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch) -> None:
    def die(log: Path) -> subprocess.Popen[bytes]:
        log.write_text("no room\n")
        spawned.append(subprocess.Popen(["sh", "-c", "exit 3"]))
        return spawned[0]

    monkeypatch.setattr(_autostart, "_spawn", die)
    monkeypatch.setattr(clock, "monotonic", lambda: 0.0)  # however long it takes here
    with pytest.raises(DaemonUnreachable, match="it ended with status 3") as raised:
        _autostart.start()
    assert "no room" in str(raised.value)
