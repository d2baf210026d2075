"""A daemon, a spawner and a shim that die at every numbered step of a job's life: no job is lost, none runs twice, each has one true end."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

import aios
from aiosd.host import faults
from tests.e2e.daemon import LONG, Daemon, eventually
from tests.e2e.walk import DAEMON, HONESTLY_LOST, RECOVERY, SERVICE, SHIM, SPAWNER, STORAGE, Walk

CODES = (0, 3, 7) if LONG else (0, 3)
OF_RUNS = tuple(step for step in faults.STEPS if step.startswith(("launch.", "exit.", "forget.", "spawner.")))
STAGED = (
    (*SERVICE, *STORAGE, *OF_RUNS) if LONG else ("turn.2-committed", "turn.4-acted", "commit.2-written", "launch.2-sent", "exit.1-noticed", "spawner.2-forked")
)


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


@pytest.mark.parametrize("step", STAGED)
def test_a_death_while_successors_are_staged(daemon: Daemon, step: str) -> None:
    """Runs of milliseconds, dispatched ahead of time behind each other: every element runs exactly once."""
    daemon.start(fault=f"{step}:{15 if step in OF_RUNS else 8}")
    spawner, marks, expected = daemon.spawner_pid(), daemon.root / "marks", {str(n): 1 for n in range(60)}
    with ThreadPoolExecutor(1) as thread:
        command = ["sh", "-c", f"echo $AIOS_ARRAY_INDEX >> {marks}"]
        asked = thread.submit(daemon.client(timeout=90.0).submit, command, array="0-59", key="many", env={}, inherit_env=False, cwd="/")
        if step in SPAWNER:
            eventually(lambda: daemon.spawner_pid() not in (0, spawner), "the spawner is replaced")
        else:
            assert daemon.died() == -9
            daemon.start()
        array = asked.result().wait()
    assert (array.state, Counter(marks.read_text().split())) == (aios.State.SUCCEEDED, expected)
    assert all(len(daemon.ends_of(f"{array.id}.{n}")) <= 1 for n in range(60))
    daemon.assert_clean()
