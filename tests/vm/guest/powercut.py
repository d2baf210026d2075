"""Before and after a power cut: two hundred submissions, each acknowledged one written down outside; then, on the same disk, what became of them."""

import json
import os
import sqlite3
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tests.vm.guest.checks import Figures, check
from tests.vm.guest.world import SETTINGS, STATE, World, eventually, sh

ACKNOWLEDGED = "acknowledged"  # `acknowledged N JOB KIND` on a line: the host writes it down
NOTED = Path("/in/acknowledged.json")
MARKS = Path("/var/tmp/marks")
SUBMISSIONS = 200
KINDS: dict[str, dict[str, Any]] = {
    "short": {"cpus": 0.25},
    "long": {"cpus": 0.25},
    "again": {"cpus": 0.25, "retries": 1, "retry_on": "lost"},
    "held": {"hold": True},
}
# One mark a run, on the disk before the job goes on.
SCRIPT = 'echo run >> "$1/$2" && sync "$1/$2" && { [ "$3" = short ] || until [ -e "$1/after" ]; do sleep 1; done; }; echo end >> "$1/$2" && sync "$1/$2"'


def submit() -> None:
    """Runs until the power is cut: every kind in turn, acknowledgements in lines of their own."""
    world = World(SETTINGS, quota=False)
    sh("systemctl enable aiosd")
    MARKS.mkdir(exist_ok=True)
    MARKS.chmod(0o1777)
    os.sync()
    for n in range(SUBMISSIONS):
        kind = [*KINDS][n % len(KINDS)]
        job = world.alice.submit(["sh", "-c", SCRIPT, "sh", str(MARKS), str(n), kind], key=f"cut-{n}", cwd="/", **KINDS[kind])
        print(f"\n{ACKNOWLEDGED} {n} {job} {kind}", flush=True)
    time.sleep(3600)


class After:
    """The same machine, started again."""

    def __init__(self) -> None:
        told: dict[str, Any] = json.loads(NOTED.read_text())
        self.jobs: dict[int, tuple[str, str]] = {int(n): (job, kind) for n, (job, kind) in told["jobs"].items()}
        self.boot_before: str = told["boot_id"]
        Path("/var/tmp/marks/after").touch()
        self.world = World(installed=True)
        self.records = {n: self.world.alice.record(job) for n, (job, _) in self.jobs.items()}

    def of(self, kind: str) -> dict[int, dict[str, Any]]:
        return {n: self.records[n] for n, (_, k) in self.jobs.items() if k == kind}

    def marks(self, n: int) -> list[str]:
        return (MARKS / str(n)).read_text().split() if (MARKS / str(n)).exists() else []


def world() -> After:
    return After()


@check
def the_database_is_whole(after: After) -> Figures:
    """The journal of the file system is replayed, the database is intact, and the service came up by itself at boot."""
    replayed = sh("dmesg | grep -c 'EXT4-fs.*recover'", check=False).strip()
    with sqlite3.connect(f"file:{STATE}/aiosd.db?mode=ro", uri=True) as database:
        (said,) = database.execute("pragma integrity_check").fetchone()
    assert said == "ok", said
    return {"journals_replayed": int(replayed or 0), "integrity": said}


@check
def every_acknowledged_job_is_there(after: After) -> Figures:
    """Each acknowledged submission is there, and no second one of its key."""
    assert len(after.records) == len(after.jobs) > 0
    known = after.world.alice.say("[job.id for job in client.jobs(include_ended=True)]")
    assert len(known) == len(set(known))
    extra = len(known) - len(after.jobs)
    assert 0 <= extra <= 1, f"{extra} jobs beyond the acknowledged ones: one may have been under way"
    return {"acknowledged": len(after.jobs), "there": len(after.records), "under_way": extra}


@check
def jobs_that_ran_are_lost_and_say_why(after: After) -> Figures:
    """A job that ran when the power went is `lost`, with the reason that the machine restarted; one that may be repeated runs again."""
    lost = {n: r for n, r in after.records.items() if r["state"] == "lost"}
    assert lost, Counter(r["state"] for r in after.records.values())
    now = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    for n, record in lost.items():
        assert after.jobs[n][1] != "again", record
        reason = record["outcome"]["reason"]
        assert after.boot_before[:8] in reason and now[:8] in reason, (reason, after.boot_before, now)
    again = after.of("again")
    eventually(lambda: all(after.world.alice.say("client.job(job).ended", job=r["id"]) for r in again.values()), "those that may be repeated have run", 900.0)
    repeated = [n for n in again if after.marks(n).count("run") == 2]
    assert repeated, {n: after.marks(n) for n in again}
    return {"lost": len(lost), "repeated": len(repeated), "reason": next(iter(lost.values()))["outcome"]["reason"]}


@check
def every_state_is_true(after: After) -> Figures:
    """Who is said to have succeeded has run once to its end; who waited runs now, once; who was held is held still."""
    for n, record in after.of("held").items():
        assert record["state"] == "held", record
        assert not after.marks(n)
    rest = {n: r["id"] for n, r in after.records.items() if after.jobs[n][1] != "held"}
    ends = {n: after.world.alice.wait(job, timeout=900.0) for n, job in rest.items()}
    for n, record in ends.items():
        marks = after.marks(n)
        if record["state"] == "succeeded":
            assert marks[-1] == "end" and marks.count("end") == 1, (record, marks)
            assert 1 <= marks.count("run") <= record["attempt"], (record, marks)
        else:
            assert record["state"] == "lost", record
            assert marks in ([], ["run"]) or (after.jobs[n][1] == "short" and marks == ["run", "end"]), (record, marks)
    return {"states": dict(Counter(r["state"] for r in ends.values())), "held": len(after.of("held"))}


@check
def a_key_still_means_the_same_job(after: After) -> Figures:
    """Who repeats a submission with its key gets the job that was acknowledged before the cut."""
    for n, (job, kind) in [*after.jobs.items()][:20]:
        again = after.world.alice.submit(["sh", "-c", SCRIPT, "sh", str(MARKS), str(n), kind], key=f"cut-{n}", cwd="/", **KINDS[kind])
        assert again == job, (n, again, job)
    return {"repeated": min(20, len(after.jobs))}


if __name__ == "__main__":
    submit()
