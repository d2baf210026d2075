"""A start costs what is live, and not what the history holds."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

import aios
from aios.spec import SubmitOptions
from tests.e2e.daemon import Daemon

ENDED = 100_000
SLACK, MORE_S = 1.6, 0.5  # to read the history would cost three times as much as a start
STARTS = 5  # of which the cheapest counts: on a busy machine, processor time varies
PLAIN = SubmitOptions(cpus=0.1, memory="16M", env={}, inherit_env=False, cwd="/")

COPIES = """
WITH RECURSIVE n(i) AS (SELECT 1000 UNION ALL SELECT i + 1 FROM n WHERE i < 1000 + :count)
INSERT INTO finished_job (number, idx, spec, phase, revision, uid, user_name, name, queue, labels, submitted_at_s, ended_at_s, state)
SELECT n.i, f.idx, f.spec, f.phase, f.revision + n.i, f.uid, f.user_name, f.name, f.queue, f.labels, f.submitted_at_s, f.ended_at_s, f.state
FROM n, (SELECT * FROM finished_job LIMIT 1) AS f
"""


def processor_s(daemon: Daemon) -> float:
    """What a start of it takes."""
    if daemon.process is not None:
        daemon.stop()
    fields = Path(f"/proc/{daemon.start().pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_start_with_much_history_costs_no_more_than_one_without(daemon: Daemon) -> None:
    client = daemon.start().client()
    client.submit(["true"], **PLAIN).wait()
    without_s = processor_s(daemon)
    daemon.stop()
    with closing(sqlite3.connect(daemon.state / "aiosd.db")) as db, db:
        db.execute(COPIES, {"count": ENDED})
    with closing(sqlite3.connect(daemon.state / "aiosd.db")) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # else the first start folds the log into the file
    with_history_s = []
    while not with_history_s or min(with_history_s) >= SLACK * without_s + MORE_S:
        assert len(with_history_s) < STARTS, (without_s, with_history_s)
        with_history_s.append(processor_s(daemon))
    assert int(client.submit(["true"], **PLAIN).wait().id) > ENDED
    assert client.job(50_000).state is aios.State.SUCCEEDED
