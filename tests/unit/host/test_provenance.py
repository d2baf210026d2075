"""What a directory and an interpreter say of themselves; and that nothing in somebody's checkout is run as root, or holds anybody up."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiosd.host import provenance
from aiosd.host.identities import Identity
from aiosd.host.provenance import look, without_secrets

PATH = {"PATH": os.environ["PATH"]}
NOBODY = 65534

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def git(directory: Path, *words: str) -> str:
    own = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b"}
    done = subprocess.run(["git", *words], cwd=directory, env={**os.environ, **own}, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    made = tmp_path / "code"
    made.mkdir()
    git(made, "init", "-q", "-b", "trunk")
    (made / "train.py").write_text("print(1)\n")
    git(made, "add", ".")
    git(made, "commit", "-q", "-m", "first")
    git(made, "remote", "add", "origin", "https://ada:hush@example.org/code.git")
    return made


@pytest.fixture
def tmp_path_in_the_open() -> Iterator[Path]:
    """Where another user can go; pytest's own directories are for root alone."""
    with tempfile.TemporaryDirectory(prefix="aios-") as name:
        if os.geteuid() == 0:
            os.chown(name, NOBODY, NOBODY)
        yield Path(name)


def test_a_clean_checkout_a_dirty_one_and_none(checkout: Path, tmp_path: Path) -> None:
    commit = git(checkout, "rev-parse", "HEAD")
    found = look(str(checkout), ["sh", "x"], PATH, None)
    assert (found.git_commit, found.git_branch, found.git_remote, found.git_dirty) == (commit, "trunk", "https://example.org/code.git", False)
    assert (found.python, found.packages, found.host) == ("", {}, os.uname().nodename)
    (checkout / "train.py").write_text("print(2)\n")
    assert look(str(checkout), ["sh"], PATH, None).git_dirty
    for elsewhere in (tmp_path, tmp_path / "nowhere"):
        assert look(str(elsewhere), ["sh"], PATH, None).git_commit == ""


def test_an_interpreter_is_asked_for_its_version_and_packages(tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit")  # what lies in the directory is not imported
    found = look(str(tmp_path), [sys.executable, "train.py"], PATH, None)
    assert found.python == ".".join(map(str, sys.version_info[:3]))
    assert "pytest" in found.packages
    assert look(str(tmp_path), ["python-that-is-not-there"], PATH, None).python == ""
    liar = tmp_path / "python-liar"
    liar.write_text("#!/bin/sh\necho '[1]'")
    liar.chmod(0o755)
    assert look(str(tmp_path), [str(liar)], PATH, None).python == ""


def test_what_a_checkout_would_have_run_is_not_run(checkout: Path, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    trap.write_text(f"#!/bin/sh\ntouch {tmp_path}/sprung\n")
    trap.chmod(0o755)
    git(checkout, "config", "core.fsmonitor", str(trap))
    git(checkout, "config", "core.hooksPath", str(tmp_path))
    assert look(str(checkout), ["sh"], PATH, None).git_branch == "trunk"
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("hang", ["exec sleep 1000", "setsid sleep 15 & exec sleep 1000"])
def test_who_does_not_answer_is_given_up_and_does_not_live_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hang: str) -> None:
    monkeypatch.setattr(provenance, "PATIENCE_S", 1.0)
    slow = tmp_path / "python-slow"
    slow.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid; {hang}\n")
    slow.chmod(0o755)
    began_s = time.monotonic()
    assert look(str(tmp_path), [str(slow)], {"PATH": os.environ["PATH"]}, None).python == ""
    assert time.monotonic() - began_s < 60
    pid = int((tmp_path / "pid").read_text())
    deadline_s = time.monotonic() + 30
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline_s:
        time.sleep(0.02)
    assert not Path(f"/proc/{pid}").exists()


@pytest.mark.root
def test_it_is_asked_as_the_user_and_without_a_way_to_more(tmp_path_in_the_open: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("becoming another user needs root")
    place = tmp_path_in_the_open
    told = place / "python-told"
    told.write_text("#!/bin/sh\n(id -u; id -G; grep NoNewPrivs /proc/self/status) > who\n")
    told.chmod(0o755)
    look(str(place), ["./python-told"], PATH, Identity(NOBODY, NOBODY, (NOBODY,), "nobody", "/", "/bin/sh"))
    assert (place / "who").read_text().split() == [str(NOBODY), str(NOBODY), "NoNewPrivs:", "1"]
    assert (place / "who").stat().st_uid == NOBODY


def test_secrets_of_a_remote_are_not_kept() -> None:
    assert without_secrets("https://ada:hush@example.org:8/a.git") == "https://example.org:8/a.git"
    assert without_secrets("git@example.org:a.git") == "git@example.org:a.git"
    assert without_secrets("https://[broken") == ""
