"""A daemon that gives out every processor twice: twice as many jobs run at once, each where its grant says."""

import os

import pytest

from tests.e2e.daemon import Daemon, eventually

pytestmark = pytest.mark.skipif(len(os.sched_getaffinity(0)) > 8, reason="takes two jobs for every processor")


def test_twice_as_many_jobs_run_at_once(daemon: Daemon) -> None:
    client = daemon.start(AIOSD_RESOURCES__CPU_OVERSUBSCRIPTION_PERMILLE="2000").client()
    have = client.node().inventory.cpus
    assert len(have) == 2 * len({cpu.id for cpu in have})
    jobs = [client.submit(["sleep", "600"], cpus=1, memory="16M") for _ in have]
    eventually(lambda: all(str(job.refresh().state) == "running" for job in jobs), "all of them run")
    held = [cpu.cpu for job in jobs if job.grant for cpu in job.grant.cpus]
    assert sorted(held) == sorted(cpu.id for cpu in have), "each processor twice"
    one_more = client.submit(["true"], cpus=1, memory="16M")
    assert str(one_more.refresh().state) == "queued"
    assert b"processors are given out of the" in daemon.aiosctl("node", "-o", "wide").stdout
    for job in jobs:
        job.cancel(force=True)
    assert one_more.wait().exit_code == 0
