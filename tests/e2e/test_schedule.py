"""`aiosctl schedule` of a real daemon: its five steps, and what earlier runs taught it, over a restart too."""

import json

from tests.e2e.daemon import Daemon, eventually


def test_what_ran_is_learned_told_and_learned_again_by_the_next_daemon(daemon: Daemon) -> None:
    client = daemon.start(AIOSD_RESOURCES__RIGHTSIZE="suggest").client()
    for _ in range(4):
        client.submit(["python3", "-c", "print('x' * 10)"], name="train", cpus=1).wait()
    found = client.schedule()
    assert (found.policy, found.backfill, found.rightsize) == ("fair", "easy", "suggest")
    assert found.starts == 4
    assert found.runs_learned == 4
    assert found.pass_p99_s >= found.pass_p50_s > 0
    assert {one.resource for one in found.availability} >= {"cpu", "memory", "disk"}
    told = client.submit(["python3", "-c", "print('x' * 10)"], name="train", cpus=1, hold=True)
    assert "--memory 64M" in told.rightsizing
    assert b"by 4 earlier runs" in daemon.aiosctl("show", told.id).stdout
    shown = daemon.aiosctl("schedule", "-o", "wide")
    assert shown.returncode == 0, shown.stderr
    assert all(title in shown.stdout for title in (b"1 Demand", b"2 Availability", b"3 Policy", b"4 Execution", b"5 Adjustment"))

    daemon.restart()
    eventually(lambda: daemon.client().schedule().runs_learned == 4, "the next daemon has learned from the journal")
    assert json.loads(daemon.aiosctl("schedule", "-o", "json").stdout)["starts"] == 0
