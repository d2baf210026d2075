"""Exit statuses, and errors in two lines."""

import signal

import click
import pytest

from aios import errors
from aios.records import State
from aiosctl.failures import guarded
from aiosctl.status import job_status, worst
from tests.unit.aiosctl.fake_client import make_array, make_job, make_outcome


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.NotFound("x"), 3), (errors.Denied("x"), 4), (errors.Unauthenticated("x"), 4), (errors.Unavailable("x"), 5), (errors.DaemonUnreachable("x"), 5), (errors.InvalidArgument("x"), 1), (errors.NeverFits("x"), 1),
        (errors.DiskFull("x"), 1), (errors.Timeout("x"), 1), (errors.FailedPrecondition("x"), 1), (click.UsageError("x"), 2), (OSError(28, "No space left on device"), 1),
        (KeyboardInterrupt(), 130), (RuntimeError("x"), 1), (click.exceptions.Exit(7), 7),
    ],
)  # fmt: skip
def test_the_status_of_an_error(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: BaseException, status: int) -> None:
    monkeypatch.delenv("AIOS_DEBUG", raising=False)

    def fail() -> None:
        raise error

    assert guarded(fail) == status
    assert "Traceback" not in capsys.readouterr().err


def test_error_and_hint_are_two_lines_and_cannot_drive_the_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("AIOS_DEBUG", raising=False)

    def fail() -> None:
        raise errors.NeverFits("asked for \x1b[2J8 gpus", hint="this machine has 2")

    guarded(fail)
    assert capsys.readouterr().err == "error: asked for \\x1b[2J8 gpus\nhint: this machine has 2\n"


def test_debug_shows_where(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIOS_DEBUG", "1")

    def fail() -> None:
        raise errors.NotFound("x")

    with pytest.raises(errors.NotFound):
        guarded(fail)


@pytest.mark.parametrize(
    ("flag", "value", "said", "hint"),
    [
        ("--memory", "16Q", "'16Q' is not valid", "16G"), ("--memory", "-1G", "not valid", "16G"), ("--memory", "99999999999999999999T", "too large", "16G"), ("--time", "soon", "'soon' is not valid", "2h30m"),
        ("--cpus", "0.0001", "not valid", "0.5"), ("--gpus", "1.5", "neither whole devices", "0.5"), ("--nice", "20", "20 is not between -20 and 19", "for example 10"),
        ("--retries", "-1", "not between 0", "for example 3"), ("--retry-on", "oom,never", "'never' is not one of exit, oom", "oom,preempt"), ("--label", "plain", "not NAME=VALUE", "team=vision"),
        ("--begin", "someday", "'someday' is not", "now+1h"), ("--priority", "9" * 30, "not between", "for example 10"), ("--env", "NO_SUCH_VARIABLE", "is not set", "LR=0.1"),
    ],
)  # fmt: skip
def test_a_value_that_cannot_be_read_is_wrong_usage(cli, fake, flag: str, value: str, said: str, hint: str) -> None:  # type: ignore[no-untyped-def]
    result = cli("run", flag, value, "--", "true")
    error, hinted = result.err.splitlines()
    assert (result.status, result.out) == (2, "")
    assert f"'{flag}'" in error and said in error and hinted.startswith("hint: ") and hint in hinted
    assert fake.asked == []


def test_several_ids_go_on_and_exit_with_the_worst(cli, fake) -> None:  # type: ignore[no-untyped-def]
    fake.known = {"42": make_job(state=State.STOPPING)}
    result = cli("cancel", "41", "42", "--reason", "wrong data", "--force")
    assert (result.status, result.out, result.err) == (3, "42  stopping\n", "error: there is no job 41\n")
    assert fake.called("steer") == [(("cancel", ("41", "42")), {"reason": "wrong data", "force": True})]


@pytest.mark.parametrize("verb", ["hold", "release", "suspend", "resume", "requeue"])
def test_the_other_verbs_that_steer(cli, fake, verb: str) -> None:  # type: ignore[no-untyped-def]
    fake.known = {"42": make_job()}
    assert cli(verb, "-q", "42").out == "42\n"
    assert fake.called("steer")[0][0] == (verb, ("42",))


@pytest.mark.parametrize(
    ("state", "outcome", "status"),
    [
        (State.SUCCEEDED, {"exit_code": 0}, 0), (State.FAILED, {"exit_code": 3}, 3), (State.FAILED, {"exit_code": None, "signal": signal.SIGKILL}, 137), (State.FAILED, {"exit_code": None}, 127),
        (State.TIMED_OUT, {"exit_code": None, "signal": 15}, 143), (State.TIMED_OUT, {"exit_code": 0}, 124), (State.OUT_OF_MEMORY, {"exit_code": None}, 137), (State.CANCELLED, None, 130),
        (State.CANCELLED, {"exit_code": None, "signal": 15}, 143), (State.LOST, None, 1), (State.SKIPPED, None, 1),
    ],
)  # fmt: skip
def test_the_status_of_a_job(state: State, outcome: dict | None, status: int) -> None:  # type: ignore[type-arg]
    assert job_status(make_job(state=state, outcome=None if outcome is None else make_outcome(**outcome))) == status


def test_how_another_user_s_job_failed_is_not_told() -> None:
    assert job_status(make_job(state=State.FAILED, outcome=make_outcome(exit_code=None), redacted=True)) == 1


def test_the_status_of_an_array_that_failed_is_one() -> None:
    array = make_array()
    array.state, array.outcome = State.FAILED, make_outcome(exit_code=None)
    assert job_status(array) == 1


def test_wait_gives_the_jobs_status_and_of_several_the_largest(cli, fake) -> None:  # type: ignore[no-untyped-def]
    fake.known = {
        "1": make_job("1", State.SUCCEEDED, outcome=make_outcome()),
        "2": make_job("2", State.FAILED, outcome=make_outcome(exit_code=9, reason="exit code 9")),
    }
    result = cli("wait", "1", "2", "7")
    assert (result.status, result.out) == (9, "1  succeeded\n2  failed  exit 9\n")
    assert result.err.startswith("error: there is no job 7\n")
    assert cli("wait", "-q", "1").status == 0 and worst([]) == 0


def test_wait_gives_each_what_is_left_of_the_timeout(cli, fake) -> None:  # type: ignore[no-untyped-def]
    fake.known = {"1": make_job("1", State.SUCCEEDED, outcome=make_outcome())}
    cli("wait", "--timeout", "10m", "1")
    assert 0 < fake.called("wait")[0][1]["timeout"] <= 600


def test_an_unreachable_daemon_is_five(cli, fake) -> None:  # type: ignore[no-untyped-def]
    fake.errors["jobs"] = errors.DaemonUnreachable("no daemon answers at unix:/x", hint="start one")
    result = cli("ps")
    assert (result.status, result.err) == (5, "error: no daemon answers at unix:/x\nhint: start one\n")


def test_without_words_there_is_help(cli) -> None:  # type: ignore[no-untyped-def]
    assert cli().status == 0 and cli().out.startswith("Usage: aiosctl ")
    assert cli("queue").out.startswith("Usage: aiosctl queue ")
