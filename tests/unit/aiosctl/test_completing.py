"""What a shell is answered when it completes a line: names that the daemon knows, each from where the shell goes on."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from aios.errors import DaemonUnreachable
from aios.records import State
from aiosctl import session
from aiosctl.cli import root
from aiosctl.completion import ASKED, BashWords, script
from tests.unit.aiosctl.fake_client import FakeClient, make_job

BREAKS = " \t\n\"'@><=;|&(:"  # as bash has them


def completed(monkeypatch: pytest.MonkeyPatch, line: str, breaks: str = BREAKS) -> list[str]:
    monkeypatch.setenv("COMP_LINE", line)
    monkeypatch.setenv("COMP_BREAKS", breaks)
    answer = BashWords(root, {}, "aiosctl", ASKED).complete()
    return [item.removeprefix("plain,") for item in answer.splitlines()]


def test_jobs_are_completed(fake: FakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    fake.known = {"42": make_job("42"), "7": make_job("7", State.FAILED)}
    assert completed(monkeypatch, "aiosctl cancel ") == ["42", "7"]
    assert completed(monkeypatch, "aiosctl logs 4") == ["42"]
    assert [question["include_ended"] for _, question in fake.called("jobs")] == [False, True]


def test_what_is_not_asked_of_the_daemon_is_completed_as_ever(fake: FakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    assert completed(monkeypatch, "aiosctl mod") == ["model"]
    assert completed(monkeypatch, "aiosctl ps --state=run") == ["running"]
    assert completed(monkeypatch, "aiosctl model checkout digits ./") == ["file,./"]
    assert not fake.asked


def test_nothing_is_said_and_nothing_started_where_no_daemon_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def unreachable(**options: object) -> None:
        asked.append(options["autostart"])
        raise DaemonUnreachable("no daemon answers")

    monkeypatch.setattr(session, "connect", unreachable)
    assert completed(monkeypatch, "aiosctl model checkout ") == completed(monkeypatch, "aiosctl cancel ") == []
    assert asked == [False, False]


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_bash_takes_it_as_it_is_answered(tmp_path: Path) -> None:
    """The script is run by bash, which asks a process of ours; that one answers from the table of verbs."""
    program = tmp_path / "aiosctl"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m aiosctl "$@"\n')
    program.chmod(0o755)
    lines = ["COMP_LINE='aiosctl model ch'", "COMP_POINT=${#COMP_LINE}", "_aiosctl_completion aiosctl", "echo ${COMPREPLY[@]}"]
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    ran = subprocess.run(
        ["bash", "--norc", "-c", "\n".join([script("bash", root), *lines])], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert (ran.stdout, ran.stderr) == ("checkout\n", "")
