"""`aiosctl run` as a user of `docker run` expects it, and the verbs around it, as processes."""

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

import aios
from aios.spec import SubmitOptions
from tests.e2e.daemon import LONG, PATIENCE_S, Daemon, a_daemon, eventually

PLAIN = SubmitOptions(cpus=0.1, memory="16M", env={}, inherit_env=False, cwd="/")
AIOSCTL = [sys.executable, "-m", "aiosctl"]


@pytest.mark.parametrize(("script", "status"), [("exit 0", 0), ("exit 7", 7), ("kill -TERM $$", 143), ("kill -KILL $$", 137)])
def test_the_status_is_the_job_s_own(shared: Daemon, script: str, status: int) -> None:
    done = shared.aiosctl("run", "--", "sh", "-c", f"echo out; echo err >&2; {script}")
    assert (done.returncode, done.stdout) == (status, b"out\n"), done.stderr
    assert done.stderr.startswith(b"err\n")


def test_what_cannot_start_has_a_status_of_its_own(shared: Daemon) -> None:
    done = shared.aiosctl("run", "--", "/no/such/program")
    assert done.returncode == 127
    assert b"/no/such/program" in done.stderr
    assert shared.aiosctl("run", "--time", "1s", "--grace", "1s", "--", "sleep", "60").returncode in (124, 143)


def test_its_input_and_output_pass_unchanged(shared: Daemon) -> None:
    data = bytes(range(256)) * 2000
    done = shared.aiosctl("run", "-i", "--", "cat", input=data)
    assert (done.returncode, done.stdout) == (0, data)
    without = shared.aiosctl("run", "--", "cat", input=data)
    assert (without.returncode, without.stdout) == (0, b"")


def test_no_last_line_is_lost(shared: Daemon) -> None:
    """Five at a time; the last line of each has no newline, and the job ends in the same moment."""
    environment = {**shared.environment, "AIOS_TARGET": shared.target}
    for batch in range(10 if LONG else 4):
        runs = [
            subprocess.Popen(
                [*AIOSCTL, "run", "--cpus", "0.1", "--", "sh", "-c", f"seq 1 200; printf last-{batch}-{n}"],
                env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd="/",
            )
            for n in range(5)
        ]  # fmt: skip
        for n, run in enumerate(runs):
            out, err = run.communicate(timeout=PATIENCE_S)
            assert (run.returncode, out.decode().splitlines()[-2:], err) == (0, ["200", f"last-{batch}-{n}"], b"")


def test_a_broken_pipe_ends_it_and_cancels_the_job(shared: Daemon, client: aios.Client) -> None:
    line = f"{' '.join(AIOSCTL)} run --name pipe --grace 1s -- sh -c 'while :; do echo y; sleep 0.01; done' | head -n 2"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {line}"],
        env={**shared.environment, "AIOS_TARGET": shared.target},
        capture_output=True,
        check=False,
        timeout=PATIENCE_S,
    )
    assert (done.returncode, done.stdout) == (141, b"y\ny\n")
    assert b"Traceback" not in done.stderr
    eventually(lambda: next(client.jobs(name="pipe", include_ended=True)).ended, "the job is cancelled")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_without_a_terminal_cancels(shared: Daemon, client: aios.Client, number: signal.Signals) -> None:
    name = f"signal-{number.value}"
    run = subprocess.Popen(
        [*AIOSCTL, "run", "--name", name, "--", "sh", "-c", "trap 'echo bye; exit 3' TERM; echo hi; while :; do sleep 0.02; done"],
        env={**shared.environment, "AIOS_TARGET": shared.target}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    assert run.stdout is not None
    assert run.stdout.readline() == b"hi\n"
    run.send_signal(number)
    out, _ = run.communicate(timeout=PATIENCE_S)
    assert out == b"bye\n"
    assert run.returncode == 3
    assert next(client.jobs(name=name, include_ended=True)).state is aios.State.CANCELLED


@contextmanager
def on_a_terminal(daemon: Daemon, *arguments: str) -> Iterator["Terminal"]:
    pid, descriptor = pty.fork()
    if pid == 0:
        os.execve(sys.executable, [*AIOSCTL, *arguments], {**daemon.environment, "AIOS_TARGET": daemon.target, "TERM": "dumb"})
    terminal = Terminal(pid, descriptor)
    try:
        yield terminal
    finally:
        with suppress(ProcessLookupError, ChildProcessError):
            if not terminal.waited:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
        os.close(descriptor)


class Terminal:
    """The other end of a pseudo-terminal: types, and waits for what is shown."""

    def __init__(self, pid: int, descriptor: int) -> None:
        self.pid, self.descriptor, self.shown, self.waited = pid, descriptor, b"", False

    def until(self, text: str) -> None:
        give_up_s = time.monotonic() + PATIENCE_S
        while text.encode() not in self.shown:
            assert time.monotonic() < give_up_s, f"{text!r} does not come: {self.shown!r}"
            if select.select([self.descriptor], [], [], 0.2)[0]:
                try:
                    self.shown += os.read(self.descriptor, 4096)
                except OSError:
                    assert text.encode() in self.shown, self.shown
                    return

    def type(self, keys: bytes) -> None:
        os.write(self.descriptor, keys)

    def status(self) -> int:
        give_up_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < give_up_s:
            if select.select([self.descriptor], [], [], 0.05)[0]:
                with suppress(OSError):
                    self.shown += os.read(self.descriptor, 4096)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.waited = True
                return os.waitstatus_to_exitcode(status)
        raise AssertionError(f"it does not end: {self.shown!r}")


COUNT = "while :; do echo tick; sleep 0.05; done"


def test_ctrl_c_asks_and_detach_leaves_the_job(shared: Daemon, client: aios.Client) -> None:
    with on_a_terminal(shared, "run", "--name", "detached", "--grace", "1s", "--", "sh", "-c", COUNT) as terminal:
        terminal.until("tick")
        terminal.type(b"\x03")
        terminal.until("[d/c]")
        terminal.type(b"d\r")
        assert terminal.status() == 0
    job = client.job("detached")
    assert job.state is aios.State.RUNNING
    assert f"job {job.id} goes on".encode() in terminal.shown
    job.cancel(force=True).wait()


def test_ctrl_c_asks_and_cancel_ends_the_job(shared: Daemon, client: aios.Client) -> None:
    with on_a_terminal(shared, "run", "--name", "cancelled", "--grace", "1s", "--", "sh", "-c", f"trap 'exit 9' TERM; {COUNT}") as terminal:
        terminal.until("tick")
        terminal.type(b"\x03")
        terminal.until("[d/c]")
        terminal.type(b"c\r")
        assert terminal.status() == 9
    assert next(client.jobs(name="cancelled", include_ended=True)).state is aios.State.CANCELLED


def test_ctrl_c_twice_cancels_at_once(shared: Daemon, client: aios.Client) -> None:
    with on_a_terminal(shared, "run", "--name", "twice", "--grace", "1s", "--", "sh", "-c", f"trap '' TERM; {COUNT}") as terminal:
        terminal.until("tick")
        terminal.type(b"\x03")
        terminal.until("[d/c]")
        terminal.type(b"\x03")
        assert terminal.status() == 137
    assert next(client.jobs(name="twice", include_ended=True)).state is aios.State.CANCELLED


def test_run_goes_on_through_a_restart_of_the_daemon(daemon: Daemon) -> None:
    daemon.start()
    script = "for n in $(seq 1 60); do echo $n; sleep 0.04; done; exit 5"
    run = subprocess.Popen([*AIOSCTL, "run", "--", "sh", "-c", script], env={**daemon.environment, "AIOS_TARGET": daemon.target}, stdout=subprocess.PIPE)
    assert run.stdout is not None
    assert run.stdout.readline() == b"1\n"
    daemon.restart()
    out, _ = run.communicate(timeout=PATIENCE_S)
    assert (run.returncode, out.split()) == (5, [str(n).encode() for n in range(2, 61)])


def test_the_first_command_starts_a_daemon_and_stop_leaves_jobs(daemon: Daemon) -> None:
    """Rootless: `aiosctl` alone, with nothing there; and `daemon stop` leaves what runs."""
    own = {"AIOS_TARGET": "", "AIOSD_AUTOSTART": "1"}
    first = daemon.aiosctl("run", "--", "echo", "hello", **own)
    assert (first.returncode, first.stdout) == (0, b"hello\n"), first.stderr
    status = json.loads(daemon.aiosctl("daemon", "status", "-o", "json", **own).stdout)
    assert status["running"]
    long_one = daemon.aiosctl("run", "-d", "--", "sleep", "600", **own).stdout.decode().strip()
    eventually(lambda: json.loads(daemon.aiosctl("show", long_one, "-o", "json", **own).stdout)["state"] == "running", "it runs")
    assert daemon.aiosctl("daemon", "stop", **own).returncode == 0
    assert daemon.aiosctl("daemon", "status", **own).returncode == 5
    assert any("sleep 600" in command for command in daemon.processes().values())
    assert daemon.aiosctl("cancel", "--force", long_one, **own).returncode == 0
    assert daemon.aiosctl("wait", long_one, **own).returncode in (137, 130)
    assert daemon.aiosctl("daemon", "stop", **own).returncode == 0


# Functions as jobs


@pytest.fixture
def tasks(shared: Daemon, monkeypatch: pytest.MonkeyPatch) -> aios.Client:
    monkeypatch.setenv("XDG_STATE_HOME", str(shared.root / "state"))
    return shared.client()


def test_a_function_runs_as_a_job_and_what_it_raises_comes_back(tasks: aios.Client) -> None:
    def divide(a: int, b: int) -> float:
        if b == 0:
            raise KeyError(f"cannot divide {a}")
        return a / b

    task = aios.task(cpus=0.5)(divide).using(tasks)
    assert task(6, 3) == 2.0
    assert task.map([2, 4, 9], [1, 2, 3]) == [2.0, 2.0, 3.0]
    with pytest.raises(KeyError, match="cannot divide 1") as raised:
        task(1, 0)
    assert "in divide" in str(raised.value.__cause__)
    mixed = task.map([1, 1], [1, 0], return_exceptions=True)
    assert mixed[0] == 1.0
    assert isinstance(mixed[1], KeyError)


def test_a_task_that_is_killed_says_so(tasks: aios.Client) -> None:
    task = aios.task(cpus=0.5)(lambda: os.kill(os.getpid(), signal.SIGKILL)).using(tasks)
    with pytest.raises(aios.JobFailed, match="137"):
        task()


def test_two_daemons_know_nothing_of_each_other(shared: Daemon, client: aios.Client) -> None:
    with a_daemon() as other:
        job = other.start().client().submit(["true"], name="elsewhere", **PLAIN).wait()
        assert job.state is aios.State.SUCCEEDED
        assert not list(client.jobs(name="elsewhere", include_ended=True))
