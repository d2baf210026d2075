"""A daemon with its own choice of isolation, as a user sees it: what is told of it, how a job ends that takes too much, who is unhurt."""

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import aios
from aios.spec import SubmitOptions
from aiosd.host.cells.opening import name_of
from tests.contract.confining import memberships, trees, what_there_is
from tests.e2e.daemon import Daemon, a_daemon, eventually

PLAIN = SubmitOptions(cpus=0.1, memory="64M", env={"PATH": os.environ["PATH"]}, inherit_env=False, cwd="/")
FILL = [sys.executable, "-c", "kept = []\nwhile True: kept.append(bytearray(1 << 20))"]
SHARE = """
import os, time
kept = bytearray(40 << 20)
for n in range(4):
    if os.fork() == 0:
        time.sleep(1000)
print("up", flush=True)
time.sleep(1000)
"""


@pytest.fixture(scope="module")
def watched() -> Iterator[Daemon]:
    """Without control groups."""
    with a_daemon({"AIOSD_ISOLATION__CGROUPS": "off", "AIOSD_ISOLATION__WATCHDOG_PERIOD_S": "0.2", "AIOSD_ISOLATION__PIDS_MAX": "30"}) as daemon:
        yield daemon.start()


@pytest.fixture(scope="module")
def confined() -> Iterator[Daemon]:
    """With the control groups that this machine has."""
    there = what_there_is("v1")
    if isinstance(there, str) and isinstance(there := what_there_is("v2"), str):
        pytest.skip(there)
    with a_daemon({"AIOSD_ISOLATION__PIDS_MAX": "30"}) as daemon:
        daemon.start()
        if not daemon.client().node().isolation[0].state.startswith("enforced"):
            pytest.skip(f"no controllers of control groups can be had: {daemon.client().node().isolation[0].detail}")
        yield daemon


def isolation_of(daemon: Daemon) -> dict[str, str]:
    return {line.resource: line.state for line in daemon.client().node().isolation}


def test_the_watchdog_is_told(watched: Daemon) -> None:
    told = isolation_of(watched)
    assert (told["cpu"], told["memory"], told["processes"], told["disk traffic"]) == ("not enforced", "watched", "watched", "not enforced")
    assert "isolation.cgroups = off" in watched.aiosctl("node", "show").stdout.decode()


def test_who_fills_memory_is_stopped_by_the_watchdog(watched: Daemon) -> None:
    client = watched.client()
    neighbour = client.submit(["sleep", "1000"], **PLAIN)
    job = client.submit(FILL, **PLAIN).wait()
    assert (job.state, job.signal) == (aios.State.OUT_OF_MEMORY, 9)
    assert "more than its 64 MiB" in job.reason
    assert neighbour.refresh().state is aios.State.RUNNING
    neighbour.cancel(force=True)


def test_memory_that_is_shared_counts_once(watched: Daemon) -> None:
    """Five processes that share 40 MiB would be 200 by the plain sum."""
    client = watched.client()
    job = client.submit([sys.executable, "-c", SHARE], **PLAIN)
    eventually(lambda: "up" in job.output(), "it shares")
    time.sleep(1.5)  # for several looks
    assert job.refresh().state is aios.State.RUNNING
    job.cancel(force=True).wait()


def test_a_fork_bomb_is_stopped_by_the_watchdog(watched: Daemon) -> None:
    bomb = "import os, time\nfor n in range(60):\n  if os.fork() == 0: time.sleep(1000)\ntime.sleep(1000)"
    job = watched.client().submit([sys.executable, "-c", bomb], **{**PLAIN, "memory": "1G"}).wait()
    assert (job.state, job.signal) == (aios.State.FAILED, 9)
    assert "processes" in job.reason


def test_what_the_kernel_holds_is_told(confined: Daemon) -> None:
    told = isolation_of(confined)
    assert all(told[name].startswith("enforced by cgroup v") for name in ("cpu", "memory", "processes", "end of a job"))
    assert "enforced by cgroup v" in confined.aiosctl("node", "show").stdout.decode()


def test_who_fills_memory_is_out_of_memory_with_its_peak(confined: Daemon) -> None:
    job = confined.client().submit(FILL, **PLAIN).wait()
    assert (job.state, job.signal) == (aios.State.OUT_OF_MEMORY, 9)
    assert job.outcome is not None
    assert job.outcome.oom_killed
    assert 56 << 20 < job.outcome.usage.memory_peak_bytes <= 64 << 20
    assert "out of memory" in confined.aiosctl("show", job.id).stdout.decode()


def test_a_terminal_beside_a_job_is_inside_its_cell(confined: Daemon) -> None:
    client = confined.client()
    job = client.submit(["sleep", "1000"], **PLAIN)
    eventually(lambda: job.refresh().state is aios.State.RUNNING and job.run is not None and job.run.pid, "it runs")
    eventually(lambda: _cell_of(job, confined), "it is in its cell")
    said = b"".join(client.attach(job.id, ["cat", "/proc/self/cgroup"])).decode()
    assert [path for path in _cell_of(job, confined) if path not in said] == []
    job.cancel(force=True).wait()


def test_daemons_do_not_tread_on_each_others_cells(confined: Daemon) -> None:
    """The same number of job in both; one daemon is killed and starts again, expecting nothing of the other."""
    with a_daemon() as other:
        mine, its = (d.client().submit(["sleep", "1000"], **PLAIN) for d in (confined, other.start()))
        for job, daemon in ((mine, confined), (its, other)):
            eventually(lambda job=job, daemon=daemon: _cell_of(job, daemon), "it is in its cell")
        assert not set(_cell_of(mine, confined)) & set(_cell_of(its, other))
        other.restart()
        assert other.client().job(its.id).cancel(force=True).wait().state is aios.State.CANCELLED
        assert mine.refresh().state is aios.State.RUNNING
        assert _cell_of(mine, confined)
    mine.cancel(force=True).wait()


def test_nothing_is_left_of_cells_when_a_daemon_stops_without_jobs_and_the_next_makes_them_anew() -> None:
    with a_daemon() as daemon:
        assert daemon.start().client().submit(["true"], **PLAIN).wait().state is aios.State.SUCCEEDED
        assert daemon.stop() == 0
        assert [tree for tree in trees(daemon.state) if tree.suffix != ".scope"] == []  # a scope is systemd's to end
        assert daemon.start().client().submit(["true"], **PLAIN).wait().state is aios.State.SUCCEEDED


def _cell_of(job: aios.Job, daemon: Daemon) -> list[str]:
    """The groups of this daemon that processes of the job are in, once they are."""
    run = job.refresh().run
    children = Path(f"/proc/{run.pid}/task/{run.pid}/children") if run is not None and run.pid else None
    pids = children.read_text().split() if children is not None and children.exists() else []
    return sorted(path for pid in pids for path in memberships(pid).values() if name_of(daemon.state) in path)
