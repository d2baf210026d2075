"""Notify commands: what they see, how many run at once, and that none of them is in anybody's way."""

import json
import os
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from aiosd.host.identities import Identities, Identity
from aiosd.host.notifying import Notices, environment_of
from aiosd.ids import JobId
from aiosd.jobs.job import Environment, Job, JobSpec, Outcome, Owner, Phase
from aiosd.resources.request import Request

PATIENCE_S = 20.0
ADA = Owner(61001, 61001, "ada")  # without an entry: any machine has this number free


def job(command: str, cwd: str = "/", outcome: Outcome | None = None) -> Job:
    environment = Environment("digest", {"PATH": "/usr/bin:/bin", "MINE": "\u00e4 b", "AIOS_JOB_ID": "of the shell it was submitted from"})
    spec = JobSpec(name="n", command=("true",), cwd=cwd, environment=environment, request=Request(1000, 1), notify_command=command)
    end = outcome or Outcome(1.0, exit_code=3, reason="exit code 3")
    return Job(id=JobId(7), spec=spec, owner=Owner(0, 0, "me"), phase=Phase.FAILED, submitted_at_s=0.0, reason=end.reason, outcome=end)


def written(path: Path) -> str:
    give_up_s = time.monotonic() + PATIENCE_S
    while not path.exists() or not path.read_text().endswith("\n"):
        assert time.monotonic() < give_up_s, f"{path} was not written"
        threading.Event().wait(0.01)
    return path.read_text().rstrip("\n")


def settled() -> None:
    for thread in threading.enumerate():
        if thread.name == "notify":
            thread.join(PATIENCE_S)


def test_a_command_has_the_jobs_environment_and_its_end(tmp_path: Path) -> None:
    see = "import json,os,sys; print(json.dumps([dict(os.environ), os.getcwd(), os.getsid(0), os.getppid(), sys.stdin.read()]))"
    Notices().add(job(f"python3 -c '{see}' > made.new && mv made.new made", cwd=str(tmp_path)))
    variables, cwd, session, parent, stdin = json.loads(written(tmp_path / "made"))
    told = {name: variables[name] for name in variables if name.startswith("AIOS_JOB_")}
    assert told == {
        "AIOS_JOB_ID": "7", "AIOS_JOB_NAME": "n", "AIOS_JOB_STATE": "failed", "AIOS_JOB_EXIT_CODE": "3", "AIOS_JOB_SIGNAL": "",
        "AIOS_JOB_REASON": "exit code 3",
    }  # fmt: skip
    assert (variables["MINE"], cwd, session, stdin) == ("\u00e4 b", str(tmp_path), parent, "")


def test_a_signal_is_told_and_a_job_without_a_run_has_neither() -> None:
    killed = environment_of(job("x", outcome=Outcome(1.0, signal=9)))
    assert (killed["AIOS_JOB_EXIT_CODE"], killed["AIOS_JOB_SIGNAL"]) == ("", "9")
    skipped = environment_of(replace(job("x"), phase=Phase.SKIPPED, outcome=None))
    assert (skipped["AIOS_JOB_STATE"], skipped["AIOS_JOB_EXIT_CODE"], skipped["AIOS_JOB_SIGNAL"]) == ("skipped", "", "")


def test_a_directory_that_is_gone_does_not_keep_it_from_running(tmp_path: Path) -> None:
    Notices().add(job(f"pwd > {tmp_path}/made", cwd=str(tmp_path / "gone")))
    assert written(tmp_path / "made") == "/"


@pytest.mark.parametrize(
    ("command", "why"), [("exit 4", "exit code 4"), ("kill -9 $$", "ended by signal 9"), ("a\0b", "null byte"), ("sleep 100", "killed after")]
)
def test_a_failure_is_logged(command: str, why: str) -> None:
    with capture_logs() as logs:
        Notices(limit_s=0.2 if command.startswith("sleep") else PATIENCE_S).add(job(command))
        settled()
    assert [(entry["job"], entry["log_level"], why in entry["why"]) for entry in logs] == [("7", "warning", True)]


def test_success_is_not_logged() -> None:
    with capture_logs() as logs:
        Notices().add(job("true"))
        settled()
    assert logs == []


def test_only_so_many_run_at_once_and_all_of_them_do(tmp_path: Path) -> None:
    notices = Notices(at_once=2)
    for number in range(5):
        notices.add(job(f"echo + >> {tmp_path}/all; while [ ! -e {tmp_path}/go ]; do sleep 0.02; done; echo {number} > {tmp_path}/{number}"))
    while (tmp_path / "all").exists() is False or (tmp_path / "all").read_text().count("+") < 2:
        threading.Event().wait(0.01)
    assert len([thread for thread in threading.enumerate() if thread.name == "notify"]) == 2
    assert (tmp_path / "all").read_text().count("+") == 2
    (tmp_path / "go").touch()
    assert [written(tmp_path / str(number)) for number in range(5)] == ["0", "1", "2", "3", "4"]


def test_closing_leaves_what_runs_and_drops_who_waits(tmp_path: Path) -> None:
    notices = Notices(at_once=1)
    with capture_logs() as logs:
        notices.add(job(f"echo > {tmp_path}/up; while [ ! -e {tmp_path}/go ]; do sleep 0.02; done; echo done > {tmp_path}/first"))
        written(tmp_path / "up")
        notices.add(job(f"echo > {tmp_path}/second"))
        notices.close()
    assert [entry["count"] for entry in logs] == [1]
    (tmp_path / "go").touch()
    assert written(tmp_path / "first") == "done"
    settled()
    assert not (tmp_path / "second").exists()


def known(groups: tuple[int, ...] = (61001,)) -> Identities:
    return Identities(lambda owner: Identity(owner.uid, owner.gid, groups, owner.name, home="/home/of/ada"))


@pytest.mark.root
def test_with_identities_it_runs_as_the_owner_of_the_job_and_gains_nothing() -> None:
    see = "id -u; id -G; echo $HOME; cat /proc/self/oom_score_adj; grep -E 'NoNewPrivs|CapEff' /proc/self/status; ls /proc/self/fd | wc -l"
    with tempfile.TemporaryDirectory(prefix="an-", dir="/tmp") as name:  # pytest's own are closed to other users
        place = Path(name)
        os.chown(place, ADA.uid, ADA.gid)
        noticed = Notices(identities=known((61001, 61050)), hardened=True)
        noticed.add(replace(job(f"({see}) > made.new && mv made.new made", cwd=name), owner=ADA))
        said = written(place / "made").split()
        assert said == ["61001", "61001", "61050", "/home/of/ada", "0", "CapEff:", "0" * 16, "NoNewPrivs:", "1", "4"]
        assert (place / "made").stat().st_uid == ADA.uid
        settled()
    assert "NoNewPrivs:\t0" in Path("/proc/thread-self/status").read_text()


@pytest.mark.root
def test_one_users_slow_commands_leave_room_for_those_of_others() -> None:
    with tempfile.TemporaryDirectory(prefix="an-", dir="/tmp") as name:
        place = Path(name)
        place.chmod(0o777)
        notices = Notices(at_once=2, identities=known())
        for number in range(3):
            notices.add(replace(job(f"while [ ! -e {place}/go ]; do sleep 0.02; done; echo {number} > {place}/{number}"), owner=ADA))
        notices.add(replace(job(f"echo bob > {place}/bob"), owner=Owner(61002, 61002, "bob")))
        assert written(place / "bob") == "bob"
        assert not list(place.glob("[0-9]"))
        (place / "go").touch()
        assert [written(place / str(number)) for number in range(3)] == ["0", "1", "2"]
        settled()
