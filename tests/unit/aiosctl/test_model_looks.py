"""How versions and what differs between them look, in a list and in Python: what is long is counted, what is wrong is seen."""

import time
from dataclasses import replace

import pytest

from aios.versions import Change, Diff, Lineage, Model, Schema, Version
from aiosctl import output
from aiosctl.model_describe import age, format_of
from aiosctl.model_diff import PACKAGES_SHOWN, _layout
from aiosctl.model_list import MODELS, VERSIONS
from aiosctl.output import Shape, rows_as_lines, width

LINEAGE = Lineage("", (), "/home/ada", "", "", "", False, "3.12", {"numpy": "2.4"}, (), (), 0.0, "lab")
VERSION = Version(
    model="digits", kind="model", id="3f2a9c" * 10, number=1, parents=(), author="ada", created_at_s=0.0, message="", metrics={}, labels={}, licence="",
    card="# long", schema=Schema("pickle", "", 0, (), (), 0, 0, {}, ()), lineage=LINEAGE, manifest="", size=1, files=1, stored_bytes=1, references=(),
    state="flagged", reasons=(), signatures=(), listing=(),
)  # fmt: skip


def differing(packages: int) -> Diff:
    changes = [Change("message", "a", "b"), *(Change(f"lineage.packages.p{at}", "1", "2") for at in range(packages))]
    return Diff(VERSION, VERSION, tuple(changes), (), (), 0, 0, ())


def test_many_packages_are_counted_a_few_are_named() -> None:
    few, many = differing(PACKAGES_SHOWN), differing(PACKAGES_SHOWN + 1)
    assert "  p3  1 -> 2" in list(_layout(few, False))
    assert list(_layout(many, False))[1:] == ["Packages", "  in all  11 differ; -o wide lists them", "Said of it", "  message  a -> b"]
    assert "  p10  1 -> 2" in list(_layout(many, True))


def test_of_a_long_text_the_beginning_is_shown() -> None:
    differing = Diff(VERSION, VERSION, (Change("card", "", "# Digits\n\nlong\n"), Change("message", "a\n", "b")), (), (), 0, 0, ())
    assert list(_layout(differing, False))[1:] == ["Said of it", "  card     - -> # Digits … (3 lines)", "  message  a\\n -> b"]
    assert "  card     - -> # Digits\\n\\nlong\\n" in list(_layout(differing, True))


def test_what_is_flagged_is_seen_in_the_list() -> None:
    model = Model("digits", "model", "ada", "", "private", "", {}, False, 0, 0.0, 1, (), VERSION, 1, 1, 0.0)
    column = next(each for each in MODELS if each.title == "FORMAT")
    assert (column.cell(model), column.colour and column.colour(model)) == ("pickle, flagged", "yellow")
    unread = replace(model, damaged="what is kept of model digits cannot be read")
    assert (column.cell(unread), column.colour and column.colour(unread)) == ("damaged", "red")
    assert next(each for each in MODELS if each.title == "DESCRIPTION").cell(unread) == unread.damaged
    sound = replace(model, latest=replace(VERSION, state="registered"))
    assert (column.cell(sound), column.colour and column.colour(sound)) == ("pickle", "")


def test_a_history_fits_80_columns_with_its_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "terminal_columns", lambda stream: 80)
    version = replace(VERSION, created_at_s=1e9, state="registered", references=("main",), metrics={"accuracy": 0.94}, message="more layers")
    title, row = rows_as_lines([version], VERSIONS, Shape("table"))
    assert "METRICS" in title
    assert "accurac…" in row
    assert width(row) <= 80


def test_a_list_says_how_long_ago(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 1e9)
    assert [age(1e9 - passed_s) for passed_s in (-5, 7.5, 90, 7_300, 90_000, 4e7)] == ["0s ago", "7s ago", "1m ago", "2h ago", "1d ago", "462d ago"]


def test_a_framework_of_the_same_name_is_said_once() -> None:
    assert format_of(replace(VERSION.schema, format="pytorch", framework="pytorch")) == "pytorch"
    assert format_of(replace(VERSION.schema, format="onnx", framework="pytorch", opset=17)) == "onnx pytorch opset 17"


def test_in_python_a_version_is_a_line_not_a_page() -> None:
    assert "numpy" not in repr(LINEAGE)
    assert not any(word in repr(VERSION) for word in ("numpy", "# long", "Schema"))
    assert "state='flagged'" in repr(VERSION)
