"""Printers over the same rows: table, wide, json, yaml, name; and text that cannot drive the reader's terminal."""

import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from typing import Generic, TextIO, TypeAlias, TypeVar

T = TypeVar("T")
Plain: TypeAlias = bool | int | float | str | list["Plain"] | dict[str, "Plain"] | None

FORMATS = ("table", "wide", "json", "yaml", "name")
_COLOURS = {"red": "31", "green": "32", "yellow": "33", "blue": "34", "cyan": "36", "dim": "2", "bold": "1"}
_GAP = "   "
_NARROWEST = 8  # a column that may be cut keeps so much


@dataclass(frozen=True, slots=True)
class Column(Generic[T]):
    """One column: what it shows of an item, where it shows it, and whether a narrow terminal has it cut, or goes without it where that is not enough."""

    title: str
    cell: Callable[[T], str]
    right: bool = False
    wide: bool = False
    cut: bool = False
    spare: bool = False
    colour: Callable[[T], str] | None = None


@dataclass(frozen=True, slots=True)
class Shape:
    """How the user wants it: `-o`, `--no-headers`, `-q`."""

    format: str = "table"
    headers: bool = True


def escaped(text: str) -> str:
    r"""`text` with everything that is not printable as an escape (`\x1b`, `\n`): names must not drive a terminal."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def width(text: str) -> int:
    """Terminal cells that `text` takes."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

    return sum(0 if combining(c) else 2 if east_asian_width(c) in "WF" else 1 for c in text)


def truncated(text: str, cells: int) -> str:
    """`text` in at most `cells` cells, with … where something was left out."""
    if width(text) <= cells:
        return text
    kept, used = [], 1
    for c in text:
        used += width(c)
        if used > cells:
            break
        kept.append(c)
    return "".join(kept) + "…"


def is_terminal(stream: TextIO) -> bool:
    return stream.isatty()


def colourful(stream: TextIO) -> bool:
    """Colour only on a terminal that understands it, and never against NO_COLOR."""
    return is_terminal(stream) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def coloured(text: str, colour: str, on: bool) -> str:
    return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m" if on and colour else text


def terminal_columns(stream: TextIO) -> int | None:
    """The width to keep to; None where nothing is cut, because it is not a terminal."""
    if not is_terminal(stream):
        return None
    given = os.environ.get("COLUMNS", "")
    if given.isdecimal() and int(given) > 0:
        return int(given)
    try:
        return os.get_terminal_size(stream.fileno()).columns or None
    except OSError:
        return None


def table(
    items: Sequence[T], columns: Sequence[Column[T]], *, headers: bool = True, limit: int | None = None, colour: bool = False, floor: list[int] | None = None
) -> list[str]:
    """The lines of a table.

    limit     terminal cells to keep to, by cutting the columns that allow it; None cuts nothing
    floor     least widths, made longer in place: a table that is printed in pieces keeps its columns
    """
    rows = [[escaped(column.cell(item)) for column in columns] for item in items]
    titles = [[column.title for column in columns]] if headers else []
    if not rows and not titles:
        return []
    widths = [max(width(row[at]) for row in titles + rows) for at in range(len(columns))]
    if floor is not None:
        widths = [max(pair) for pair in zip(widths, floor or widths, strict=True)]
        floor[:] = widths
    if limit is not None:
        _narrow(widths, columns, limit)
    lines = [_line(row, widths, columns, [""] * len(columns)) for row in titles]
    for item, row in zip(items, rows, strict=True):
        paints = [column.colour(item) if colour and column.colour else "" for column in columns]
        lines.append(_line(row, widths, columns, paints))
    return lines


def _narrow(widths: list[int], columns: Sequence[Column[T]], limit: int) -> None:
    """Take from the widest column that may be cut until all fit, or none has anything left to give."""
    excess = sum(widths) + len(_GAP) * (len(widths) - 1) - limit
    while excess > 0:
        givers = [at for at, column in enumerate(columns) if column.cut and widths[at] > _NARROWEST]
        if not givers:
            return
        widest = max(givers, key=lambda at: widths[at])
        second = max([widths[at] for at in givers if at != widest], default=_NARROWEST)
        take = min(excess, max(1, widths[widest] - max(second, _NARROWEST)))
        widths[widest] -= take
        excess -= take


def _line(row: Sequence[str], widths: Sequence[int], columns: Sequence[Column[T]], paints: Sequence[str]) -> str:
    cells = []
    for at, (text, cells_wide, column) in enumerate(zip(row, widths, columns, strict=True)):
        text = truncated(text, cells_wide) if column.cut else text
        space = " " * (cells_wide - width(text))
        shown = coloured(text, paints[at], bool(paints[at]))
        last = at == len(widths) - 1
        cells.append(space + shown if column.right else shown if last else shown + space)
    return _GAP.join(cells).rstrip()


def plain(value: object) -> Plain:
    """A record as what JSON and YAML know: dataclasses as mappings, tuples as lists, enums as their values."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value) if not field.name.startswith("_")}
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in (sorted(value, key=str) if isinstance(value, (set, frozenset)) else value)]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return str(value)


def json_text(value: object, *, indent: int | None = 2) -> str:
    import json

    return json.dumps(plain(value), indent=indent)


def yaml_text(value: object) -> str:
    import yaml

    text: str = yaml.safe_dump(plain(value), sort_keys=False, default_flow_style=False)
    return text.rstrip("\n")


def print_rows(items: Iterable[T], columns: Sequence[Column[T]], name: Callable[[T], str], shape: Shape, *, nothing: str = "") -> None:
    """Print many: `name` is what `-o name` and `-q` show of one. `nothing` is said on stderr when there are none."""
    chosen = list(items)
    if shape.format == "json":
        print(json_text(chosen))
    elif shape.format == "yaml":
        print(yaml_text(chosen))
    elif shape.format == "name":
        print_lines(escaped(name(item)) for item in chosen)
    elif not chosen and nothing:
        print(nothing, file=sys.stderr)
    else:
        print_lines(rows_as_lines(chosen, columns, shape))


def rows_as_lines(items: Sequence[T], columns: Sequence[Column[T]], shape: Shape) -> list[str]:
    """The lines of `-o table` or `-o wide` for this terminal; wide is never cut."""
    wide = shape.format == "wide"
    shown = [column for column in columns if wide or not column.wide]
    limit = None if wide else terminal_columns(sys.stdout)
    if limit is not None:
        shown = _without_spare(items, shown, limit)
    return table(items, shown, headers=shape.headers, limit=limit, colour=colourful(sys.stdout))


def _without_spare(items: Sequence[T], columns: list[Column[T]], limit: int) -> list[Column[T]]:
    """`columns` less those that are spare, the first ones first, until what is left can be made to fit."""

    def least(column: Column[T]) -> int:
        longest = max([width(column.title), *(width(escaped(column.cell(item))) for item in items)])
        return min(longest, _NARROWEST) if column.cut else longest

    excess = sum(len(_GAP) + least(column) for column in columns) - len(_GAP) - limit
    kept = []
    for column in columns:
        if excess > 0 and column.spare:
            excess -= len(_GAP) + least(column)
        else:
            kept.append(column)
    return kept


def print_one(item: T, layout: Callable[[T, bool], Iterable[str]], name: Callable[[T], str], shape: Shape) -> None:
    """Print one thing: `layout(item, wide)` are the lines for a person."""
    if shape.format == "json":
        print(json_text(item))
    elif shape.format == "yaml":
        print(yaml_text(item))
    elif shape.format == "name":
        print(escaped(name(item)))
    else:
        print_lines(layout(item, shape.format == "wide"))


def section(title: str, pairs: Iterable[tuple[str, str]]) -> list[str]:
    """A titled block of `label  value` lines; pairs without a value are left out, and so is a block without pairs."""
    kept = [(escaped(label), escaped(value)) for label, value in pairs if value]
    if not kept:
        return []
    longest = max(width(label) for label, _ in kept)
    return [heading(title), *(f"  {label}{' ' * (longest - width(label))}  {value}" for label, value in kept)]


def heading(title: str) -> str:
    return coloured(title, "bold", colourful(sys.stdout))


def print_lines(lines: Iterable[str]) -> None:
    for line in lines:
        print(line)
