"""`ps`, `show`, `why`, `stats`: golden output, filters, watching."""

import json
from dataclasses import replace

import pytest

from aios.jobs import EventKind, JobEvent
from aios.records import AheadJob, PriorityFactor, Progress, State
from aiosctl import describe
from aiosctl.jobs import job_columns
from aiosctl.live import JobList
from aiosctl.output import table
from aiosctl.stats import sparkline
from tests.unit.aiosctl.fake_client import NOW_S, WHY, make_array, make_job, make_outcome, make_run

GOLDEN = """\
ID           NAME    USER   STATE        TIME   CPUS    MEM   GPUS   REASON/PROGRESS
42           train   ada    running     1m30s      2   4GiB      1   30% 3/10 loss=0.25
43[0-99%8]   sweep   ada    queued          -      1   1GiB      -   37/100, 2 failed
44           train   ada    failed      1m30s      2   4GiB      1   exit 3
45           train   ada    timed_out   1m30s      2   4GiB      1   signal 15 (SIGTERM): it ran into its time limit
46           train   ada    queued          -      2   4GiB      1   behind 42"""


def five_jobs() -> list:  # type: ignore[type-arg]
    said = Progress(done=3, total=10, metrics={"loss": 0.25})
    return [
        make_job(run=make_run(progress=said)),
        make_array(),
        make_job("44", State.FAILED, run=make_run(), outcome=make_outcome(exit_code=3, reason="exit code 3")),
        make_job("45", State.TIMED_OUT, run=make_run(), outcome=make_outcome(exit_code=None, signal=15, reason="it ran into its time limit")),
        make_job("46", State.QUEUED, reason="behind 42"),
    ]


def test_the_table_of_ps() -> None:
    columns = [column for column in job_columns(NOW_S) if not column.wide]
    assert "\n".join(table(five_jobs(), columns)) == GOLDEN


def test_what_is_private_of_others_is_a_dash(cli, fake) -> None:  # type: ignore[no-untyped-def]
    others = make_job(name="", command=(), cwd="", redacted=True, run=make_run(stdout_path="", stderr_path=""))
    columns = job_columns(NOW_S)
    header, line = table([others], columns)
    assert line.split()[:4] == ["42", "-", "ada", "running"]
    assert line[header.index("COMMAND") :].split()[0] == "-"
    fake.known = {"42": others}
    shown = [line.split() for line in cli("show", "42").out.splitlines()]
    for private in ("name", "command", "directory", "labels", "stdout", "stderr"):
        assert [private, "-"] in shown, private
    assert "  hidden     what is another user's alone" in cli("show", "42").out.splitlines()


def test_ps_asks_what_the_flags_say(cli, fake) -> None:  # type: ignore[no-untyped-def]
    result = cli("ps", "-a", "--user", "ada", "--user", "bob", "--label", "team=vision", "--queue", "night", "--elements", "--name", "net")
    assert (result.status, result.out, result.err) == (0, "", "no jobs\n")
    assert fake.called("jobs") == [
        ((), {"users": ("ada", "bob"), "states": (), "queues": ("night",), "labels": {"team": "vision"}, "name": "net", "include_ended": True, "include_elements": True})
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "states", "ended"),
    [("running,FAILED", ("running", "failed"), True), ("timed-out", ("timed_out",), True), ("pending", ("held", "waiting", "queued"), False), ("starting", ("starting",), False)],
)  # fmt: skip
def test_states_and_their_groups(cli, fake, given: str, states: tuple[str, ...], ended: bool) -> None:  # type: ignore[no-untyped-def]
    assert cli("ps", "--state", given).status == 0
    question = fake.called("jobs")[0][1]
    assert (question["states"], question["include_ended"]) == (states, ended)


def test_an_unknown_state_is_wrong_usage_that_lists_them(cli, fake) -> None:  # type: ignore[no-untyped-def]
    result = cli("ps", "--state", "runing")
    assert result.status == 2 and "there is no state 'runing'" in result.err and "hint: there are held, waiting" in result.err
    assert fake.asked == []


def test_quiet_is_ids_and_json_is_whole_records(cli, fake) -> None:  # type: ignore[no-untyped-def]
    fake.known = {job.id: job for job in five_jobs()}
    assert cli("ps", "-q").out == "42\n43\n44\n45\n46\n"
    found = json.loads(cli("ps", "-o", "json").out)
    assert [job["state"] for job in found] == ["running", "queued", "failed", "timed_out", "queued"]
    assert found[0]["run"]["progress"]["metrics"] == {"loss": 0.25} and "_client" not in found[0]
    assert cli("ps", "--no-headers").out.startswith("42  ")


def test_watching_a_pipe_prints_the_list_and_then_each_change(cli, fake) -> None:  # type: ignore[no-untyped-def]
    fake.known = {"42": make_job(run=make_run())}
    states = [json.loads(line)["state"] for line in cli("ps", "-w", "-a", "-o", "json").out.splitlines()]
    assert states in (["running", "succeeded"], ["succeeded"])  # what comes together is shown as it is at last
    assert cli("ps", "-w", "-a", "-q").out.splitlines()[-1] == "42"


def test_a_list_forgets_what_no_longer_belongs_in_it() -> None:
    known = JobList(lambda job: not job.ended)
    running, ended = make_job(), make_job(state=State.SUCCEEDED, outcome=make_outcome())
    assert known.take([JobEvent(EventKind.CHANGED, 1, make_job("7")), JobEvent(EventKind.CHANGED, 1, running)]) and not known.synced
    known.take([JobEvent(EventKind.SYNCED, 1)])
    assert known.synced and [job.id for job in known.jobs] == ["42", "7"]
    assert known.take([JobEvent(EventKind.CHANGED, 2, ended)]) == [ended]
    assert [job.id for job in known.jobs] == ["7"]
    known.take([JobEvent(EventKind.RESYNC, 3)])
    assert known.jobs == []


def test_show_has_what_there_is_in_sections(cli, fake) -> None:  # type: ignore[no-untyped-def]
    fake.known = {"42": make_job(run=make_run(), labels={"team": "vision"}, environment={"LR": "1"})}
    out = cli("show", "42").out
    assert out.startswith("Job 42\n  name       train\n")
    for line in (
        "  cpus     2",
        "  devices  1 gpu",
        "  memory   4 GiB",
        "Holds",
        "  processors  #0-1",
        "  devices     gpu 0",
        "  labels     team=vision",
        "Environment",
        "  LR  1",
    ):
        assert line in out.splitlines()
    assert "End" not in out.splitlines()


def test_show_goes_on_with_the_others_and_exits_with_the_worst(cli, fake) -> None:  # type: ignore[no-untyped-def]
    fake.known = {"42": make_job()}
    result = cli("show", "41", "42", "-o", "name")
    assert (result.status, result.out, result.err) == (3, "42\n", "error: there is no job 41\nhint: see `aiosctl ps -a`\n")
    assert isinstance(json.loads(cli("show", "42", "-o", "json").out), dict)


def test_why_says_it_first_and_then_from_what(cli) -> None:  # type: ignore[no-untyped-def]
    assert cli("why", "42").out.splitlines() == [
        "it needs 2 of gpu; 1 is free", "Resource", "  gpu  asked 2, free 1, the machine has 4", "Ahead", "  7 jobs  40, 41, …", "Start", "  policy  fair", "Sooner", "  - ask for 1 gpu",
    ]  # fmt: skip


def test_why_shows_who_is_ahead_with_what_decides_and_when_it_will_start(cli, fake, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    now_s = 1_000_000.0
    monkeypatch.setattr("aiosctl.why.time.time", lambda: now_s)
    ahead = tuple(AheadJob(str(40 - n), "bob", "lab" if n else "", 0.25, 0.5, 3.0 + n / 2) for n in range(7))
    told = replace(
        WHY, ahead_jobs=ahead, estimated_start_at_s=now_s + 600, estimated_start_low_s=now_s - 5, estimated_start_high_s=now_s + 1200,
        estimate_basis="the time limits of 2 runs", estimate_held_share=0.9, planned_grant="2 processors, gpu 0",
        factors=(PriorityFactor("age", 0.5, 1000.0, 500.0), PriorityFactor("fair_share", 0.25, 100.0, 25.0), PriorityFactor("size", 0.0, 0.0, 0.0)),
    )  # fmt: skip
    fake.why = lambda ref: told
    lines = cli("why", "42").out.splitlines()
    assert lines[3:6] == ["Ahead  7 jobs", "  JOB   USER   ACCOUNT   SHARE   USED   PRIORITY", "   40   bob    -          25 %   50 %          3"]
    assert lines[9:13] == ["   36   bob    lab        25 %   50 %          5", "  …", "Priority  525.0", "  FACTOR       VALUE   WEIGHT   POINTS"]
    assert lines[13:15] == ["  age          0.500     1000    500.0", "  fair share   0.250      100     25.0"], "what weighs nothing is left out"
    assert "(in 10m)" in lines[16] and lines[17:21] == [
        "  between      now and in 20m", "  by           the time limits of 2 runs", "  so far       90 % of the intervals given lately held",
        "  kept for it  2 processors, gpu 0",
    ]  # fmt: skip
    assert len([line for line in cli("why", "42", "-o", "wide").out.splitlines() if "bob" in line]) == 7
    assert json.loads(cli("why", "42", "-o", "json").out)["ahead_jobs"][1]["account"] == "lab"


def test_of_a_job_that_does_not_wait_no_policy_is_told(cli, fake) -> None:  # type: ignore[no-untyped-def]
    told = replace(WHY, summary="it does not wait: it is running", kind="not-waiting", resource="", ahead=(), ahead_count=0, suggestions=())
    fake.why = lambda ref: told
    assert cli("why", "42").out == "it does not wait: it is running\n"


def test_stats_sets_used_against_asked(cli, fake) -> None:  # type: ignore[no-untyped-def]
    fake.known = {"42": make_job()}
    lines = cli("stats", "42").out.splitlines()
    assert "  cpu     2 asked, 1.00 used on average: 50 %" in lines
    assert "  memory  4 GiB asked, 1 GiB used at most: 25 %" in lines


def test_stats_begin_with_what_the_daemon_warns_of(cli, fake) -> None:  # type: ignore[no-untyped-def]
    fake.known = {"42": make_job(reason="gpu 0 is idle for 15m or longer")}
    assert cli("stats", "42").out.splitlines()[0] == "warning: gpu 0 is idle for 15m or longer"
    fake.known = {"42": make_job(state=State.FAILED, reason="exit code 3")}
    assert "warning" not in cli("stats", "42").out


@pytest.mark.parametrize(
    ("values", "top", "bars"),
    [([], 0.0, ""), ([0, 0], 0.0, "▁▁"), ([1, 2, 4, 8], 0.0, "▂▃▅█"), ([50], 100.0, "▅"), ([200], 100.0, "█"), ([1, 1, 3, 3], 0.0, "▃▃██")],
)  # fmt: skip
def test_sparklines(values: list[float], top: float, bars: str) -> None:
    assert sparkline(values, top) == bars


def test_a_long_sparkline_is_averaged_into_its_cells() -> None:
    assert sparkline([0.0] * 500 + [1.0] * 500, cells=4) == "▁▁██"


def test_granted_processors_as_ranges() -> None:
    grant = make_run().grant
    assert describe.granted_cpus(grant) == "#0-1"


def test_events_are_in_the_order_they_happened(cli, fake) -> None:  # type: ignore[no-untyped-def]
    fake.known = {"2": make_job("2", revision=9), "1": make_job("1", revision=5)}
    assert cli("events", "-q").out == "1\n2\n"
    assert cli("events", "-q", "--tail", "1").out == "2\n"
    assert [json.loads(line)["id"] for line in cli("events", "-f", "--tail", "0", "-o", "json").out.splitlines()] == ["2", "1", "42"]
    assert fake.called("watch")[0][1]["since_revision"] == 9
