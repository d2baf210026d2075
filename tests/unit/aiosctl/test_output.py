"""The printers: alignment, cutting, escaping, formats, colour."""

import io
import json
from dataclasses import dataclass
from enum import StrEnum

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from aiosctl import output
from aiosctl.output import Column, Shape, escaped, plain, print_rows, section, table, truncated, width


@dataclass(frozen=True)
class Fruit:
    name: str
    weight_grams: int
    note: str = ""


COLUMNS: list[Column[Fruit]] = [
    Column("NAME", lambda f: f.name),
    Column("WEIGHT", lambda f: str(f.weight_grams), right=True),
    Column("HEAVY", lambda f: "yes" if f.weight_grams > 100 else "no", wide=True),
    Column("NOTE", lambda f: f.note, cut=True, colour=lambda f: "red" if f.note else ""),
]
FRUITS = [Fruit("apple", 150, "sweet and round"), Fruit("fig", 40)]


def test_table_aligns_and_leaves_no_space_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows(FRUITS, COLUMNS, lambda f: f.name, Shape())
    assert capsys.readouterr().out == "NAME    WEIGHT   NOTE\napple      150   sweet and round\nfig         40\n"


def test_wide_has_more_columns_and_no_headers_has_no_titles(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows(FRUITS, COLUMNS, lambda f: f.name, Shape("wide", headers=False))
    assert capsys.readouterr().out == "apple   150   yes   sweet and round\nfig      40   no\n"


def test_name_json_and_yaml_are_of_the_same_rows(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows(FRUITS, COLUMNS, lambda f: f.name, Shape("name"))
    assert capsys.readouterr().out == "apple\nfig\n"
    print_rows(FRUITS, COLUMNS, lambda f: f.name, Shape("json"))
    as_json = json.loads(capsys.readouterr().out)
    print_rows(FRUITS, COLUMNS, lambda f: f.name, Shape("yaml"))
    assert as_json == yaml.safe_load(capsys.readouterr().out) == [{"name": f.name, "weight_grams": f.weight_grams, "note": f.note} for f in FRUITS]


def test_nothing_is_said_on_stderr_and_an_empty_list_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows([], COLUMNS, lambda f: f.name, Shape(), nothing="no fruit")
    assert capsys.readouterr() == ("", "no fruit\n")
    print_rows([], COLUMNS, lambda f: f.name, Shape("json"), nothing="no fruit")
    assert capsys.readouterr() == ("[]\n", "")


def test_only_columns_that_may_be_cut_are_cut() -> None:
    lines = table(FRUITS, COLUMNS, limit=36)
    assert lines == ["NAME    WEIGHT   HEAVY   NOTE", "apple      150   yes     sweet and …", "fig         40   no"]
    assert max(map(width, lines)) == 36
    assert table(FRUITS, COLUMNS, limit=5)[1] == "apple      150   yes     sweet a…"  # what cannot be cut stays whole


SPARE: list[Column[Fruit]] = [Column("NAME", lambda f: f.name), *(Column(title, lambda f: "1234567", spare=True) for title in ("A", "B")), COLUMNS[-1]]


@pytest.mark.parametrize(
    ("columns", "titles"), [(40, "NAME A B NOTE"), (36, "NAME A B NOTE"), (35, "NAME B NOTE"), (26, "NAME B NOTE"), (25, "NAME NOTE"), (3, "NAME NOTE")]
)
def test_a_narrow_terminal_goes_without_spare_columns(monkeypatch: pytest.MonkeyPatch, columns: int, titles: str) -> None:
    monkeypatch.setattr(output, "terminal_columns", lambda stream: columns)
    lines = output.rows_as_lines(FRUITS, SPARE, Shape())
    assert lines[0].split() == titles.split()
    assert max(map(width, lines)) <= max(columns, 16)
    assert len(output.rows_as_lines(FRUITS, SPARE, Shape("wide"))[0].split()) == 4


def test_a_table_in_pieces_keeps_its_columns() -> None:
    floor: list[int] = []
    first = table([FRUITS[0]], COLUMNS, floor=floor)
    second = table([FRUITS[1]], COLUMNS, headers=False, floor=floor)
    assert first + second == table(FRUITS, COLUMNS)


def test_colour_only_when_asked_and_around_the_text_alone() -> None:
    assert table(FRUITS, COLUMNS, headers=False, colour=True)[0].endswith("\x1b[31msweet and round\x1b[0m")
    assert "\x1b" not in "".join(table(FRUITS, COLUMNS))


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_colour_needs_a_terminal_and_honours_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert output.colourful(Terminal()) and not output.colourful(io.StringIO())
    monkeypatch.setenv("TERM", "dumb")
    assert not output.colourful(Terminal())
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    assert not output.colourful(Terminal())


def test_the_width_of_a_pipe_is_endless_and_that_of_a_terminal_may_be_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "50")
    assert output.terminal_columns(Terminal()) == 50
    assert output.terminal_columns(io.StringIO()) is None


def test_a_name_cannot_drive_the_terminal() -> None:
    assert escaped("\x1b]0;owned\x07\r\n\u202e\x9b") == r"\x1b]0;owned\x07\r\n\u202e\x9b"
    assert escaped("résumé 日本") == "résumé 日本"
    assert table([Fruit("\x1b[2J", 1)], COLUMNS[:1], headers=False) == [r"\x1b[2J"]
    assert section("T", [("a", "x\x1b[2J")])[1] == r"  a  x\x1b[2J"


@given(st.text(max_size=40))
def test_escaped_text_is_printable(text: str) -> None:
    assert escaped(text).isprintable()


@given(st.text(max_size=40), st.integers(1, 20))
def test_truncated_text_fits(text: str, cells: int) -> None:
    assert width(truncated(text, cells)) <= max(cells, 1)


def test_wide_characters_take_two_cells() -> None:
    assert (width("日本"), width("e\u0301"), width("ab")) == (4, 1, 2)
    assert truncated("日本語", 5) == "日本…"


def test_plain_values_of_records() -> None:
    class Colour(StrEnum):
        RED = "red"

    assert plain({"a": (1, None, True), "b": Colour.RED, "c": {"x"}}) == {"a": [1, None, True], "b": "red", "c": ["x"]}


def test_a_section_without_values_is_left_out() -> None:
    assert section("Empty", [("a", ""), ("b", "")]) == []
    assert section("Full", [("a", "1"), ("longer", "2"), ("none", "")]) == ["Full", "  a       1", "  longer  2"]
