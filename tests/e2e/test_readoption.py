"""Jobs that outlive their daemon: killed, stopped or away, the next one finds them as they are."""

import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

import aios
from aios.spec import SubmitOptions
from aiosd.host.records import read_run
from tests.e2e.daemon import Daemon, a_daemon, eventually

PLAIN = SubmitOptions(cpus=0.1, memory="16M", env={}, inherit_env=False, cwd="/")


@dataclass
class World:
    """Jobs that were there when the daemon was killed, and the moments when the next one was started and when it was ready."""

    daemon: Daemon
    client: aios.Client
    jobs: dict[str, aios.Job]
    back_at_s: float
    ready_at_s: float


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """A daemon that was killed while these jobs ran, away for a moment, and started again."""
    with a_daemon() as daemon:
        client, marks = daemon.start().client(), daemon.root / "marks"
        jobs = {
            "ends meanwhile": client.submit(f"echo before; while [ ! -e {marks}.go ]; do sleep 0.02; done; echo after; exit 9", **PLAIN),
            "killed meanwhile": client.submit(f"while [ ! -e {marks}.go ]; do sleep 0.02; done; kill -SEGV $$", **PLAIN),
            "limit meanwhile": client.submit(["sleep", "600"], time=2, grace=1, **PLAIN),
            "limit later": client.submit(["sleep", "600"], time=10, grace=1, **PLAIN),
            "suspended": client.submit(f"echo $$ > {marks}.pid; while :; do echo x >> {marks}.x; sleep 0.02; done", **PLAIN),
            "stubborn": client.submit("trap '' TERM; while :; do sleep 0.1; done", grace=1, **PLAIN),
            "goes on": client.submit(f"while [ ! -e {marks}.end ]; do sleep 0.02; done; echo done", **PLAIN),
            "held": client.submit(["true"], hold=True, **PLAIN),
            "later": client.submit(["true"], begin=time.time() + 6, **PLAIN),
        }
        for name in ("ends meanwhile", "suspended", "stubborn", "goes on", "limit later", "killed meanwhile"):
            eventually(lambda name=name: jobs[name].refresh().state is aios.State.RUNNING, f"{name} runs")
        eventually(Path(f"{marks}.x").exists, "it counts")
        jobs["suspended"].suspend()
        daemon.kill()
        Path(f"{marks}.go").touch()
        for name in ("ends meanwhile", "killed meanwhile"):
            eventually(lambda name=name: _recorded(daemon, jobs[name]), f"{name}: it has ended")
        time.sleep(2.5)
        back_at_s = time.time()
        daemon.start()
        yield World(daemon, client, jobs, back_at_s, time.time())


def _recorded(daemon: Daemon, job: aios.Job) -> bool:
    """Its shim has written down how it ended."""
    record = read_run(daemon.state / "runs" / f"{job.id}.-1.1")
    return record is not None and record.end is not None


def test_an_exit_that_nobody_saw_is_booked(world: World) -> None:
    job = world.jobs["ends meanwhile"].wait()
    assert (job.state, job.exit_code) == (aios.State.FAILED, 9)
    assert job.outcome is not None
    assert job.outcome.ended_at_s < world.back_at_s
    assert job.outcome.run_s < job.outcome.ended_at_s - job.started_at_s + 0.5
    assert job.output() == "before\nafter\n"


def test_a_signal_that_nobody_saw_is_booked(world: World) -> None:
    job = world.jobs["killed meanwhile"].wait()
    assert (job.state, job.signal, job.exit_code) == (aios.State.FAILED, 11, None)


def test_a_time_limit_that_passed_meanwhile_strikes(world: World) -> None:
    job = world.jobs["limit meanwhile"].wait()
    assert job.state is aios.State.TIMED_OUT
    assert job.outcome is not None
    assert 2.0 <= job.outcome.run_s < 15.0


def test_a_time_limit_goes_on_counting(world: World) -> None:
    job = world.jobs["limit later"].wait()
    assert job.state is aios.State.TIMED_OUT
    assert job.outcome is not None
    due_s = job.started_at_s + 10.0  # the limit counts from here; `run_s` from the shim's claim, a moment later
    assert due_s <= job.outcome.ended_at_s < max(due_s, world.ready_at_s) + 4.0


def test_a_suspended_job_stays_suspended_until_it_is_resumed(world: World) -> None:
    job, count = world.jobs["suspended"].refresh(), world.daemon.root / "marks.x"
    assert job.state is aios.State.SUSPENDED
    pid = int((world.daemon.root / "marks.pid").read_text())
    assert Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
    size = count.stat().st_size
    time.sleep(0.3)
    assert count.stat().st_size == size
    assert job.resume().state is aios.State.RUNNING
    eventually(lambda: count.stat().st_size > size, "it counts again")
    assert job.cancel().wait().state is aios.State.CANCELLED


def test_a_job_of_the_last_daemon_can_be_cancelled(world: World) -> None:
    job = world.jobs["stubborn"].cancel(reason="enough").wait()
    assert (job.state, job.signal) == (aios.State.CANCELLED, 9)
    assert "enough" in job.reason


def test_a_job_goes_on_as_if_nothing_had_been(world: World) -> None:
    job = world.jobs["goes on"].refresh()
    assert job.state is aios.State.RUNNING
    (world.daemon.root / "marks.end").touch()
    assert job.wait().state is aios.State.SUCCEEDED
    assert job.output() == "done\n"


def test_what_waited_still_waits(world: World) -> None:
    assert world.jobs["held"].refresh().state is aios.State.HELD
    job = world.jobs["later"].wait()
    assert job.state is aios.State.SUCCEEDED
    assert world.jobs["held"].release().wait().state is aios.State.SUCCEEDED


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_a_follower_misses_no_byte_and_sees_none_twice(daemon: Daemon, how: str) -> None:
    lines = 150
    script = f"import time\nfor n in range({lines}):\n  print('line', n, 'x' * 300, flush=True)\n  time.sleep(0.03)\nprint('end', end='')"
    client = daemon.start().client()
    job = client.submit([sys.executable, "-c", script], env={}, inherit_env=False)
    with ThreadPoolExecutor() as threads:
        following = threads.submit(lambda: list(client.log_chunks(job.id, follow=True)))
        waiting = threads.submit(lambda: client.wait(job.id))
        watching = threads.submit(_phases, client, job.id)
        for _ in range(2):
            time.sleep(0.6)
            assert getattr(daemon, how)() in (None, 0)
            daemon.start()
        chunks, waited, phases = following.result(), waiting.result(), watching.result()
    out = [chunk for chunk in chunks if chunk.data]
    assert {chunk.output for chunk in out} == {aios.Output.STDOUT}
    position = 0
    for chunk in out:
        assert chunk.offset == position
        position += len(chunk.data)
    assert b"".join(chunk.data for chunk in out).decode() == "".join(f"line {n} {'x' * 300}\n" for n in range(lines)) + "end"
    assert [chunk.ended.state for chunk in chunks if chunk.ended is not None] == [aios.State.SUCCEEDED]
    assert waited.state is aios.State.SUCCEEDED
    assert phases[-1] is aios.State.SUCCEEDED
    assert phases.count(aios.State.SUCCEEDED) == 1


def test_what_was_answered_is_done_by_the_next_daemon(daemon: Daemon) -> None:
    """SIGKILL right after each answer: the signals that it promised may not have been sent yet."""
    client, root = daemon.start().client(), daemon.root
    loop = "trap 'exit 5' TERM; while :; do echo x >> {0}; sleep 0.02; done"
    jobs = {name: client.submit(loop.format(root / name), **PLAIN) for name in ("suspended", "resumed", "cancelled", "forced")}
    for name in jobs:
        eventually((root / name).exists, f"{name} runs")
    jobs["resumed"].suspend()
    eventually(lambda: _stands_still(root / "resumed"), "it stands still")
    jobs["suspended"].suspend()
    jobs["resumed"].resume()
    jobs["cancelled"].cancel()
    jobs["forced"].cancel(force=True)
    daemon.restart()
    assert jobs["cancelled"].wait().exit_code == 5
    assert jobs["forced"].wait().signal == 9
    eventually(lambda: _stands_still(root / "suspended"), "it stands still")
    eventually(lambda: not _stands_still(root / "resumed"), "it goes on")


def _stands_still(path: Path) -> bool:
    size = path.stat().st_size
    time.sleep(0.3)
    return path.stat().st_size == size


def test_a_stopped_daemon_leaves_its_jobs_running(daemon: Daemon) -> None:
    client = daemon.start().client()
    job = client.submit(f"while [ ! -e {daemon.root}/end ]; do sleep 0.02; done; exit 4", **PLAIN)
    eventually(lambda: job.refresh().state is aios.State.RUNNING, "it runs")
    assert daemon.stop() == 0
    assert any("sleep" in command or "sh" in command for command in daemon.processes().values())
    (daemon.root / "end").touch()
    eventually(lambda: not daemon.processes(), "it ends while no daemon is there")
    daemon.start()
    assert job.wait().exit_code == 4
    daemon.assert_clean()


def _phases(client: aios.Client, job_id: str) -> list[aios.State]:
    """Every state that a watcher saw, until the end."""
    seen: list[aios.State] = []
    for event in client.watch(ids=[job_id], include_ended=True):
        if event.job is not None and (not seen or seen[-1] is not event.job.state):
            seen.append(event.job.state)
        if event.job is not None and event.job.ended:
            return seen
    return seen


def test_a_watcher_that_comes_back_hears_what_ended_while_no_daemon_looked(daemon: Daemon) -> None:
    """By its revision alone: the job is in no list of live ones any more, and the next daemon has nothing of it in memory."""
    client = daemon.start().client()
    job = client.submit(f"while [ ! -e {daemon.root}/end ]; do sleep 0.02; done", **PLAIN)
    eventually(lambda: job.refresh().state is aios.State.RUNNING, "it runs")
    seen = job.revision
    daemon.kill()
    (daemon.root / "end").touch()
    eventually(lambda: _recorded(daemon, job), "it has ended")
    daemon.start()
    job.wait(60)
    daemon.restart()
    told = []
    for event in client.watch(since_revision=seen):
        if str(event.kind) == "synced":
            break
        told.append((event.job.id, event.job.state) if event.job is not None else str(event.kind))
    assert told == ["resync", (job.id, aios.State.SUCCEEDED)]
