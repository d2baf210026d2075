"""`node`, `queue`, `policy`, `daemon`, `top`, `update`, `admin`, `version`: what they print and what they ask."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from aios import daemon as process
from aios import errors
from aios.node import ForeignUse, IdleDevice
from aios.records import State
from aiosctl.top import bar, screen
from tests.unit.aiosctl.fake_client import NODE, NOW_S, RESERVATION, FakeClient, make_job, make_run


def test_node_shows_what_is_held_and_what_is_enforced(cli) -> None:  # type: ignore[no-untyped-def]
    lines = cli("node").out.splitlines()
    assert lines[0] == "Node box" and cli("node", "show").out.splitlines() == lines
    for line in (
        "  cpus    2 of 2 in use; 1 socket, 1 NUMA node, 2 cores, 2 threads", "  gpu     1 of 1 in use", "  cpu  enforced by cgroup v2", "  jobs       1 running",
        "  gpu 0    NVIDIA A100   40GiB      0      1   ok",
    ):  # fmt: skip
        assert line in lines
    assert json.loads(cli("node", "show", "-o", "json").out)["inventory"]["hostname"] == "box"


def test_a_device_goes_into_quarantine_and_out_of_it(cli, fake) -> None:  # type: ignore[no-untyped-def]
    cli("node", "device", "quarantine", "gpu-0", "--reason", "smells")
    cli("node", "device", "release", "gpu-0")
    assert fake.called("set_device") == [
        (("gpu-0",), {"quarantined": True, "reason": "smells"}),
        (("gpu-0",), {"quarantined": False, "reason": ""}),
    ]


def test_the_node_is_shown_where_no_verb_is_named(cli) -> None:  # type: ignore[no-untyped-def]
    assert cli("node").out == cli("node", "show").out
    assert cli("node", "-o", "name").out == cli("node", "show", "-o", "name").out
    assert "unreserve" in cli("node", "--help").out


def test_a_reservation_is_made_shown_and_taken_back(cli, fake) -> None:  # type: ignore[no-untyped-def]
    line = "node reserve --from 2026-12-01T18:00 --for 4h --gpus 2 --cpus 4 --memory 16G --gres fpga=1 --disk 1G --user alice,@vision --user bob --reason demo"
    out = cli(*line.split()).out
    ((begin, length, users), options), *_ = fake.called("reserve")
    assert (begin > 1.7e9, length, users) == (True, 4 * 3600.0, ["alice", "@vision", "bob"])
    assert options == {"cpus": "4", "memory": 16 << 30, "gpus": "2", "gres": ["fpga=1"], "disk": 1 << 30, "exclusive": False, "reason": "demo"}
    assert "Reservation 3" in out and "4 cpus, 16 GiB, 2 gpu" in out and "alice, @vision" in out
    assert json.loads(cli("node", "unreserve", "3", "-o", "json").out)["id"] == 3 and fake.called("unreserve") == [((3,), {})]
    fake.status = replace(fake.status, reservations=(RESERVATION,))
    lines = cli("node").out.splitlines()
    assert any(line.split()[0] == "3" and "demo" in line for line in lines[lines.index("Reservations") :])


@pytest.mark.parametrize(
    "wrong", ["node reserve --for 4h --gpus 2", "node reserve --gpus 2 --user a", "node reserve --for 1h --user a,,b", "node reserve --for 1h --user @"]
)
def test_a_reservation_needs_a_length_and_names(cli, wrong: str) -> None:  # type: ignore[no-untyped-def]
    assert cli(*wrong.split()).status == 2


def test_drain_says_what_still_runs_and_waits_for_it(cli, fake, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    from aiosctl import drain

    monkeypatch.setattr(drain.time, "sleep", lambda seconds: fake.known.clear())
    assert "nothing runs: the node is empty" in cli("node", "drain").err
    job = make_job("7", State.RUNNING, time_limit_s=0.0)
    fake.known = {"7": job}
    err = cli("node", "drain", "--wait").err
    assert err.splitlines() == ["1 job still runs: 7; nobody can say for how long: job 7 has no time limit", "nothing runs: the node is empty"]
    jobs = [replace(job, time_limit_s=3600.0, grace_s=30.0), replace(job, id="8", time_limit_s=60.0)]
    assert drain.what_runs(jobs, NOW_S).startswith("2 jobs still run: 7, 8; all have ended by 20")
    assert drain.what_runs([replace(jobs[0], state=State.SUSPENDED)], NOW_S).endswith("job 7 is suspended")


def test_node_and_top_show_who_else_uses_a_device_and_who_holds_one_for_nothing(cli, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    foreign = (ForeignUse("GPU-1", 4242, "bob", "python3", 3 << 30), ForeignUse("GPU-9", 7, "", "", 0))
    node = replace(NODE, foreign_use=foreign, idle_devices=(IdleDevice("GPU-1", "42", 960.0),))
    monkeypatch.setattr(FakeClient, "node", lambda self: node)
    lines = cli("node").out.splitlines()
    assert lines[lines.index("Used by others") + 1 :][:2] == ["  gpu 0  3 GiB by pid 4242 of bob (python3)", "  GPU-9  - by pid 7 of an unknown user"]
    assert lines[lines.index("Idle") + 1] == "  gpu 0  held by job 42, unused for 16m"
    assert any(line.endswith("used by bob  idle: held by job 42, unused for 16m") for line in screen(node, [], NOW_S, 200))


def test_drain_and_resume(cli, fake) -> None:  # type: ignore[no-untyped-def]
    cli("node", "drain", "--reason", "new GPU")
    cli("node", "resume")
    assert fake.called("drain") == [(("new GPU",), {})] and fake.called("resume_node") == [((), {})]


def test_queue_ls_is_a_table(cli) -> None:  # type: ignore[no-untyped-def]
    assert cli("queue", "ls").out == (
        "NAME      STATE   PRIORITY   QUEUED   RUNNING   MAX   WAIT   OLDEST\ndefault   open           0        3         1     -      -     1m1s\n"
    )
    assert cli("queue", "ls", "-q").out == "default\n"


def test_queue_set_leaves_what_is_not_named(cli, fake) -> None:  # type: ignore[no-untyped-def]
    assert cli("queue", "set", "night", "--close", "--max-time", "none", "--time", "2h").status == 0
    assert fake.called("set_queue") == [(("night",), {"open": False, "default_time": 7200.0, "max_time": 0.0})]
    assert cli("queue", "set", "night").status == 2


def test_queue_set_has_every_limit(cli, fake) -> None:  # type: ignore[no-untyped-def]
    limits = "--max-queued 9 --max-cpus 4.5 --max-memory 8G --max-gpus 2 --user-running 1 --user-cpus 0 --user-gpus 0.5 --share 25% --borrow"
    rules = "--allow ada --allow @staff --weight age=0 --weight qos=5 --preempts none --preempt-mode requeue --preempt-after 10m --idle-gpus cancel"
    assert cli("queue", "set", "night", *limits.split(), *rules.split()).status == 0
    assert fake.called("set_queue") == [
        (("night",), {
            "max_queued": 9, "max_cpus": "4.5", "max_memory": 8 << 30, "max_gpus": "2", "user_running": 1, "user_cpus": "0", "user_gpus": "0.5",
            "share": 0.25, "borrow": True, "allowed_users": ("ada", "@staff"), "weights": {"age": 0.0, "qos": 5.0}, "preempts": (),
            "preempt_mode": "requeue", "preempt_after": 600.0, "idle_gpus": "cancel",
        })
    ]  # fmt: skip
    for wrong in ("--share 120%", "--share nan", "--weight age", "--weight age=x", "--max-cpus -1", "--preempt-mode kill", "--max-memory lots"):
        assert cli("queue", "set", "night", *wrong.split()).status == 2, wrong


def test_queue_show_leaves_out_what_is_no_limit(cli) -> None:  # type: ignore[no-untyped-def]
    assert cli("queue", "show", "default").out == (
        "Queue default\n  state               open\n  priority            0\n  queued              3\n  running             1\n"
        "  at most running     -\n  waited lately       -\n  oldest waits        1m1s\n  time limit          -\n  longest time limit  2h\n  share               25%+\n"
        "  for                 everybody\nAt once\n  processors  4\nRules\n  weights  age=5\n"
    )


def test_qos_ls_and_show(cli) -> None:  # type: ignore[no-untyped-def]
    assert cli("qos", "ls").out == "NAME   PRIORITY   QUEUED   RUNNING   MAX   BILLED\nhigh         10        3         1     4       x2\n"
    shown = cli("qos", "show", "high").out
    assert "for                  @staff\n" in shown and "processors      8\n" in shown and "preempts             low\n" in shown
    missing = cli("qos", "show", "low")
    assert (missing.status, missing.err) == (3, "error: there is no QoS 'low'\nhint: there are high\n")


def test_share_is_a_tree(cli) -> None:  # type: ignore[no-untyped-def]
    assert cli("share").out == (
        "ACCOUNT/USER   SHARES     DUE     USED   HOURS   LEVEL   RANK\n"
        "lab/                3   75.0%   100.0%    2.00    0.75\n"
        "  ada               1   75.0%   100.0%    2.00    1.00      2\n"
        "bob                 1   25.0%     0.0%    0.00       -      1\n"
    )
    assert json.loads(cli("share", "-o", "json").out)[2]["level_fair_share"] is None


def test_policy_set_changes_rules_alone(cli, fake) -> None:  # type: ignore[no-untyped-def]
    said = cli("policy", "set", "--backfill", "easy", "--no-predict", "--weight", "age=500")
    assert said.status == 0
    assert "Rules" in said.out  # what was changed is shown
    assert fake.called("set_policy") == [(("",), {"backfill": "easy", "predict": False, "weights": {"age": 500.0}})]
    assert cli("policy", "set").status == cli("policy", "set", "--weight", "age=").status == cli("policy", "set", "--backfill", "some").status == 2


def test_policy_marks_the_one_in_force_and_names_the_choices(cli, fake) -> None:  # type: ignore[no-untyped-def]
    assert cli("policy", "show").out == "    NAME   SUMMARY\n    fifo   strict order\n*   fair   least used first\n"
    assert cli("policy", "show", "-q").out == "fair\n"
    refused = cli("policy", "set", "lottery")
    assert (refused.status, refused.out) == (2, "")
    assert refused.err == "error: there is no policy 'lottery'\nhint: there are fifo: strict order; fair: least used first\n"
    assert cli("policy", "set", "fifo").status == 0 and fake.called("set_policy") == [(("fifo",), {})]


def test_update_sends_only_what_is_named(cli, fake) -> None:  # type: ignore[no-untyped-def]
    fake.known = {"42": make_job()}
    result = cli("update", "42", "7", "--memory", "8G", "--priority", "10", "--label", "a=")
    assert (result.status, result.out) == (3, "42\n")
    assert fake.called("update")[0] == (("42",), {"memory": 8 << 30, "priority": 10, "labels": {"a": ""}})
    assert cli("update", "42").status == 2


def test_daemon_status_of_none_is_five(cli, fake, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(process, "status", lambda target: process.DaemonProcess("unix:/x", 0, False, Path("/log")))
    fake.errors["node"] = errors.DaemonUnreachable("none")
    result = cli("daemon", "status")
    assert result.status == 5 and result.out == "aiosd at unix:/x\n  state  not running\n  log    /log\n"


def test_daemon_status_of_a_running_one(cli, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(process, "status", lambda target: process.DaemonProcess("unix:/x", 9, True, Path("/log")))
    result = cli("daemon", "status", "-o", "json")
    found = json.loads(result.out)
    assert result.status == 0 and (found["pid"], found["version"], found["running"]) == (9, "1.2", True)


def test_daemon_logs_are_escaped_and_absent_ones_are_said(cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    log = tmp_path / "aiosd.log"
    monkeypatch.setattr(process, "log_file", lambda: log)
    assert cli("daemon", "logs").status == 1
    log.write_text("one\ntwo \x1b[2J\n")
    assert cli("daemon", "logs", "--tail", "1").out == "two \\x1b[2J\n"


def test_target_is_taken_before_and_after_the_verb(monkeypatch: pytest.MonkeyPatch) -> None:
    from aiosctl import session
    from aiosctl.cli import root
    from aiosctl.failures import guarded

    asked: list[str | None] = []

    def connect(**options: object) -> object:
        asked.append(session.target())
        raise errors.DaemonUnreachable("none")

    monkeypatch.setattr(session, "connect", connect)
    for words in (["--target", "/a", "ps"], ["ps", "--target", "/b"], ["--target", "/a", "queue", "ls", "--target", "/c"], ["ps"]):
        assert guarded(lambda words=words: root.main(args=words, standalone_mode=False)) == 5
    assert asked == ["/a", "/b", "/c", None]


def test_admin_check_passes_words_and_status_through(cli, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    called: list[list[str]] = []

    def call(command: list[str]) -> int:
        called.append(command)
        return 7

    monkeypatch.setattr(subprocess, "call", call)
    assert cli("admin", "check", "--state-directory", "/var/lib/aios").status == 7
    assert called == [[sys.executable, "-P", "-m", "aiosd", "admin-check", "--state-directory", "/var/lib/aios"]]
    assert cli("admin", "check", "--offline", "--repair").status == 7
    assert cli("admin", "restore", "/b.tar.gz", "--force", "--system").status == 7
    assert cli("admin", "backup", "/b.tar.gz").status == 7  # no daemon runs here
    assert cli("admin", "backup", "/b.tar.gz", "--without-models").status == 7
    assert cli("admin", "restore", "/b.tar.gz", "--without-models").status == 7
    assert [words[4:] for words in called[1:]] == [
        ["admin-check", "--repair"],
        ["admin-restore", "/b.tar.gz", "--force", "--system"],
        ["admin-backup", "/b.tar.gz"],
        ["admin-backup", "/b.tar.gz", "--without-models"],
        ["admin-restore", "/b.tar.gz", "--without-models"],
    ]


def test_whoami_says_whom_the_daemon_sees(cli, fake) -> None:  # type: ignore[no-untyped-def]
    assert [line.split() for line in cli("whoami").out.splitlines()[1:]] == [["uid", "1000"], ["role", "operator"], ["known", "by", "socket"]]
    assert json.loads(cli("whoami", "-o", "json").out)["role"] == "operator"
    assert cli("whoami", "--pass").out == "aiosp1.secret\n"
    fake.pass_ = ""
    refused = cli("whoami", "--pass")
    assert (refused.status, "asks for no credential" in refused.err) == (1, True)


@pytest.mark.parametrize(
    ("words", "passed"),
    [
        (["init", "--host", "a", "--host", "b"], ["init", "--host", "a", "--host", "b"]),
        (["init", "--system", "--force"], ["--system", "init", "--force"]),
        (["server", "--force"], ["server", "--force"]),
        (["client", "ada", "--days", "9"], ["client", "ada", "--days", "9"]),
    ],
)
def test_admin_tls_is_done_by_a_process_of_its_own(cli, monkeypatch: pytest.MonkeyPatch, words: list[str], passed: list[str]) -> None:  # type: ignore[no-untyped-def]
    called: list[list[str]] = []
    monkeypatch.setattr("subprocess.call", lambda argv: called.append(argv) or 1)
    assert cli("admin", "tls", *words).status == 1
    assert called[0][1:] == ["-P", "-m", "aiosd", "admin-tls", *passed]


def test_version_without_a_daemon_is_no_error(cli, fake) -> None:  # type: ignore[no-untyped-def]
    fake.errors["node"] = errors.DaemonUnreachable("no daemon answers")
    result = cli("version")
    assert result.status == 0 and result.out.splitlines()[1] == "aiosd   no daemon answers"
    assert cli("--version").out.startswith("aiosctl ")


def test_top_in_a_pipe_prints_once(cli, fake) -> None:  # type: ignore[no-untyped-def]
    fake.known = {"42": make_job(run=make_run())}
    out = cli("top").out
    assert out.startswith("box  ready  policy fair") and "\x1b" not in out and out.count("train") == 1


def test_the_screen_of_top_has_what_runs_first() -> None:
    from aios.records import State

    lines = screen(NODE, [make_job("1", State.QUEUED), make_job("2", run=make_run())], NOW_S, None)
    assert [line.split()[0] for line in lines[-2:]] == ["2", "1"]
    assert bar(1, 2, 4) == "[##--]" and bar(5, 2, 4) == "[####]" and bar(1, 0, 4) == "[----]"
