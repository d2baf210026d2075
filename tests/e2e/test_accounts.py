"""Users, tokens and the audit trail of a real daemon: what was answered is there after SIGKILL, and limits hold."""

import os
import pwd
import sqlite3
from contextlib import closing

import pytest

from aios.errors import Exhausted, InvalidArgument
from aios.records import State
from tests.e2e.daemon import Daemon, eventually

ME = pwd.getpwuid(os.getuid()).pw_name


def test_what_was_answered_is_there_after_a_kill_and_who_changes_the_trail_is_found(daemon: Daemon) -> None:
    client = daemon.start().client()
    made, revoked = client.create_token(ME, expires="1h", comment="ci"), client.create_token(ME).token
    client.set_user(ME, max_running=1, max_queued=2)
    client.revoke_token(revoked.id)
    daemon.kill()  # at once: whatever was not durable is gone
    daemon.start()
    assert client.tokens() == [made.token]
    assert len(client.tokens(include_ended=True)) == 2
    assert client.user().limits.running_jobs == 1
    assert [record.method for record in client.audit() if record.allowed] == [
        "Access.CreateToken",
        "Access.CreateToken",
        "Access.SetUser",
        "Access.RevokeToken",
    ]
    assert client.verify_audit().intact
    with closing(sqlite3.connect(daemon.state / "aiosd.db", timeout=30)) as db:
        with pytest.raises(sqlite3.IntegrityError, match="only added to"):
            db.execute("DELETE FROM audit WHERE number = 4")
        db.execute("DROP TRIGGER audit_no_update")
        db.execute("UPDATE audit SET detail = 'nothing happened' WHERE number = 2")
        db.commit()
    verdict = client.verify_audit()
    assert (verdict.intact, verdict.first_broken, verdict.records) == (False, 2, 1)
    done = daemon.aiosctl("admin", "audit", "--verify")
    assert done.returncode == 1 and b"record 2 is not what was written" in done.stdout
    assert daemon.stop() == 0
    assert made.secret.encode() not in (daemon.state / "aiosd.db").read_bytes()
    assert made.secret not in daemon.said(10_000)


def test_limits_hold_over_a_restart_and_say_why(daemon: Daemon) -> None:
    client = daemon.start().client()
    client.set_user(ME, max_running=1, max_queued=2, max_cpus=1)
    jobs = [client.submit(["sleep", "600"], cpus=0.1, memory="16M") for _ in range(3)]
    eventually(lambda: client.job(jobs[0].id).state is State.RUNNING, "the first runs")
    with pytest.raises(Exhausted, match="the limit of 2") as caught:
        client.submit(["true"], memory="16M")
    assert "--max-queued" in caught.value.hint
    with pytest.raises(InvalidArgument, match="can never run under this limit"):
        client.submit(["true"], cpus=2, memory="16M")
    daemon.restart()
    eventually(lambda: client.job(jobs[0].id).state is State.RUNNING, "the first goes on")
    assert [client.job(job.id).state for job in jobs[1:]] == [State.QUEUED] * 2
    why = client.why(jobs[1].id)
    assert (why.kind, why.resource) == ("policy-limit", "running jobs")
    assert (client.user().running_jobs, client.user().queued_jobs) == (1, 2)
    client.set_user(ME, max_running=2, max_cpus=0)
    eventually(lambda: client.job(jobs[1].id).state is State.RUNNING, "a raised limit lets it start")
    assert client.job(jobs[2].id).state is State.QUEUED
    client.cancel(*(job.id for job in jobs), force=True)
