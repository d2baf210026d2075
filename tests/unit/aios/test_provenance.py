"""What a registration says of the interpreter beside it: what that says itself, and nothing where it does not."""

import subprocess
import sys
from pathlib import Path

import pytest

from aios import _provenance
from aios._provenance import environment


def program(directory: Path, text: str) -> str:
    path = directory / "python"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_without_a_word_it_is_the_one_that_runs_this() -> None:
    made = environment()
    assert made.python == sys.version.split()[0]
    assert "pytest" in made.packages


def test_another_interpreter_is_asked_for_its_own(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", "env"], cwd=tmp_path, check=True, timeout=60)
    (site,) = (tmp_path / "env" / "lib").glob("python*/site-packages")
    (site / "theirs-1.5.dist-info").mkdir()
    (site / "theirs-1.5.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.5\n")
    made = environment(str(tmp_path / "env" / "bin" / "python"))
    assert (made.python, made.packages["theirs"]) == (sys.version.split()[0], "1.5")
    assert "pytest" not in made.packages


def test_what_lies_in_the_directory_is_not_taken_for_a_part_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('not ours')")
    monkeypatch.chdir(tmp_path)
    assert environment(sys.executable).python


@pytest.mark.parametrize("text", ["exit 1", "echo nonsense", "echo '[1]'", "echo '[\"3\", 7]'", "exec sleep 600"])
def test_of_one_that_does_not_say_nothing_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(_provenance, "_PYTHON_S", 0.5 if "sleep" in text else 20.0)
    made = environment(program(tmp_path, text))
    assert (made.python, dict(made.packages)) == ("", {})
    assert made.host


def test_of_none_nothing_is_known_either() -> None:
    assert (environment("").python, dict(environment("").packages)) == ("", {})
    assert not environment("/no/such/python").packages
