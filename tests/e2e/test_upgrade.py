"""Another version of the program takes over under load: jobs, their outputs, and those who follow them go on."""

import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import aios
import aiosd
from aios.errors import AiosError
from aios.spec import SubmitOptions
from tests.arch.source import ROOT
from tests.e2e.daemon import Daemon, eventually

pytestmark = pytest.mark.timeout(300)  # several daemons start one after another
PLAIN = SubmitOptions(cpus=0.1, memory="16M", env={}, inherit_env=False, cwd="/")
LINES = 60
OLD = "0.0.9"


def older_version(place: Path) -> Path:
    """A copy of the program that calls itself older, and whose shims write their run files as no newer one does."""
    for package in ("aios", "aiosd"):
        shutil.copytree(ROOT / package, place / package, ignore=shutil.ignore_patterns("__pycache__"))
    edit(place / "aiosd/__init__.py", aiosd.__version__, OLD)
    edit(place / "aiosd/host/runfile.py", "\nVERSION = ", "\nVERSION = -")
    edit(place / "aiosd/host/runfile.py", "line(fields)", f'line({{**fields, "made_by": "{OLD}"}})')
    return place


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert old in text, f"{file.name} no longer has {old!r}"
    file.write_text(text.replace(old, new), encoding="utf-8")


def submit_until(stop: threading.Event, client: aios.Client, ran: Path) -> list[str]:
    """A user's loop: what was answered, by id. A refusal while the daemon changes is allowed, a job that gets lost is not."""
    answered = []
    while not stop.is_set():
        try:
            answered.append(client.submit(f"echo $AIOS_JOB_ID >> {ran}", **PLAIN).id)
        except AiosError:
            continue
        time.sleep(0.02)
    return answered


def acquainted(daemon: Daemon) -> aios.Client:
    """A client that has met its daemon, and so waits for it when it is away."""
    client = daemon.client()
    client.node()
    return client


def phases(client: aios.Client, job_id: str) -> list[aios.State]:
    seen: list[aios.State] = []
    for event in client.watch(ids=[job_id], include_ended=True):
        if event.job is not None and (not seen or seen[-1] is not event.job.state):
            seen.append(event.job.state)
        if seen and seen[-1].ended:
            break
    return seen


def test_a_new_version_takes_over_under_load(daemon: Daemon) -> None:
    client = daemon.start(PYTHONPATH=str(older_version(daemon.root / "old"))).client()
    assert client.node().daemon.version == OLD
    script = f"import os, time\nn = 0\nwhile n < {LINES} or not os.path.exists({str(daemon.root / 'go')!r}):\n  print('line', n, flush=True); n += 1; time.sleep(0.03)"
    job = client.submit([sys.executable, "-c", script], name="long", **PLAIN)
    array = client.submit(f"echo $AIOS_ARRAY_INDEX >> {daemon.root}/elements; sleep 0.05", array="0-99", **PLAIN)
    eventually(lambda: job.refresh().state is aios.State.RUNNING, "it runs")
    made_by = (daemon.state / "runs" / f"{job.id}.-1.1").read_text(errors="replace")
    assert f'"made_by": "{OLD}"' in made_by
    stop = threading.Event()
    command = [sys.executable, "-m", "aiosctl", "logs", "-f", "--exit-status", "long"]
    with (
        subprocess.Popen(command, env={**daemon.environment, "AIOS_TARGET": daemon.target}, stdout=subprocess.PIPE) as shell,
        ThreadPoolExecutor() as threads,
    ):
        try:
            assert shell.stdout is not None
            first = shell.stdout.readline()  # now it follows
            submitting = threads.submit(submit_until, stop, acquainted(daemon), daemon.root / "ran")
            following = threads.submit(lambda: list(client.log_lines(job.id, follow=True)))
            waiting = threads.submit(acquainted(daemon).wait, job.id)
            watching = threads.submit(phases, acquainted(daemon), job.id)
            eventually((daemon.root / "ran").exists, "jobs are submitted, and run")
            assert daemon.stop() == 0
            time.sleep(0.5)
            daemon.start()
            assert client.node().daemon.version == aiosd.__version__
            time.sleep(0.5)
        finally:
            stop.set()
            (daemon.root / "go").touch()
        lines, waited, seen, answered = following.result(), waiting.result(), watching.result(), submitting.result()
        printed = (first + shell.stdout.read()).decode().splitlines()
        assert shell.wait(60) == 0
    assert len(lines) >= LINES
    assert lines == printed == [f"line {n}" for n in range(len(lines))]
    assert (waited.state, seen[-1], waited.attempt) == (aios.State.SUCCEEDED, aios.State.SUCCEEDED, 1)
    assert [client.wait(one).state for one in answered] == [aios.State.SUCCEEDED] * len(answered)
    ran = Counter((daemon.root / "ran").read_text().split())
    assert {one: ran[one] for one in answered} == dict.fromkeys(answered, 1)
    assert array.wait().state is aios.State.SUCCEEDED
    assert sorted(map(int, (daemon.root / "elements").read_text().split())) == list(range(100))
    assert client.check().findings == ()


def test_who_follows_is_patient_and_says_so_once(daemon: Daemon) -> None:
    """Longer away than one call may take: who only calls gives up, who follows does not."""
    job = daemon.start().client().submit(f"echo before; while [ ! -e {daemon.root}/go ]; do sleep 0.05; done; echo after", **PLAIN)
    told: list[str] = []
    with (
        aios.Client(daemon.target, timeout=1.0, patience=120.0, autostart=False, on_away=lambda error: told.append(str(error))) as client,
        ThreadPoolExecutor() as threads,
    ):
        client.job(job.id, timeout=60)  # acquainted
        following = threads.submit(lambda: list(client.log_lines(job.id, follow=True)))
        waiting = threads.submit(lambda: client.wait(job.id))
        eventually(lambda: job.refresh().state is aios.State.RUNNING, "it runs")
        daemon.stop()
        (daemon.root / "go").touch()
        eventually(lambda: told, "it is told that the daemon is away")
        time.sleep(1.5)
        assert not following.done()
        assert not waiting.done()
        daemon.start()
        assert following.result(60) == ["before", "after"]
        assert waiting.result(60).state is aios.State.SUCCEEDED
    assert len(told) == 1


def test_who_is_not_patient_gives_up(daemon: Daemon) -> None:
    daemon.start()
    job = daemon.client().submit("sleep 600", **PLAIN)
    with aios.Client(daemon.target, timeout=1.0, autostart=False) as client, ThreadPoolExecutor() as threads:
        following = threads.submit(lambda: list(client.log_lines(job.id, follow=True)))
        client.job(job.id, timeout=60)  # acquainted
        daemon.stop()
        assert isinstance(following.exception(60), aios.errors.Unavailable)


def test_aiosctl_says_on_stderr_that_it_waits(daemon: Daemon) -> None:
    job = daemon.start().client().submit(f"echo before; while [ ! -e {daemon.root}/go ]; do sleep 0.05; done; echo after", **PLAIN)
    command = [sys.executable, "-m", "aiosctl", "logs", "-f", "--timeout", "5m", job.id]
    environment = {**daemon.environment, "AIOS_TARGET": daemon.target}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as shell:
        assert shell.stderr is not None
        assert shell.stdout is not None
        assert shell.stdout.readline() == b"before\n"  # now it follows
        daemon.stop()
        (daemon.root / "go").touch()
        assert shell.stderr.readline().startswith(b"warning: no daemon answers at ")
        daemon.start()
        assert shell.stdout.read() == b"after\n"
        assert shell.wait(60) == 0
        assert shell.stderr.read() == b""
