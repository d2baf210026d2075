"""What is a job's alone, through the whole of AIOS: secrets that nothing else ever holds, disk space, and who its processes are."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import aios
from tests.e2e.daemon import Daemon, a_daemon, eventually

VALUE = b"a-very-rare-value-0815"
SWITCH = "on" if os.geteuid() == 0 else "auto"


@pytest.fixture(scope="module")
def private() -> Iterator[Daemon]:
    with a_daemon({"AIOSD_ISOLATION__RUN_AS_USER": SWITCH, "AIOSD_ISOLATION__DISK_WATCH_S": "0.2"}) as daemon:
        yield daemon.start()


@pytest.fixture
def client(private: Daemon) -> Iterator[aios.Client]:
    with aios.Client(private.target, timeout=60.0, autostart=False) as client:
        yield client


def holding(daemon: Daemon) -> set[str]:
    """Which files of the daemon's own places hold the value; by the directory below the root."""
    found = [path for path in daemon.root.rglob("*") if path.is_file() and VALUE in path.read_bytes()]
    return {"/".join(path.relative_to(daemon.root).parts[:-2]) for path in found}


def seen_of_processes(daemon: Daemon) -> list[int]:
    pids = [daemon.pid, *daemon.processes()]
    return [pid for pid in pids if any(VALUE in _read(f"/proc/{pid}/{what}") for what in ("cmdline", "environ"))]


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""


def test_a_secret_is_held_by_two_files_while_the_job_lives_and_by_none_after_it(private: Daemon, client: aios.Client, tmp_path: Path) -> None:
    script = f'read value < "$AIOS_SECRETS/TOKEN"; test "$value" = {VALUE.decode()[:6]}"${{value#??????}}" && touch {tmp_path}/up; while [ ! -e {tmp_path}/done ]; do sleep 0.02; done'
    job = client.submit(["/bin/sh", "-c", script], secrets={"TOKEN": VALUE + b"\n"}, env={"AIOS_SECRETS": "forged"}, cwd="/", key="once")
    eventually((tmp_path / "up").exists, "the job has read its secret")
    assert job.refresh().secrets == ("TOKEN",)
    assert holding(private) == {"run/aios/handed-out", "state/aios/secrets"}
    assert seen_of_processes(private) == []
    (tmp_path / "done").touch()
    job.wait(60, check=True)
    eventually(lambda: holding(private) == set(), "nothing holds the value any more")


def test_a_secret_goes_with_a_job_that_never_ran_and_with_what_a_dead_daemon_left(private: Daemon, client: aios.Client) -> None:
    held = client.submit(["true"], secrets={"TOKEN": VALUE}, hold=True, cwd="/")
    array = client.submit(["true"], secrets={"TOKEN": VALUE}, hold=True, array="0-9", cwd="/")
    assert holding(private) == {"state/aios/secrets"}
    (private.state / "secrets" / "left-over").mkdir(mode=0o700)
    (private.state / "secrets" / "left-over" / "TOKEN").write_bytes(VALUE)
    private.restart()
    eventually(lambda: not (private.state / "secrets" / "left-over").exists(), "what no job names is swept")
    assert holding(private) == {"state/aios/secrets"}  # the held ones keep theirs
    held.cancel()
    array.cancel()
    eventually(lambda: holding(private) == set(), "nothing holds the value any more")


def test_a_job_that_stores_more_than_it_asked_for_is_stopped_and_told_why(client: aios.Client) -> None:
    fill = 'while :; do head -c 1000000 /dev/zero >> "$AIOS_SCRATCH/file"; sleep 0.02; done'
    job = client.submit(["/bin/sh", "-c", fill], disk="4M", cwd="/").wait(60)
    assert job.state is aios.State.FAILED
    assert "scratch directory" in job.reason
    assert "4 MiB" in job.reason


@pytest.mark.root
def test_the_places_of_a_daemon_that_serves_users_are_closed_but_for_the_way_through(private: Daemon, client: aios.Client) -> None:
    client.submit(["true"], cwd="/").wait(60, check=True)
    state = private.state
    assert {place: (state / place).stat().st_mode & 0o777 for place in (".", "runs", "scratch", "logs", "checkpoints", "secrets")} == {
        ".": 0o711, "runs": 0o711, "scratch": 0o711, "logs": 0o711, "checkpoints": 0o711, "secrets": 0o700,
    }  # fmt: skip
    open_files = [path.name for path in state.iterdir() if path.is_file() and path.stat().st_mode & 0o077]
    assert open_files == []
