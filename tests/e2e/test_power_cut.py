"""The machine restarts, or its state is put on another one: every job that was acknowledged has a true end, or another try."""

import os
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest

import aios
from aios.spec import SubmitOptions
from tests.e2e.daemon import Daemon, a_daemon, eventually

pytestmark = pytest.mark.timeout(300)  # several daemons start one after another
PLAIN = SubmitOptions(cpus=0.1, memory="16M", env={}, inherit_env=False, cwd="/")
BEFORE = "0ldb0075-1111-2222-3333-444455556666"


def boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def cut_power(daemon: Daemon) -> None:
    """Everything is gone at once, and what is on the disk was written in another boot."""
    daemon.kill()
    while left := daemon.processes():
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    for file in (daemon.state / "runs").iterdir():
        if file.is_file():
            file.write_bytes(file.read_bytes().replace(boot_id().encode(), BEFORE.encode()))
    with closing(sqlite3.connect(daemon.state / "aiosd.db")) as db, db:
        db.execute("UPDATE job SET state = replace(state, ?, ?)", (boot_id(), BEFORE))


def runs(job: aios.Job) -> Callable[[], bool]:
    return lambda: job.refresh().state is aios.State.RUNNING


def test_after_a_power_cut_every_acknowledged_job_is_there_with_a_true_state(daemon: Daemon) -> None:
    client = daemon.start().client()
    busy = f"echo $AIOS_ATTEMPT >> {daemon.root}/$AIOS_JOB_NAME; while [ ! -e {daemon.root}/go ]; do sleep 0.05; done"
    jobs = {
        name: client.submit(busy, name=name, **PLAIN, **more)
        for name, more in {
            "lost": SubmitOptions(),
            "torn": SubmitOptions(),
            "again": SubmitOptions(retries=1),
            "not again": SubmitOptions(retries=1, retry_on=["exit"]),
        }.items()
    }
    held = client.submit(["true"], hold=True, **PLAIN)
    for job in jobs.values():
        eventually(runs(job), "it runs")
    done = client.submit("exit 7", **PLAIN).wait()
    acknowledged = [client.submit(["true"], after=[held.id], **PLAIN).id for _ in range(50)]
    cut_power(daemon)
    (daemon.state / "runs" / f"{jobs['torn'].id}.-1.1").write_bytes(b"\0" * 4096)  # it was made, and its content never reached the disk
    (daemon.root / "go").touch()
    daemon.start()
    reason = f"the machine restarted while it ran (boot {BEFORE}, now {boot_id()})"
    for name in ("lost", "torn", "not again"):
        assert (jobs[name].wait().state, jobs[name].reason) == (aios.State.LOST, reason), name
    again = jobs["again"].wait()
    assert (again.state, again.attempt) == (aios.State.SUCCEEDED, 2)
    assert (daemon.root / "again").read_text() == "1\n2\n"
    assert (daemon.root / "lost").read_text() == "1\n"
    assert client.job(done.id).exit_code == 7
    assert {client.job(one).state for one in (held.id, *acknowledged)} == {aios.State.HELD, aios.State.WAITING}
    assert held.release().wait().state is aios.State.SUCCEEDED
    assert {client.wait(one).state for one in acknowledged} == {aios.State.SUCCEEDED}
    assert client.check().findings == ()
    daemon.assert_clean()


def test_a_backup_that_was_made_under_way_is_restored_onto_an_empty_machine(daemon: Daemon, tmp_path: Path) -> None:
    client = daemon.start().client()
    busy = f"echo $AIOS_ATTEMPT; while [ ! -e {tmp_path}/go ]; do sleep 0.05; done"
    lost, again = client.submit(busy, **PLAIN), client.submit(busy, retries=1, **PLAIN)
    for job in (lost, again):
        eventually(runs(job), "it runs")
    done, held = client.submit("echo kept; exit 3", **PLAIN).wait(), client.submit(["true"], hold=True, **PLAIN)
    told = daemon.aiosctl("admin", "backup", str(tmp_path / "b.tar.gz"))
    assert told.returncode == 0, told.stderr
    assert b"sha256" in told.stdout
    after = client.submit(["true"], **PLAIN)  # not in it
    assert daemon.aiosctl("admin", "backup", str(tmp_path / "b.tar.gz")).returncode == 1
    with a_daemon() as other:
        put = other.aiosctl("admin", "restore", str(tmp_path / "b.tar.gz"))
        assert put.returncode == 0, put.stderr
        (tmp_path / "go").touch()
        there = other.start().client()
        ended = there.wait(lost.id)
        assert (ended.state, ended.reason) == (aios.State.LOST, "it ran when the backup was made that this daemon's state was restored from")
        assert (there.wait(again.id).state, there.job(again.id).attempt) == (aios.State.SUCCEEDED, 2)
        assert (there.job(done.id).exit_code, there.job(done.id).output()) == (3, "kept\n")
        assert there.job(held.id).state is aios.State.HELD
        assert after.id not in {job.id for job in there.jobs(include_ended=True)}
        assert there.submit(["true"], **PLAIN).wait().state is aios.State.SUCCEEDED
        checked = other.aiosctl("admin", "check")
        assert (checked.returncode, b"all is well" in checked.stderr) == (0, True), checked.stdout
        refused = other.aiosctl("admin", "restore", str(tmp_path / "b.tar.gz"), "--force")
        assert (refused.returncode, b"pid" in refused.stderr) == (1, True)  # a daemon has it
    assert lost.wait().state is aios.State.SUCCEEDED  # the first machine went on
