"""A daemon whose place turns against it: a full disk, a read-only directory, a damaged database; and what it tells systemd."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

import aios
from aios.spec import SubmitOptions
from tests.e2e.daemon import PATIENCE_S, Daemon, a_daemon, eventually

PLAIN = SubmitOptions(cpus=0.1, memory="16M", env={}, inherit_env=False, cwd="/")
SMALL_BYTES = 6 << 20


@contextmanager
def mounted(*arguments: str) -> Iterator[Path]:
    """A mount of our own for a while; the test is skipped, with the reason, where none is allowed."""
    place = Path(tempfile.mkdtemp(prefix="am-"))
    try:
        made = subprocess.run(["mount", *arguments, str(place)], capture_output=True, text=True, check=False) if shutil.which("mount") else None
        if made is None or made.returncode:
            pytest.skip(f"this machine lets us mount nothing: {made.stderr.strip() if made else 'no program mount'}")
        try:
            yield place
        finally:
            subprocess.run(["umount", "-l", str(place)], check=False)
    finally:
        shutil.rmtree(place, ignore_errors=True)


@pytest.fixture
def small() -> Iterator[Path]:
    with mounted("-t", "tmpfs", "-o", f"size={SMALL_BYTES},mode=0700", "tmpfs") as place:
        yield place


def fill(place: Path) -> Path:
    """Take all that is left."""
    filler = place / "filler"
    with filler.open("wb", buffering=0) as file:
        size = 1 << 16
        while size:
            try:
                file.write(bytes(size))
            except OSError:
                size //= 2
    return filler


@pytest.mark.root
def test_a_full_disk_refuses_submissions_harms_no_job_and_recovers(small: Path) -> None:
    with a_daemon({"AIOSD_RESOURCES__DISK_RESERVE_BYTES": "0"}, state=small / "aios") as daemon:
        client = daemon.start().client()
        gate = daemon.root / "go"
        job = client.submit(f"echo begin; while [ ! -e {gate} ]; do sleep 0.02; done; exit 6", **PLAIN)
        longer = client.submit(f"while [ ! -e {gate}2 ]; do sleep 0.02; done; exit 8", **PLAIN)
        eventually(lambda: (job.refresh().state, longer.refresh().state) == ("running", "running"), "both run")
        filler = fill(small)
        with pytest.raises(aios.errors.DiskFull, match="full") as refused:
            _submit_until_refused(client)
        assert refused.value.hint
        with pytest.raises(aios.errors.DiskFull):
            client.submit(["true"], **PLAIN)
        gate.touch()
        time.sleep(0.5)
        assert longer.refresh().state.active
        eventually(lambda: any("full" in warning for warning in client.node().warnings), "the node says so, too")
        said = daemon.aiosctl("submit", "--", "true")
        assert said.returncode in (1, 2)
        filler.unlink()
        eventually(lambda: _accepts(client), "submissions are accepted again")
        assert job.wait().exit_code == 6
        (daemon.root / "go2").touch()
        assert longer.wait().exit_code == 8
        assert client.submit(["true"], **PLAIN).wait().state is aios.State.SUCCEEDED
        eventually(lambda: not any("full" in warning for warning in client.node().warnings), "the audit trail is written again, too")


@pytest.mark.root
def test_an_exit_on_a_full_disk_without_a_daemon_is_booked_later(small: Path) -> None:
    with a_daemon({"AIOSD_RESOURCES__DISK_RESERVE_BYTES": "0"}, state=small / "aios") as daemon:
        client = daemon.start().client()
        gate = daemon.root / "go"
        job = client.submit(f"while [ ! -e {gate} ]; do sleep 0.02; done; exit 6", **PLAIN)
        eventually(lambda: job.refresh().state is aios.State.RUNNING, "it runs")
        daemon.kill()
        filler = fill(small)
        gate.touch()
        eventually(lambda: not daemon.processes(), "it ends")
        filler.unlink()
        daemon.start()
        assert job.wait().exit_code == 6


def _submit_until_refused(client: aios.Client) -> None:
    """What the database still has room for in its files is taken."""
    for _ in range(2000):
        client.submit(["true"], env={"FILL": os.urandom(20000).hex()}, inherit_env=False, hold=True)


def _accepts(client: aios.Client) -> bool:
    try:
        client.submit(["true"], **PLAIN)
    except aios.errors.DiskFull:
        return False
    return True


@pytest.mark.root
def test_a_read_only_state_directory_is_told_and_nothing_is_made(daemon: Daemon) -> None:
    daemon.start()
    daemon.client().submit(["true"], **PLAIN).wait()
    assert daemon.stop() == 0
    with mounted("--bind", str(daemon.state)) as place:
        if subprocess.run(["mount", "-o", "remount,ro,bind", str(place)], check=False).returncode:
            pytest.skip("this machine lets us make no mount read-only")
        before = _all_files(daemon.state)
        for directory in (place, place / "none"):
            daemon.state = directory
            refused = daemon.start(ready=False).died()
            assert refused == 1
            assert f"{directory}" in daemon.said(4)
            assert "error: " in daemon.said(4) and "hint: " in daemon.said(4)
        daemon.state = daemon.root / "state" / "aios"
        assert _all_files(daemon.state) == before
    assert "Traceback" not in daemon.said(100)
    daemon.start()


def _all_files(place: Path) -> dict[str, bytes]:
    return {str(file.relative_to(place)): file.read_bytes() for file in place.rglob("*") if file.is_file()}


def test_damage_is_told_by_aiosctl_too_and_the_file_is_kept(daemon: Daemon) -> None:
    client = daemon.start().client()
    client.submit_many([aios.JobSpec(["true"], hold=True, name=f"job-{n}", env={"N": str(n) * 500}, inherit_env=False) for n in range(200)])
    assert daemon.stop() == 0
    database = daemon.state / "aiosd.db"
    (daemon.root / "aiosd.py").write_text("raise SystemExit('somebody else's')")  # aiosctl runs there, perhaps as root
    sound = daemon.aiosctl("admin", "check", AIOSD_DAEMON__STATE_DIRECTORY=str(daemon.state))
    assert sound.returncode == 0, sound.stderr
    content = bytearray(database.read_bytes())
    for at in range(8192, len(content), 4096):
        content[at : at + 64] = b"\xff" * 64
    database.write_bytes(content)
    for side in database.parent.glob("aiosd.db-*"):
        side.unlink()
    assert daemon.start(ready=False).died() == 3
    assert "is damaged" in daemon.said(5)
    assert "Traceback" not in daemon.said(100)
    assert database.read_bytes() == content
    checked = daemon.aiosctl("admin", "check")
    assert checked.returncode == 1
    assert b"Traceback" not in checked.stderr
    assert database.read_bytes() == content


def test_systemd_hears_of_readiness_life_reload_and_the_end(daemon: Daemon) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        path = daemon.root / "notify"
        ear.bind(str(path))
        ear.settimeout(PATIENCE_S)
        daemon.start(NOTIFY_SOCKET=str(path), WATCHDOG_USEC="200000")
        heard = _heard_until(ear, "READY=1")
        heard += _heard_until(ear, "WATCHDOG=1")
        daemon.running.send_signal(1)
        heard += _heard_until(ear, "RELOADING=1")
        heard += _heard_until(ear, "READY=1")
        assert daemon.stop() == 0
        heard += _heard_until(ear, "STOPPING=1")
    words = [line.partition("=")[0] for message in heard for line in message.splitlines()]
    assert words.index("READY") < words.index("RELOADING") < words.index("STOPPING")


def _heard_until(ear: socket.socket, word: str) -> list[str]:
    heard = []
    while not heard or word not in heard[-1]:
        heard.append(ear.recv(4096).decode())
    return heard


def test_health_and_reflection_answer(shared: Daemon) -> None:
    with grpc.insecure_channel(shared.target) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        for service in ("", "aios.v1.Jobs", "aios.v1.Node", "aios.v1.Queues"):
            answer = health.Check(health_pb2.HealthCheckRequest(service=service), timeout=PATIENCE_S)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING, service
        ask = [reflection_pb2.ServerReflectionRequest(list_services="")]
        (answer,) = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(iter(ask), timeout=PATIENCE_S, metadata=shared.metadata())
        assert {"aios.v1.Jobs", "aios.v1.Node", "aios.v1.Queues"} <= {s.name for s in answer.list_services_response.service}


def test_a_reload_says_what_was_taken_over(daemon: Daemon) -> None:
    config = daemon.root / "config" / "aios" / "aiosd.toml"
    config.parent.mkdir(parents=True)
    config.write_text('[scheduler]\npolicy = "fair"\n')
    client = daemon.start().client()
    config.write_text(
        '[scheduler]\npolicy = "priority"\n[daemon]\nlog_level = "debug"\n[monitoring]\nperiod_s = 2.0\n[rpc]\nmax_message_bytes = 1048576\n[queues.night]\nmax_running = 3\n'
    )
    done = client.reload()
    assert {"scheduler.policy", "daemon.log_level", "queues.night.max_running", "monitoring.period_s"} <= set(done.applied)
    assert done.needs_restart == ("rpc.max_message_bytes",)
    assert client.node().policy == "priority"
    assert daemon.aiosctl("queue", "show", "night").returncode == 0
