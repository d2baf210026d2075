"""kill -9 of the daemon, the spawner and shims while many short jobs run: each job has exactly one true end."""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

import aios
from tests.e2e.daemon import LONG, Daemon, eventually

SEED = 20261122
PATIENCE_S = 100.0


class Load:
    """An array and single jobs; each writes its id into a file, and takes a moment."""

    def __init__(self, daemon: Daemon, array: int, singles: int) -> None:
        self.daemon = daemon
        self.client = daemon.client(timeout=PATIENCE_S)
        self.marks = daemon.root / "marks"
        command = ["sh", "-c", f"echo $AIOS_JOB_ID >> {self.marks}; sleep 0.05"]
        specs = [aios.JobSpec(command, cpus=0.25, env={}, inherit_env=False, cwd="/") for _ in range(singles)]
        specs.append(aios.JobSpec(command, cpus=0.25, env={}, inherit_env=False, cwd="/", array=f"0-{array - 1}"))
        *self.singles, self.array = self.client.submit_many(specs)
        self.ids = {job.id for job in self.singles} | {f"{self.array.id}.{index}" for index in range(array)}

    def remaining(self) -> int:
        return len(self.ids) - len(self.ran())

    def ran(self) -> Counter[str]:
        return Counter(self.marks.read_text().split()) if self.marks.exists() else Counter()

    def ended(self) -> dict[str, aios.Job]:
        """Every job and element, when all have ended. Each is known once, and its end was logged at most once."""
        for job in (*self.singles, self.array):
            job.wait(PATIENCE_S)
        listed = [job for job in self.client.jobs(include_ended=True, include_elements=True) if not job.is_array]
        by_id = {job.id: job for job in listed}
        assert len(by_id) == len(listed)
        assert by_id.keys() == self.ids
        assert all(job.ended for job in listed)
        logged = Counter(r["job"] for r in self.daemon.logged() if r.get("event") == "job" and r.get("phase") in {str(s) for s in aios.State if s.ended})
        assert max(logged.values()) == 1
        return by_id

    def counts_add_up(self, jobs: dict[str, aios.Job]) -> None:
        array = self.array.refresh().array
        assert array is not None
        elements = Counter(job.state is aios.State.SUCCEEDED for job in jobs.values() if job.array_index is not None)
        assert (array.pending, array.active, array.succeeded, array.failed) == (0, 0, elements[True], elements[False])
        assert array.total == elements.total()


def all_succeeded_once(load: Load) -> None:
    jobs = load.ended()
    assert {job.state for job in jobs.values()} == {aios.State.SUCCEEDED}, [(j.id, j.state, j.reason) for j in jobs.values() if j.state != "succeeded"][:5]
    assert load.ran() == Counter(dict.fromkeys(load.ids, 1))
    load.counts_add_up(jobs)
    load.daemon.assert_clean()


@pytest.mark.timeout(300)
def test_a_thousand_jobs_and_ten_kills_of_the_daemon(daemon: Daemon) -> None:
    chance, load, under_load = random.Random(SEED), Load(daemon.start(), array=700, singles=300), 0
    for _ in range(10):
        time.sleep(chance.uniform(0.0, 0.5))
        under_load += load.remaining() > 0
        daemon.restart()
    assert under_load >= 5, "the machine was so quick that most kills hit an idle daemon"
    all_succeeded_once(load)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", range(3 if LONG else 1))
def test_kills_of_a_daemon_that_is_still_starting(daemon: Daemon, seed: int) -> None:
    """Every second kill comes before the daemon is ready: while it recovers from the last one."""
    chance, load = random.Random(seed), Load(daemon.start(), array=300, singles=100)
    for at in range(12 if LONG else 8):
        daemon.kill()
        daemon.start(ready=at % 2 == 0)
        time.sleep(chance.uniform(0.0, 0.3) if at % 2 == 0 else chance.uniform(0.3, 1.5))
    daemon.restart()
    all_succeeded_once(load)


def test_kills_of_the_spawner_lose_no_job(daemon: Daemon) -> None:
    load = Load(daemon.start(), array=300, singles=100)
    killed = _kill_now_and_then(load, 8, daemon.spawner_pid)
    assert killed >= 4
    all_succeeded_once(load)


def test_a_killed_shim_takes_its_run_with_it_and_says_so(daemon: Daemon) -> None:
    load = Load(daemon.start(), array=200, singles=100)

    def a_shim() -> int:
        spawner = daemon.spawner_pid()
        # a command that its shim has spawned looks like the shim until it has executed its program: only the spawner's own children count
        shims = [pid for pid, command in daemon.strangers().items() if "host.spawner" in command and _parent(pid) == spawner]
        return random.choice(shims) if shims else 0

    killed = _kill_now_and_then(load, 8, a_shim)
    jobs, ran = load.ended(), load.ran()
    lost = [job for job in jobs.values() if job.state is aios.State.LOST]
    assert killed > 0 and len(lost) <= killed
    assert all("supervisor" in job.reason for job in lost), [job.reason for job in lost]
    others = [(job.id, job.state, job.reason) for job in jobs.values() if job.state not in (aios.State.SUCCEEDED, aios.State.LOST)]
    assert not others
    assert all(ran[job.id] == 1 for job in jobs.values() if job.state is aios.State.SUCCEEDED)
    assert max(ran.values()) == 1
    load.counts_add_up(jobs)
    daemon.assert_clean()


def _parent(pid: int) -> int:
    """0 when it has ended."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0


def _kill_now_and_then(load: Load, times: int, victim: Callable[[], int]) -> int:
    """SIGKILL to `times` victims at seeded moments; how many of them while there was work left."""
    chance, killed = random.Random(SEED), 0
    eventually(lambda: load.ran(), "the load runs")
    for _ in range(times):
        time.sleep(chance.uniform(0.0, 0.25))
        pid = victim()
        if pid:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                killed += load.remaining() > 0
    return killed
