"""`--notify`: a command that is run when a job has ended for good, and that keeps neither jobs nor the daemon's end waiting."""

import os
import signal
from pathlib import Path

import pytest

from tests.e2e.daemon import Daemon, eventually

TOLD = 'echo "$AIOS_JOB_ID $AIOS_JOB_NAME $AIOS_JOB_STATE $AIOS_JOB_EXIT_CODE:$AIOS_JOB_SIGNAL" >> {0}'


@pytest.mark.parametrize(("arguments", "told"), [
    (["--", "true"], "{id} {name} succeeded 0:"),
    (["--", "sh", "-c", "kill -9 $$"], "{id} {name} failed :9"),
    (["--retries", "1", "--backoff", "10ms", "--", "false"], "{id} {name} failed 1:"),
    (["--array", "0-2", "--", "false"], "{id} {name} failed :"),
])  # fmt: skip
def test_it_is_told_once_how_a_job_has_ended(shared: Daemon, tmp_path: Path, arguments: list[str], told: str) -> None:
    file = tmp_path / "told"
    done = shared.aiosctl("run", "-d", "--name", "watched", "--cpus", "0.1", "--notify", TOLD.format(file), *arguments)
    assert done.returncode == 0, done.stderr
    job_id = done.stdout.decode().split()[-1]
    shared.aiosctl("wait", job_id)
    marker = tmp_path / "later"
    shared.aiosctl("run", "-d", "--cpus", "0.1", "--notify", f"touch {marker}", "--", "true")
    eventually(marker.exists, "a later command has run")
    eventually(lambda: file.exists() and file.read_text().endswith("\n"), "the command has run")
    assert file.read_text().splitlines() == [told.format(id=job_id, name="watched")]


def test_one_that_hangs_keeps_nobody_waiting_and_one_that_fails_is_logged(daemon: Daemon, tmp_path: Path) -> None:
    daemon.start()
    daemon.aiosctl("run", "-d", "--notify", f"echo $$ > {tmp_path}/pid; exec sleep 50", "--", "true")
    daemon.aiosctl("run", "-d", "--notify", "exit 7", "--", "true")
    eventually(lambda: any(record.get("why") == "exit code 7" and record["level"] == "warning" for record in daemon.logged()), "the failure is logged")
    pid = eventually(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip(), "it runs")
    assert daemon.stop() == 0
    assert Path(f"/proc/{pid}").exists()
    os.kill(int(pid), signal.SIGKILL)
