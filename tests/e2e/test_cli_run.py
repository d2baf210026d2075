"""`aiosctl run`, `logs`, `submit`, `wait` against a real daemon: bytes, statuses, signals, a terminal."""

import os
import pty
import random
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence

import pytest

from tests.e2e.daemon import PATIENCE_S, Daemon, eventually

BLOB = random.Random(7).randbytes(3_000_000)


def test_output_is_byte_exact_on_both_streams(shared: Daemon) -> None:
    blob = shared.root / "blob"
    blob.write_bytes(BLOB)
    done = shared.aiosctl("run", "--", "sh", "-c", f"cat {blob}; cat {blob} >&2; printf 'no newline at the end'; exit 3")
    assert done.returncode == 3
    assert done.stdout == BLOB + b"no newline at the end"
    assert done.stderr == BLOB


def test_stdin_reaches_the_job_byte_for_byte_and_ends(shared: Daemon) -> None:
    done = shared.aiosctl("run", "-i", "--", "cat", input=BLOB)
    assert (done.returncode, done.stdout == BLOB, done.stderr) == (0, True, b"")
    assert shared.aiosctl("run", "--", "cat", input=b"not for it").stdout == b""
    assert shared.aiosctl("run", "-i", "--", "true", input=BLOB).returncode == 0


@pytest.mark.parametrize(
    ("command", "status"),
    [(["true"], 0), (["sh", "-c", "exit 42"], 42), (["sh", "-c", "kill -9 $$"], 137), (["no-such-program-anywhere"], 127)],
)
def test_the_jobs_status_is_ours(shared: Daemon, command: list[str], status: int) -> None:
    assert shared.aiosctl("run", "--", *command).returncode == status


def test_a_time_limit_says_so(shared: Daemon) -> None:
    done = shared.aiosctl("run", "--time", "1s", "--", "sleep", "60")
    assert done.returncode == 143 and b"timed_out" in done.stderr and b"time limit" in done.stderr


def test_the_environment_and_directory_are_ours(shared: Daemon) -> None:
    done = shared.aiosctl("run", "--env", "B=two words", "--", "sh", "-c", 'pwd; echo "$A-$B"', A="one")
    assert done.stdout.decode().splitlines() == [str(shared.root), "one-two words"]


def test_detached_then_waited_for_then_read(shared: Daemon) -> None:
    job = shared.aiosctl("run", "-d", "--name", "greeter", "--", "sh", "-c", "echo hello; exit 5").stdout.decode().strip()
    waited = shared.aiosctl("wait", job)
    assert (waited.returncode, waited.stdout.decode()) == (5, f"{job}  failed  exit 5\n")
    assert shared.aiosctl("logs", job).stdout == b"hello\n"
    assert shared.aiosctl("logs", "-f", "--exit-status", job).returncode == 5


def test_a_reader_that_leaves_ends_it_quietly(shared: Daemon) -> None:
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m aiosctl run --name endless -- yes | head -1; echo ${{PIPESTATUS[0]}}"],
        env={**shared.environment, "AIOS_TARGET": shared.target}, capture_output=True, timeout=PATIENCE_S, check=True,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == (b"y\n141\n", b"")
    eventually(lambda: shared.aiosctl("ps", "-q", "--name", "endless").stdout == b"", "the job is cancelled")


def test_a_signal_to_run_cancels_the_job(shared: Daemon) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "aiosctl", "run", "--", "sh", "-c", "echo up; exec sleep 600"],
        env={**shared.environment, "AIOS_TARGET": shared.target}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None and process.stdout.readline() == b"up\n"
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 143 and b"cancelled" in said


def test_a_batch_script_runs_with_its_arguments(shared: Daemon) -> None:
    script = shared.root / "job.sh"
    script.write_text('#!/bin/sh\n#SBATCH --job-name=batch -t 5\n#AIOS --output %x-%j.out\necho "$AIOS_JOB_NAME got $1"\n')
    job = shared.aiosctl("submit", str(script), "one argument").stdout.decode().strip()
    assert shared.aiosctl("wait", "-q", job).returncode == 0
    assert (shared.root / f"batch-{job}.out").read_text() == "batch got one argument\n"


def test_errors_have_their_statuses(shared: Daemon) -> None:
    assert shared.aiosctl("show", "999999").returncode == 3
    never = shared.aiosctl("run", "--cpus", "100000", "--", "true")
    assert never.returncode == 1 and never.stderr.startswith(b"error: ") and b"\nhint: " in never.stderr
    assert shared.aiosctl("ps", AIOS_TARGET="unix:/nonexistent/aiosd.sock").returncode == 5


def on_terminal(daemon: Daemon, words: Sequence[str], answers: Sequence[tuple[bytes, bytes]]) -> tuple[int, bytes]:
    """Run aiosctl on a terminal of its own; each (text, keys): when the text has come, type the keys."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(sys.executable, [sys.executable, "-m", "aiosctl", *words], {**daemon.environment, "AIOS_TARGET": daemon.target, "TERM": "xterm"})
    said, left, give_up_s = b"", list(answers), time.monotonic() + PATIENCE_S
    try:
        while time.monotonic() < give_up_s:
            if left and left[0][0] in said:
                os.write(terminal, left.pop(0)[1])
            if select.select([terminal], [], [], 0.05)[0]:
                try:
                    said += os.read(terminal, 1 << 16)
                except OSError:  # the other side has closed
                    break
    finally:
        if left:
            os.kill(pid, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        os.close(terminal)
    return status, said


SLEEPER = ["run", "--name", "sleeper", "--", "sh", "-c", "echo up; exec sleep 600"]


@pytest.mark.parametrize(("keys", "status", "lives"), [(b"c\n", 143, False), (b"\x03", 143, False), (b"d\n", 0, True)])
def test_ctrl_c_asks_whether_to_detach_or_to_cancel(shared: Daemon, keys: bytes, status: int, lives: bool) -> None:
    ended, said = on_terminal(shared, SLEEPER, [(b"up", b"\x03"), (b"[d/c]", keys)])
    assert ended == status, said
    alive = shared.aiosctl("ps", "-q", "--name", "sleeper").stdout.split()
    assert bool(alive) is lives
    if alive:
        assert f"aiosctl logs -f {alive[0].decode()}".encode() in said
        assert shared.aiosctl("cancel", "--force", alive[0].decode()).returncode == 0
        shared.aiosctl("wait", "-q", alive[0].decode())


def test_on_a_terminal_it_says_why_it_waits(shared: Daemon) -> None:
    first = shared.aiosctl("run", "-d", "--exclusive", "--", "sleep", "600").stdout.decode().strip()
    ended, said = on_terminal(shared, ["run", "--", "echo", "never"], [(b" waits: ", b"\x03"), (b"[d/c]", b"c\n")])
    assert ended == 130 and b"never" not in said
    shared.aiosctl("cancel", "--force", first)
    shared.aiosctl("wait", "-q", first)


def test_attach_is_a_terminal_beside_the_job(shared: Daemon) -> None:
    job = shared.aiosctl("run", "-d", "--env", "MARK=here", "--", "sleep", "600").stdout.decode().strip()
    eventually(lambda: shared.aiosctl("ps", "-q", "--state", "running").stdout.decode().split() == [job], "it runs")
    ended, said = on_terminal(shared, ["attach", job, "--", "sh", "-c", "echo $MARK; read word; echo got $word; exit 7"], [(b"here", b"typed\r")])
    assert ended == 7 and b"got typed" in said
    shared.aiosctl("cancel", "--force", job)
    shared.aiosctl("wait", "-q", job)
