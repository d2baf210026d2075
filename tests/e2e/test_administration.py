"""What docs/administration.md shows is so: its commands are run, in their order, as far as a test can."""

import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from aiosctl.install import FILES, SHELLS
from tests.arch.source import ROOT
from tests.e2e.conftest import Aiosctl
from tests.e2e.daemon import Daemon

pytestmark = pytest.mark.timeout(300)  # several daemons start one after another
TEXT = (ROOT / "docs/administration.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^    [$#] (.*)$", TEXT, flags=re.MULTILINE)
NOT_HERE = (
    "python3 -m venv ",
    "/opt/aios/bin/pip install ",
    "ln -s /opt/aios/",
    "cp ",
    "(umask ",
    "systemd-creds ",
    "systemctl edit ",
)  # they would need a package index, a place of the machine, systemd, or a migration


def here(words: list[str], place: Path) -> list[str]:
    """The same words with paths below `place`, and the daemon of the test for the system's."""
    moved = [f"{place}{word}" if word.startswith("/var/") else word for word in words if word != "--system"]
    if words[:2] == ["daemon", "install"]:
        return [*moved, "--system", "--root", str(place)]
    return moved


def test_the_commands_do_what_they_are_shown_for(daemon: Daemon, aiosctl: Aiosctl, tmp_path: Path) -> None:
    (tmp_path / "var/backups").mkdir(parents=True)
    daemon.start().client().submit(["true"]).wait()
    (tmp_path / "model").write_bytes(b"weights" * 1000)
    daemon.client().models.register("digits", tmp_path / "model")
    steer = {
        "start": daemon.start,
        "stop": daemon.stop,
        "restart": daemon.restart,
        "reload": lambda: daemon.running.send_signal(signal.SIGHUP),
    }
    ran = 0
    for command in COMMANDS:
        program, *words = shlex.split(command)
        if command.startswith(NOT_HERE):
            continue
        ran += 1
        if program == "systemctl":
            assert words[1:] == ["aiosd"], command
            steer[words[0]]()
        elif program == "aiosd":
            assert _aiosd(daemon, *here(words, tmp_path)) == 0, command
        else:
            assert program == "aiosctl", command
            done = aiosctl(daemon, *here(words, tmp_path))
            assert done.returncode == 0, (command, done.stdout, done.stderr)
    assert ran >= 20
    assert [job.exit_code for job in daemon.client().jobs(include_ended=True)] == [0]  # it was restored
    assert (tmp_path / "var/backups/aios.tar.gz.models/pack").is_dir()
    assert Path(daemon.client().models.checkout("digits")).read_bytes() == b"weights" * 1000


def _aiosd(daemon: Daemon, *words: str) -> int:
    return subprocess.run([sys.executable, "-m", "aiosd", *words], env=daemon.environment, cwd="/", stdout=subprocess.DEVNULL, check=False).returncode


def test_the_places_it_names_are_those_where_things_go(daemon: Daemon, aiosctl: Aiosctl, tmp_path: Path) -> None:
    aiosctl(daemon, "daemon", "install", "--system", "--root", str(tmp_path))
    for name in ("/usr/local/lib/systemd/system/aiosd.service", "/etc/aios/aiosd.toml", "/usr/local/share/aios/installed"):
        assert name in TEXT
        assert os.path.exists(f"{tmp_path}{name}"), name
    assert all((tmp_path / "usr/local/share" / where).exists() for where in SHELLS.values())
    for group in re.findall(r"aios-(?:admin|operator)", (FILES / "sysusers.conf").read_text(encoding="utf-8")):
        assert group in TEXT


def test_every_verb_that_the_text_names_is_there() -> None:
    """Of the nouns that this page is about."""
    from aiosctl.admin import TABLE as ADMIN
    from aiosctl.daemon import TABLE as DAEMON

    for noun, table in (("admin", ADMIN), ("daemon", DAEMON)):
        named = set(re.findall(rf"aiosctl {noun} ([a-z]+)(?![a-z|])", TEXT))
        assert named, noun
        assert not named - set(table), noun
