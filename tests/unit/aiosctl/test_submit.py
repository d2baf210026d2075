"""`submit`: directives, what beats what, and what the SDK is asked."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiosctl.failures import WrongUsage
from aiosctl.script import read_script
from aiosctl.submission import output_path
from tests.unit.aiosctl.fake_client import FakeClient

Cli = Callable[..., object]


@pytest.fixture
def script(tmp_path: Path) -> Callable[..., str]:
    def write(*lines: str) -> str:
        path = tmp_path / "job.sh"
        path.write_text("\n".join(("#!/bin/sh", *lines, "")))
        return str(path)

    return write


def asked(fake: FakeClient) -> dict[str, object]:
    ((_, options),) = fake.called("submit")
    return options


def test_the_script_travels_whole_with_its_arguments(cli, fake, script) -> None:  # type: ignore[no-untyped-def]
    path = script("#AIOS --gpus 1 --time 2h   # one is enough", "# a comment", "", "#SBATCH --job-name=net", 'python train.py "$@"')
    result = cli("submit", path, "--epochs", "3")
    assert (result.status, result.out, result.err) == (0, "42\n", "")
    ((args, options),) = fake.called("submit")
    assert args == (("--epochs", "3"),)
    assert options["script"] == Path(path).read_text()
    assert (options["gpus"], options["time"], options["name"], options["cwd"]) == ("1", 7200.0, "net", os.getcwd())


def test_the_name_is_the_files_when_nothing_names_it(cli, fake, script) -> None:  # type: ignore[no-untyped-def]
    cli("submit", script("true"))
    assert asked(fake)["name"] == "job.sh"


def test_command_line_beats_aios_beats_sbatch(cli, fake, script) -> None:  # type: ignore[no-untyped-def]
    path = script("#AIOS --memory 2G --cpus 2 --env A=1", "#SBATCH --mem=1G -J slurm --cpus-per-task=1", "#AIOS --after-ok 5", "true")
    cli("submit", "--cpus", "8", "--env", "A=2", "--after-ok", "6", path)
    options = asked(fake)
    assert (options["cpus"], options["memory"], options["name"]) == ("8", 2 << 30, "slurm")
    assert (options["env"], options["after_ok"]) == ({"A": "2"}, ["5", "6"])


def test_an_unknown_aios_option_is_an_error_with_file_and_line(cli, fake, script) -> None:  # type: ignore[no-untyped-def]
    path = script("#AIOS --gpus 1", "#AIOS --gpsu 2", "true")
    result = cli("submit", path)
    assert (result.status, result.out) == (2, "")
    assert f"error: {path}:3: No such option" in result.err and "hint: " in result.err
    assert fake.called("submit") == []


@pytest.mark.parametrize(
    ("line", "said"),
    [("--memory 16Q", "'16Q' is not valid"), ("--gpus 1 stray", "unexpected extra argument"), ("--name 'half", "no closing quotation"), ("--cpus", "requires an argument"), ("--nice 99", "not between -20 and 19")],
)  # fmt: skip
def test_a_wrong_aios_line_names_itself(cli, fake, script, line: str, said: str) -> None:  # type: ignore[no-untyped-def]
    result = cli("submit", script(f"#AIOS {line}", "true"))
    assert result.status == 2 and ":2: " in result.err and said in result.err


def test_an_unknown_sbatch_option_is_a_warning(cli, fake, script) -> None:  # type: ignore[no-untyped-def]
    path = script("#SBATCH --constraint=intel --mail-type=END", "true")
    result = cli("submit", path)
    assert result.status == 0
    assert result.err.splitlines() == [
        f"warning: {path}:2: #SBATCH --constraint=intel is ignored: it is not known here", f"warning: {path}:2: #SBATCH --mail-type=END is ignored: mail is not sent",
    ]  # fmt: skip


def test_directives_after_the_first_command_are_not_read(cli, fake, script) -> None:  # type: ignore[no-untyped-def]
    result = cli("submit", script("true", "#AIOS --gpus 4"))
    assert asked(fake)["gpus"] is None and "job.sh:3: this #AIOS line is ignored" in result.err


def test_export_says_which_variables_are_taken_along(cli, fake, script, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setenv("KEPT", "yes")
    cli("submit", script("#SBATCH --export=KEPT,LR=0.1,ABSENT", "true"))
    assert (asked(fake)["inherit_env"], asked(fake)["env"]) == (False, {"KEPT": "yes", "LR": "0.1"})


@pytest.mark.parametrize(
    ("data", "said"),
    [(b"echo hi\n", "does not start with #!"), (b"#!/bin/sh\n\0", "NUL"), (b"#!/bin/sh\n\xff\n", "not UTF-8: byte 10 is 0xff"), (b"", "not a batch script"), (b"#!/bin/sh\n" + b"x" * (4 << 20), "at most")],
)  # fmt: skip
def test_what_is_not_a_script_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(WrongUsage, match=said):
        read_script(data, "f")


def test_a_script_that_is_not_there(cli, fake) -> None:  # type: ignore[no-untyped-def]
    result = cli("submit", "/absent/script.sh")
    assert result.status == 1 and result.err.startswith("error: the script /absent/script.sh cannot be read: No such file")


def test_paths_know_name_and_machine_and_leave_the_rest_to_the_daemon() -> None:
    assert output_path("log/%x-%j.%a.%%x", "/cwd", "a/b%") == "/cwd/log/a_b%%-%j.%a.%%x"
    assert output_path("/abs/%N", "/cwd", "n") == f"/abs/{os.uname().nodename}"
    assert output_path("", "/cwd", "n") == ""


@given(
    st.lists(st.one_of(st.text(max_size=30), st.text(max_size=30).map(lambda t: "#AIOS " + t), st.text(max_size=30).map(lambda t: "#SBATCH " + t)), max_size=6)
)
def test_any_script_is_read_or_refused_by_line(lines: list[str]) -> None:
    text = "\n".join(("#!/bin/sh", *lines))
    try:
        found = read_script(text.encode("utf-8", "replace"), "f.sh")
    except WrongUsage as refused:
        assert refused.message.startswith("f.sh")
    else:
        assert found.text.startswith("#!/bin/sh")
