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
SLACK, MORE_S = 1.6, 0.5  # a busy machine's processor time varies; to read the history would cost three times as much as a start
PLAIN = SubmitOptions(cpus=0.1, memory="16M", env={}, inherit_env=False, cwd="/")

COPIES = """
WITH RECURSIVE n(i) AS (SELECT 1000 UNION ALL SELECT i + 1 FROM n WHERE i < 1000 + :count)
INSERT INTO finished_job (number, idx, spec, phase, revision, uid, user_name, name, queue, labels, submitted_at_s, ended_at_s, state)
SELECT n.i, f.idx, f.spec, f.phase, f.revision + n.i, f.uid, f.user_name, f.name, f.queue, f.labels, f.submitted_at_s, f.ended_at_s, f.state
FROM n, (SELECT * FROM finished_job LIMIT 1) AS f
"""


def processor_s(pid: int) -> float:
    """What the process has used since it was started."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_start_with_much_history_costs_no_more_than_one_without(daemon: Daemon) -> None:
    daemon.start().client().submit(["true"], **PLAIN).wait()
    daemon.stop()
    daemon.start()
    without = processor_s(daemon.pid)
    daemon.stop()
    with closing(sqlite3.connect(daemon.state / "aiosd.db")) as db, db:
        db.execute(COPIES, {"count": ENDED})
    with closing(sqlite3.connect(daemon.state / "aiosd.db")) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # else the first start folds the log into the file
    client = daemon.start().client()
    with_history = processor_s(daemon.pid)
    assert with_history < SLACK * without + MORE_S, (without, with_history)
    assert int(client.submit(["true"], **PLAIN).wait().id) > ENDED
    assert client.job(50_000).state is aios.State.SUCCEEDED
