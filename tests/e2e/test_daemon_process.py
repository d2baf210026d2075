"""The program `aiosd` as a process: how it begins, refuses, reloads and ends."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.arch.source import ROOT

PATIENCE_S = 60


@dataclass
class Place:
    """A daemon's directories of its own, and the processes started there."""

    root: Path
    started: list[subprocess.Popen[str]]

    @property
    def environment(self) -> dict[str, str]:
        places = {"XDG_RUNTIME_DIR": "run", "XDG_STATE_HOME": "state", "XDG_CONFIG_HOME": "config", "HOME": "home"}
        return {**os.environ, **{name: str(self.root / part) for name, part in places.items()}, "PYTHONPATH": str(ROOT)}

    @property
    def state(self) -> Path:
        return self.root / "state" / "aios"

    @property
    def socket(self) -> Path:
        return self.root / "run" / "aios" / "aiosd.sock"

    def configure(self, text: str) -> None:
        file = self.root / "config" / "aios" / "aiosd.toml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "aiosd", *arguments]
        return subprocess.run(command, env=self.environment, cwd="/", capture_output=True, text=True, timeout=PATIENCE_S, check=False)

    def start(self) -> tuple[subprocess.Popen[str], list[dict[str, object]]]:
        """A daemon that is ready, and what it has logged until then."""
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        with listener:
            address = f"@aios-e2e-{os.getpid()}-{len(self.started)}"
            listener.bind("\0" + address[1:])
            listener.settimeout(PATIENCE_S)
            environment = {**self.environment, "NOTIFY_SOCKET": address}
            daemon = subprocess.Popen([sys.executable, "-m", "aiosd"], env=environment, cwd="/", stderr=subprocess.PIPE, text=True)
            self.started.append(daemon)
            assert listener.recv(512).startswith(b"READY=1")
        return daemon, list(lines_until(daemon, lambda line: line["event"] == "ready"))


def lines_until(daemon: subprocess.Popen[str], last: Callable[[dict[str, object]], bool]) -> Iterator[dict[str, object]]:
    assert daemon.stderr is not None
    for text in daemon.stderr:
        line = json.loads(text)
        yield line
        if last(line):
            return


@pytest.fixture
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    place = Place(tmp_path_factory.mktemp("d"), [])
    yield place
    for daemon in place.started:
        daemon.kill()
        daemon.wait(PATIENCE_S)
        if daemon.stderr is not None:
            daemon.stderr.close()


def test_it_says_ready_serves_and_stops_in_order(place: Place) -> None:
    daemon, said = place.start()
    assert said[-1]["pid"] == daemon.pid
    assert place.socket.stat().st_mode & 0o777 == 0o600
    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait(PATIENCE_S) == 0
    assert [line["event"] for line in lines_until(daemon, lambda _: False)][-1] == "stopped"
    assert not place.socket.exists()


def test_a_second_one_is_refused_with_the_pid_of_the_first(place: Place) -> None:
    daemon, _ = place.start()
    second = place.run()
    assert second.returncode == 1
    assert f"pid {daemon.pid}" in second.stderr
    assert "hint: " in second.stderr
    assert "Traceback" not in second.stderr
    assert daemon.poll() is None


def test_after_a_kill_the_next_one_starts(place: Place) -> None:
    daemon, _ = place.start()
    daemon.kill()
    daemon.wait(PATIENCE_S)
    assert place.socket.exists()
    place.start()


def test_sighup_takes_over_what_can_be_and_names_what_cannot(place: Place) -> None:
    daemon, _ = place.start()
    place.configure('[scheduler]\npolicy = "fifo"\nusage_half_life_s = 60\n[jobs]\ngrace_s = 1\n')
    daemon.send_signal(signal.SIGHUP)
    *_, said = lines_until(daemon, lambda line: line["event"] == "reloaded")
    assert (said["applied"], said["needs_restart"]) == (["scheduler.policy", "jobs.grace_s"], ["scheduler.usage_half_life_s"])
    place.configure("[jobs]\ngrace_s = -1\n")
    daemon.send_signal(signal.SIGHUP)
    *_, said = lines_until(daemon, lambda line: str(line["event"]).startswith("not reloaded"))
    assert "jobs.grace_s = -1 is not allowed" in str(said["error"])
    assert daemon.poll() is None


@pytest.mark.parametrize("flags", [(), ("--check-config",), ("--print-config",)])
def test_a_wrong_configuration_is_refused_with_status_2(place: Place, flags: tuple[str, ...]) -> None:
    place.configure("[jobs]\ngrce_s = 1\n")
    refused = place.run(*flags)
    assert refused.returncode == 2
    assert "unknown key jobs.grce_s; did you mean jobs.grace_s?" in refused.stderr
    assert not place.state.exists()


def test_a_policy_that_is_not_there_is_refused(place: Place) -> None:
    place.configure('[scheduler]\npolicy = "lifo"\n')
    refused = place.run("--check-config")
    assert (refused.returncode, "one of 'fifo', 'priority', 'fair'" in refused.stderr) == (2, True)


def test_the_printed_configuration_passes_the_check(place: Place) -> None:
    place.configure(place.run("--print-config").stdout)
    checked = place.run("--check-config")
    assert (checked.returncode, checked.stderr) == (0, "")


def test_wrong_usage_has_status_2(place: Place) -> None:
    assert place.run("--nonsense").returncode == 2


def test_a_state_directory_that_cannot_be_made_is_named(place: Place) -> None:
    refused = place.run("--state-directory", "/proc/nowhere")
    assert refused.returncode == 1
    assert "/proc/nowhere" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_damaged_database_is_told_and_kept(place: Place) -> None:
    place.state.mkdir(parents=True)
    damaged = b"SQLite format 3\0" + b"no pages here" * 400
    (place.state / "aiosd.db").write_bytes(damaged)
    refused = place.run()
    assert refused.returncode == 3
    assert "is damaged" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert (place.state / "aiosd.db").read_bytes() == damaged
    checked = place.run("admin-check")
    assert checked.returncode == 1
    assert "Traceback" not in checked.stderr


def test_a_database_of_a_newer_version_is_refused_for_good_and_left_alone(place: Place) -> None:
    """Status 3: the unit names it, so that systemd does not start the old program again and again."""
    daemon, _ = place.start()
    daemon.send_signal(signal.SIGTERM)
    daemon.wait(PATIENCE_S)
    with closing(sqlite3.connect(place.state / "aiosd.db")) as db, db:
        db.execute("UPDATE alembic_version SET version_num = '9999'")
    refused = place.run()
    assert refused.returncode == 3
    assert "has version 9999, which this aiosd" in refused.stderr
    assert "hint: install the newer aiosd again, or restore a backup" in refused.stderr
    assert "Traceback" not in refused.stderr
    with closing(sqlite3.connect(place.state / "aiosd.db")) as db:
        assert db.execute("SELECT version_num FROM alembic_version").fetchall() == [("9999",)]


def test_a_sound_database_passes_the_check(place: Place) -> None:
    daemon, _ = place.start()
    daemon.send_signal(signal.SIGTERM)
    daemon.wait(PATIENCE_S)
    checked = place.run("admin-check")
    assert (checked.returncode, checked.stdout.startswith("ok: ")) == (0, True)
    assert place.run("admin-check", "--state-directory", str(place.root / "none")).returncode == 1


def test_something_else_at_the_socket_s_path_is_left_alone(place: Place) -> None:
    place.socket.parent.mkdir(parents=True, mode=0o700)
    place.socket.write_text("mine")
    refused = place.run()
    assert refused.returncode in (1, 2)
    assert "is not a socket" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert place.socket.read_text() == "mine"
