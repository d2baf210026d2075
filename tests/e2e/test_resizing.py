"""A job that runs is resized for real: what the kernel holds it to follows, and a new daemon sees to it again."""

import os
import re
from pathlib import Path

import pytest

import aios
from tests.e2e.daemon import Daemon, eventually

GIB = 1 << 30
pytestmark = pytest.mark.skipif((os.cpu_count() or 1) < 2 or len(os.sched_getaffinity(0)) < 2, reason="needs two processors")
PROGRAM = "import os, time; print(os.getpid(), flush=True)\nwhile True: time.sleep(0.1)"


def pid_of(job: aios.Job) -> int:
    return int(eventually(lambda: job.refresh() and "".join(job.logs()).strip(), "it says its pid"))


def processors(pid: int) -> int:
    return len(os.sched_getaffinity(pid))


def memory_limit(pid: int) -> int:
    """What its control group says; 0 where it is in none that limits memory."""
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        for file in (f"/sys/fs/cgroup/memory{path}/memory.limit_in_bytes", f"/sys/fs/cgroup{path}/memory.max"):
            if ("memory" in controllers.split(",") or not controllers) and "aios" in path and os.path.exists(file):
                text = Path(file).read_text().strip()
                return int(text) if text.isdigit() else 0
    return 0


def test_processors_and_memory_follow_and_a_new_daemon_sees_to_it_again(daemon: Daemon) -> None:
    client = daemon.start().client()
    job = client.submit(["python3", "-c", PROGRAM], cpus=1, memory="200M")
    pid = pid_of(job)
    assert processors(pid) == 1
    held = memory_limit(pid)
    assert held in (0, 200 << 20)
    updated = daemon.aiosctl("update", job.id, "--cpus", "2", "--memory", "1G")
    assert updated.returncode == 0, updated.stderr
    eventually(lambda: processors(pid) == 2, "it may use both")
    eventually(lambda: not held or memory_limit(pid) == GIB, "the kernel allows it more memory")
    grant = job.refresh().grant
    assert grant is not None
    assert (sum(cpu.millis for cpu in grant.cpus), grant.memory_bytes) == (2000, GIB)

    daemon.kill()
    os.sched_setaffinity(pid, {next(iter(os.sched_getaffinity(pid)))})  # as if it had been killed before it could tell the kernel
    daemon.start()
    eventually(lambda: processors(pid) == 2, "the next daemon sees to it")

    too_small = daemon.aiosctl("update", job.id, "--memory", "1M")
    assert too_small.returncode == 1
    assert re.search(rb"error: job \d+ uses .* of memory, which does not fit into 1 MiB", too_small.stderr), too_small.stderr
    assert b"cannot be changed" in daemon.aiosctl("update", job.id, "--gpus", "1").stderr
    job = daemon.client().job(job.id)
    daemon.client().update(job.id, cpus=1, memory="100M")
    eventually(lambda: processors(pid) == 1, "it has one again")
    eventually(lambda: not held or memory_limit(pid) == 100 << 20, "the kernel allows it less memory")
    daemon.client().cancel(job.id)
