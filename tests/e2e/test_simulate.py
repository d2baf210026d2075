"""Simulations beside a real daemon: a trace, its own history, a caller that leaves."""

import json
import os
import threading
from pathlib import Path

import pytest

import aios
from aios.errors import AiosError, Exhausted, InvalidArgument
from aios.simulation import SimulationProgress
from aios.spec import SubmitOptions
from tests.e2e.daemon import Daemon, eventually

PLAIN = SubmitOptions(cpus=0.1, memory="16M", env={}, inherit_env=False, cwd="/")
TRACE = "# 4 procs\nsubmit_s,run_s,req,walltime_req_s\n0,100,3,100\n1,100,3,200\n2,50,1,90\n"


def test_a_trace_through_the_command_line(shared: Daemon) -> None:
    (shared.root / "jobs.csv").write_text(TRACE)
    done = shared.aiosctl("simulate", "jobs.csv", "--policy", "fifo", "--backfill", "off,easy", "-o", "json")
    assert done.returncode == 0, done.stderr
    off, easy = json.loads(done.stdout)
    assert (off["wait_mean_s"], easy["wait_mean_s"]) == (pytest.approx((0 + 99 + 98) / 3), 33)


def test_a_line_that_cannot_be_read_is_named(shared: Daemon, client: aios.Client, tmp_path: Path) -> None:
    (tmp_path / "jobs.csv").write_text(TRACE + "x,1,1,1\n")
    with pytest.raises(InvalidArgument, match=r"jobs\.csv, line 6: submit_s is 'x', not a number"):
        client.simulate(tmp_path / "jobs.csv", policies=["fifo"])


def test_the_machines_own_past(shared: Daemon, client: aios.Client) -> None:
    for job in [client.submit(["sleep", "0.2"], **PLAIN) for _ in range(3)]:
        job.wait()
    before = client.simulate(history=True, policies=["fifo"])[0]
    more = client.simulate(history=True, more_cpus=2, policies=["fifo", "fair"])
    assert before.jobs >= 3
    assert [outcome.jobs for outcome in more] == [before.jobs, before.jobs]
    assert more[0].utilisation < before.utilisation


def test_one_at_a_time_and_none_after_its_caller_has_left(daemon: Daemon) -> None:
    daemon.start()
    begun, leave = threading.Event(), threading.Event()

    class Left(Exception):
        pass

    def on_progress(progress: SimulationProgress) -> None:
        begun.set()
        assert leave.wait(60)
        raise Left

    def long() -> None:
        with daemon.client() as client, pytest.raises(Left):
            client.simulate(generate="lublin", cpus=64, jobs=20_000, policies=["fair"], backfills=["off"], on_progress=on_progress)

    caller = threading.Thread(target=long)
    caller.start()
    try:
        assert begun.wait(60)
        [child] = [pid for pid in daemon.children() if "aside_child" in _command(pid)]
        with pytest.raises(Exhausted, match="going on already"):
            daemon.client().simulate(generate="poisson", jobs=10)
        assert os.getpriority(os.PRIO_PROCESS, child) == 19
    finally:
        leave.set()
        caller.join(60)
    eventually(lambda: child not in daemon.children(), "the child has gone")
    assert daemon.client().simulate(generate="poisson", jobs=10, policies=["fifo"])[0].jobs == 10


def test_a_daemon_that_is_killed_takes_it_along(daemon: Daemon) -> None:
    daemon.start()
    children: list[int] = []

    def on_progress(progress: SimulationProgress) -> None:
        if not children:
            children.extend(pid for pid in daemon.children() if "aside_child" in _command(pid))
            daemon.kill()

    with pytest.raises(AiosError):
        daemon.client().simulate(generate="lublin", cpus=64, jobs=20_000, policies=["fair"], backfills=["off"], on_progress=on_progress)
    assert children
    eventually(lambda: not _command(children[0]), "the child has gone")


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""
