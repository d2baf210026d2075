"""Real runs make room for others: they save and come back, are frozen and go on, start again, or are gone; also when the daemon dies meanwhile."""

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

import aios
from aios.spec import SubmitOptions
from tests.arch.source import ROOT
from tests.e2e.daemon import Daemon, a_daemon, eventually

MODES = ("suspend", "checkpoint", "requeue", "cancel")
EXAMPLE = ROOT / "docs" / "examples" / "checkpointing" / "train.py"
PLAIN = SubmitOptions(memory="16M", env={}, inherit_env=False, cwd="/")


@contextmanager
def a_daemon_with_queues() -> Iterator[Daemon]:
    """`high` preempts the others, which are named after what becomes of their jobs."""
    with a_daemon() as daemon:
        config = daemon.root / "config" / "aios"
        config.mkdir(parents=True)
        queues = "".join(f'[queues.{mode}]\npreempt_mode = "{mode}"\n' for mode in MODES)
        (config / "aiosd.toml").write_text(f"[scheduler]\npreempt_min_gain_s = 0\n[queues.high]\npreempts = {list(MODES)}\n{queues}".replace("'", '"'))
        yield daemon


@pytest.fixture(scope="module")
def preempting() -> Iterator[Daemon]:
    with a_daemon_with_queues() as daemon:
        yield daemon.start()


@pytest.fixture
def place(preempting: Daemon, request: pytest.FixtureRequest) -> Path:
    path = preempting.root / "places" / request.node.name.replace("[", "-").rstrip("]")
    path.mkdir(parents=True)
    return path


def processors(client: aios.Client) -> int:
    """All of them: no other job runs beside one that asks for so many."""
    return len(client.node().inventory.cpus)


def occupy(client: aios.Client, queue: str, script: str, **more: object) -> aios.Job:
    """A job that runs, and leaves no processor to others."""
    job = client.submit(["sh", "-c", script], queue=queue, cpus=processors(client), **{**PLAIN, **more})  # type: ignore[misc]
    eventually(lambda: job.refresh().state is aios.State.RUNNING, "it runs")
    return job


def lines(path: Path) -> int:
    return len(path.read_text().splitlines()) if path.exists() else 0


def states_of(daemon: Daemon, word: str) -> set[str]:
    """As ps has them, of all processes that have the word in their command."""
    found = set()
    for pid, command in daemon.processes().items():
        if word in command and "aiosd" not in command:
            with suppress(OSError):
                found.add(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0])
    return found


def test_a_training_run_saves_makes_room_and_goes_on(preempting: Daemon, place: Path) -> None:
    client = preempting.client()
    pace = "$([ $AIOS_ATTEMPT = 1 ] && echo 0.25 || echo 0)"  # the first attempt would take half a minute
    environment = {"PYTHONPATH": str(ROOT)}
    low = occupy(
        client,
        "checkpoint",
        f"exec {sys.executable} {EXAMPLE} 120 {pace} >> {place}/out",
        checkpoint_signal="USR1",
        env=environment,
        memory="256M",
        grace="30s",
    )
    eventually(lambda: (p := low.refresh().progress) is not None and p.done >= 2, "it has learned something")
    high = client.submit(["true"], queue="high", cpus=processors(client), **PLAIN).wait()
    assert high.state is aios.State.SUCCEEDED
    low.wait()
    assert (low.state, low.attempt, low.preemptions) == (aios.State.SUCCEEDED, 2, 1), low.reason
    said = (place / "out").read_text()
    saved = int(said.split(" saves step ")[1].split()[0])
    assert saved >= 2 and f"attempt 2 begins at step {saved}\n" in said and "y = 3.00 x + -1.00" in said
    shown = preempting.aiosctl("show", low.id).stdout.decode()
    assert "preempted" in shown and "1 time" in shown


def test_a_frozen_run_goes_on_when_the_other_has_ended(preempting: Daemon, place: Path) -> None:
    client = preempting.client()
    low = occupy(client, "suspend", f"until [ -e {place}/stop ]; do echo x >> {place}/mark; sleep 0.05; done")
    eventually(lambda: lines(place / "mark") > 1, "it works")
    high = client.submit(["sh", "-c", f"until [ -e {place}/go ]; do sleep 0.05; done"], queue="high", cpus=processors(client), **PLAIN)
    eventually(lambda: high.refresh().state is aios.State.RUNNING, "the other runs")
    low.refresh()
    assert (low.state, low.reason) == (aios.State.SUSPENDED, f"suspended for job {high.id} of {high.user}")
    eventually(lambda: states_of(preempting, f"{place}/stop") == {"T"}, "all of its processes are stopped")
    frozen = lines(place / "mark")
    refused = preempting.aiosctl("resume", low.id)
    assert refused.returncode == 1 and b"goes on by itself" in refused.stderr
    assert b"goes on when what it lent is free again" in preempting.aiosctl("why", low.id).stdout
    assert lines(place / "mark") == frozen
    (place / "go").touch()
    high.wait()
    eventually(lambda: lines(place / "mark") > frozen, "it goes on")
    (place / "stop").touch()
    low.wait()
    assert (high.state, low.state, low.attempt, low.preemptions) == (aios.State.SUCCEEDED, aios.State.SUCCEEDED, 1, 1)


@pytest.mark.parametrize(("mode", "state", "attempts"), [("requeue", aios.State.SUCCEEDED, 2), ("cancel", aios.State.CANCELLED, 1)])
def test_one_that_starts_again_and_one_that_is_gone(preempting: Daemon, place: Path, mode: str, state: aios.State, attempts: int) -> None:
    client = preempting.client()
    low = occupy(client, mode, f"echo x >> {place}/mark; [ $AIOS_ATTEMPT = 2 ] || exec sleep 600")
    eventually(lambda: lines(place / "mark") == 1, "it works")
    high = client.submit(["true"], queue="high", cpus=processors(client), **PLAIN).wait()
    low.wait()
    assert (high.state, low.state, low.attempt, low.preemptions, lines(place / "mark")) == (aios.State.SUCCEEDED, state, attempts, 1, attempts)
    if mode == "cancel":
        assert low.reason == f"cancelled to make room for job {high.id} of {high.user}"


@pytest.mark.parametrize("mode", ["suspend", "checkpoint"])
def test_the_daemon_dies_between_the_decision_and_the_signal(mode: str) -> None:
    """What was committed is done by the next daemon: no run is lost, and none runs twice."""
    with a_daemon_with_queues() as daemon:
        client = daemon.start().client()
        mark, ran, stop, cpus = daemon.root / "mark", daemon.root / "ran", daemon.root / "stop", processors(client)
        low = occupy(client, mode, f"until [ -e {stop} ]; do echo $AIOS_ATTEMPT >> {mark}; sleep 0.05; done", checkpoint_signal="USR1")
        daemon.kill()
        start_to_die_in_its_first_commit(daemon)  # that of the submission, and of what came of it
        with ThreadPoolExecutor(1) as thread:
            asked = thread.submit(insist, client, f"echo x >> {ran}", cpus)
            assert daemon.died() == -9
            daemon.start()
            assert asked.result().wait().state is aios.State.SUCCEEDED
        eventually(lambda: low.refresh().state is aios.State.RUNNING, "it runs again")
        before = lines(mark)
        eventually(lambda: lines(mark) > before, "it goes on")
        stop.touch()
        low.wait()
        assert (low.state, low.attempt, lines(ran)) == (aios.State.SUCCEEDED, 1 if mode == "suspend" else 2, 1), low.reason
        assert low.preemptions in (1, 2), "twice where the other had not begun when the daemon died, and was launched again"
        daemon.assert_clean()


def start_to_die_in_its_first_commit(daemon: Daemon) -> None:
    """Now and then something of its own is committed before anybody has asked for anything: then once more."""
    for _ in range(5):
        try:
            daemon.start(fault="commit.3-committed:1")
        except AssertionError:
            if daemon.running.poll() != -9:
                raise
        else:
            return
    raise AssertionError("the daemon commits something whenever it starts")


def insist(client: aios.Client, script: str, cpus: int) -> aios.Job:
    """Asked with one key until it is answered, whoever dies meanwhile."""
    while True:
        with suppress(aios.errors.Unavailable):
            return client.submit(["sh", "-c", script], key="once", queue="high", cpus=cpus, **PLAIN)
