"""A daemon, a spawner and a shim that die at every numbered step of a job's life: no job is lost, none runs twice, each has one true end."""

import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

import aios
from aiosd.host import faults
from tests.e2e.daemon import LOOK_S, PATIENCE_S, Daemon, eventually

SERVICE = ("turn.1-decided", "turn.2-committed", "turn.3-answered", "turn.4-acted")
STORAGE = ("commit.1-before", "commit.2-written", "commit.3-committed")
RECOVERY = ("recover.1-before-bar", "recover.2-barred")
SHIM = ("shim.1-forked", "shim.2-claimed", "shim.3-spawned", "shim.4-ended", "shim.5-recorded")
SPAWNER = ("spawner.1-received", "spawner.2-forked")
DAEMON = (*SERVICE, *STORAGE, *(s for s in faults.STEPS if s not in (*RECOVERY, *SHIM, *SPAWNER)))
HONESTLY_LOST = SHIM[1:4]  # the only witness of the run is gone
CODES = (0, 3, 7)


class Walk:
    """Submissions that go on trying while daemons come and go, and what became of them."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        self.marks = daemon.root / "marks"
        self.client = daemon.client(timeout=90.0)
        self.threads = ThreadPoolExecutor(16)
        self.asked: dict[str, tuple[int, Future[aios.Job]]] = {}

    def submit(self, name: str, code: int) -> None:
        """One line in a file, then an exit code; repeated with its key until it is acknowledged."""
        self.asked[name] = (code, self.threads.submit(self._insist, name, code))

    def _insist(self, name: str, code: int) -> aios.Job:
        command = ["sh", "-c", f"echo {name} >> {self.marks}; exit {code}"]
        give_up_s = time.monotonic() + PATIENCE_S
        while True:
            try:
                return self.client.submit(command, name=name, key=f"key-{name}", env={}, inherit_env=False, cwd="/")
            except aios.errors.Unavailable:  # a daemon that was never met is not waited for by the SDK
                if time.monotonic() > give_up_s:
                    raise
            time.sleep(LOOK_S)

    def ran(self) -> Counter[str]:
        return Counter(self.marks.read_text().split()) if self.marks.exists() else Counter()

    def all_have_ended(self) -> bool:
        """Looked at with little patience: the daemon may just be dying."""
        try:
            return all(asked.done() and self.client.job(asked.result().id, timeout=0.5).ended for _, asked in self.asked.values())
        except aios.AiosError:
            return False

    def check(self, may_be_lost: bool = False) -> None:
        """With a daemon that runs: every submission became one job, with one true end."""
        self.threads.shutdown()
        jobs = {name: asked.result().wait() for name, (_, asked) in self.asked.items()}
        known = list(self.client.jobs(include_ended=True))
        assert sorted(job.id for job in known) == sorted(job.id for job in jobs.values())
        ran = self.ran()
        for name, job in jobs.items():
            code, _ = self.asked[name]
            assert len(self.daemon.ends_of(job.id)) <= 1, name
            if may_be_lost and job.state is aios.State.LOST:
                assert job.outcome is not None and job.outcome.reason
                assert ran[name] <= 1, name
            else:
                assert (job.state, job.exit_code) == (aios.State.FAILED if code else aios.State.SUCCEEDED, code), name
                assert ran[name] == 1, name
        assert ran.keys() <= self.asked.keys()
        self.daemon.assert_clean()


@pytest.mark.parametrize("step", DAEMON)
def test_the_daemon_dies_at_a_step(daemon: Daemon, step: str) -> None:
    walk, struck = Walk(daemon), 0
    for nth, code in enumerate(CODES, 1):
        daemon.start(fault=f"{step}:{nth}", ready=False)
        walk.submit(f"n{nth}", code)
        eventually(lambda: daemon.running.poll() is not None or walk.all_have_ended(), f"{step}:{nth} strikes, or everything ends")
        struck += daemon.running.poll() is not None
        if daemon.running.poll() is None:
            daemon.kill()
        else:
            assert daemon.running.returncode == -9, daemon.said()
    assert struck, f"{step} was never reached"
    daemon.start()
    walk.check()


@pytest.mark.parametrize("step", [*SPAWNER, *SHIM])
def test_the_spawner_or_a_shim_dies_at_a_step(daemon: Daemon, step: str) -> None:
    walk = Walk(daemon)
    for nth, code in enumerate(CODES, 1):
        daemon.start(fault=f"{step}:{nth}")
        before = daemon.spawner_pid()
        for at in range(nth):
            walk.submit(f"n{nth}-{at}", code)
            walk.asked[f"n{nth}-{at}"][1].result().wait()
        if step in SPAWNER:
            eventually(lambda gone=(0, before): daemon.spawner_pid() not in gone, "the spawner is replaced")
        daemon.kill()
    lost = [name for name, (_, asked) in walk.asked.items() if asked.result().state is aios.State.LOST]
    assert len(lost) == (len(CODES) if step in HONESTLY_LOST else 0), lost
    daemon.start()
    walk.check(may_be_lost=step in HONESTLY_LOST)


@pytest.mark.parametrize("step", RECOVERY)
@pytest.mark.parametrize("before", ["turn.2-committed", "launch.2-sent"])
def test_the_daemon_dies_while_it_recovers(daemon: Daemon, before: str, step: str) -> None:
    walk = Walk(daemon)
    walk.submit("once", 5)
    daemon.start(fault=f"{before}:{2 if before.startswith('turn') else 1}", ready=False)
    assert daemon.died() == -9
    daemon.start(fault=step, ready=False)
    eventually(lambda: daemon.running.poll() is not None or daemon.answers(), "it strikes, or the run had begun")
    if daemon.running.poll() is None:
        daemon.kill()
    daemon.start()
    walk.check()


def test_a_lost_run_is_retried_when_its_policy_says_so(daemon: Daemon) -> None:
    daemon.start(fault="shim.3-spawned:1")
    job = daemon.client().submit(["sh", "-c", "exit 0"], retries=1, retry_on="lost", env={}, inherit_env=False).wait()
    assert (job.state, job.attempt) == (aios.State.SUCCEEDED, 2)
    daemon.assert_clean()


def test_an_acknowledged_job_is_there_after_a_kill(daemon: Daemon) -> None:
    """Thirty acknowledgements, each followed at once by SIGKILL of the daemon in the next round or the one after."""
    client, acknowledged = daemon.start().client(), []
    for round_ in range(3):
        acknowledged += [client.submit(["true"], key=f"{round_}-{n}", hold=True, env={}, inherit_env=False).id for n in range(10)]
        daemon.restart()
    again = [client.submit(["true"], key=f"{round_}-{n}", hold=True, env={}, inherit_env=False).id for round_ in range(3) for n in range(10)]
    assert again == acknowledged
    assert sorted(job.id for job in client.jobs()) == sorted(acknowledged)


@pytest.mark.parametrize("fault", [*(f"{step}:8" for step in (*SERVICE, *STORAGE)), "launch.1-before-send:15", "launch.2-sent:15", "launch.3-answered:15",
                                   "exit.1-noticed:15", "forget.1-before-unlink:15", "spawner.1-received:15", "spawner.2-forked:15"])  # fmt: skip
def test_a_death_while_successors_are_staged(daemon: Daemon, fault: str) -> None:
    """Runs of milliseconds, dispatched ahead of time behind each other: every element runs exactly once."""
    daemon.start(fault=fault)
    spawner, marks, expected = daemon.spawner_pid(), daemon.root / "marks", {str(n): 1 for n in range(60)}
    with ThreadPoolExecutor(1) as thread:
        command = ["sh", "-c", f"echo $AIOS_ARRAY_INDEX >> {marks}"]
        asked = thread.submit(daemon.client(timeout=90.0).submit, command, array="0-59", key="many", env={}, inherit_env=False, cwd="/")
        if fault.partition(":")[0] in SPAWNER:
            eventually(lambda: daemon.spawner_pid() not in (0, spawner), "the spawner is replaced")
        else:
            assert daemon.died() == -9
            daemon.start()
        array = asked.result().wait()
    assert (array.state, Counter(marks.read_text().split())) == (aios.State.SUCCEEDED, expected)
    assert all(len(daemon.ends_of(f"{array.id}.{n}")) <= 1 for n in range(60))
    daemon.assert_clean()
