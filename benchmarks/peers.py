"""Other job systems doing the same work on the same machine: HyperQueue and task-spooler, where they are installed."""

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

# The server and one worker live in this process. The client looks once a second whether a job is over, so the end is the
# time of a file that the last task touches: good for HyperQueue by at most the few tasks that are still running then.
_HYPERQUEUE = """
import os, sys, time
from hyperqueue import Job, LocalCluster
from hyperqueue.cluster import WorkerConfig
count, slots, command, directory, keeps = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4], sys.argv[5] == "keep"
streams = {} if keeps else {"stdout": None, "stderr": None}
with LocalCluster(directory + "/server", WorkerConfig(cores=slots)) as cluster:
    client = cluster.client()
    client.wait_for_jobs([client.submit(one_job) for one_job in [Job(default_workdir=directory)] if one_job.program([command])])
    began_s = time.time()
    job = Job(default_workdir=directory)
    for _ in range(count - 1):
        job.program([command], **streams)
    job.program(["touch", directory + "/end"], **streams)
    client.wait_for_jobs([client.submit(job)])
    print("took", os.stat(directory + "/end").st_mtime - began_s)
"""

Peer = Callable[[int, int, str], float]  # count, slots, command: seconds


def found() -> tuple[dict[str, Peer], list[str]]:
    """The peers of this machine, and for those that are missing how to get them."""
    peers: dict[str, Peer] = {}
    missing = []
    if importlib.util.find_spec("hyperqueue") is not None:
        peers["HyperQueue, output files"] = lambda count, slots, command: _hyperqueue_s(count, slots, command, "keep")
        peers["HyperQueue, output dropped"] = lambda count, slots, command: _hyperqueue_s(count, slots, command, "drop")
    else:
        missing.append("HyperQueue is not installed: python -m pip install hyperqueue")
    if shutil.which("tsp"):
        peers["task-spooler, output files"] = lambda count, slots, command: _task_spooler_s(count, slots, command, [])
        peers["task-spooler, output dropped"] = lambda count, slots, command: _task_spooler_s(count, slots, command, ["-n"])
    else:
        missing.append("task-spooler is not installed: apt-get install task-spooler")
    return peers, missing


def _hyperqueue_s(count: int, slots: int, command: str, streams: str) -> float:
    with tempfile.TemporaryDirectory(prefix="hq-") as directory:
        said = subprocess.run(
            [sys.executable, "-c", _HYPERQUEUE, str(count), str(slots), command, directory, streams],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True,
        ).stdout  # fmt: skip
    return float(said.decode().rpartition("took ")[2])


def _task_spooler_s(count: int, slots: int, command: str, options: list[str]) -> float:
    """One `tsp` a job, as its manual has it; it has no call for many."""
    with tempfile.TemporaryDirectory(prefix="tsp-") as directory:
        environment = {**os.environ, "TS_SOCKET": f"{directory}/socket", "TMPDIR": directory, "TS_MAXFINISHED": str(count + 10)}
        _tsp(["-S", str(slots)], environment)
        program = shutil.which("tsp") or "tsp"
        quiet = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
        try:
            began_s = time.perf_counter()
            for _ in range(count):
                pid = os.posix_spawn(program, [program, *options, command], environment, file_actions=quiet)
                os.waitpid(pid, 0)
            _tsp(["-w"], environment)
            while any(word in _tsp(["-l"], environment) for word in (b" running ", b" queued ")):
                time.sleep(0.005)
            return time.perf_counter() - began_s
        finally:
            _tsp(["-K"], environment)


def _tsp(arguments: list[str], environment: dict[str, str]) -> bytes:
    return subprocess.run(["tsp", *arguments], env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
