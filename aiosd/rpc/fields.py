"""What every field from the wire must pass before it becomes part of a record; each refusal names the field."""

from collections.abc import Callable, Iterable, Mapping, Sized
from enum import StrEnum
from math import inf, isfinite
from typing import TypeVar

from aiosd.errors import InvalidArgument
from aiosd.ids import JobId, parse_job_id

Choice = TypeVar("Choice", bound=StrEnum)


def text(value: str, at: str, name: str, most: int = 0) -> str:
    """`value`, which may be empty but holds no NUL: neither paths nor arguments can. `at` + `name` is the field.

    most  characters that are allowed; 0: whatever a message holds
    """
    if 0 < most < len(value):
        raise InvalidArgument(
            f"{at}{name} has {len(value)} characters, and {most} are allowed", hint="make it shorter", field=at + name, given=len(value), allowed=most
        )
    if "\0" in value:
        place = value.index("\0")
        raise InvalidArgument(f"{at}{name} has a NUL character at position {place}", hint="remove it: neither commands nor paths can hold one", field=at + name)
    return value


def texts(values: Iterable[str], at: str, name: str, most: int = 0) -> tuple[str, ...]:
    taken = tuple(values)
    if most:
        few(taken, at, name, most)
    for place, value in enumerate(taken):
        if "\0" in value:
            text(value, at, f"{name}[{place}]")
    return taken


def pairs(values: Mapping[str, str], at: str, name: str) -> dict[str, str]:
    taken = dict(values)
    for key, value in taken.items():
        if "\0" in key or "\0" in value:
            text(key, at, f"the name of one of {name}")
            text(value, at, f"{name}[{key}]")
    return taken


def needed(value: str, at: str, name: str, most: int = 0) -> str:
    """A text that must be there."""
    if not value:
        raise InvalidArgument(f"{at}{name} is missing", hint=f"give a value for {at}{name}", field=at + name)
    return text(value, at, name, most)


def amount(value: int, at: str, name: str) -> int:
    """A whole number, 0 or more."""
    if value < 0:
        raise InvalidArgument(f"{at}{name} is {value}, and cannot be negative", hint="give 0 or more", field=at + name, given=value)
    return value


def seconds(value: float, at: str, name: str) -> float:
    """A length or a moment of time: finite, 0 or more."""
    if not 0 <= value < inf:  # false for NaN too
        what = "cannot be negative" if isfinite(value) else "is not a number of seconds"
        raise InvalidArgument(f"{at}{name} is {value}, and {what}", hint="give seconds, 0 or more", field=at + name, given=value)
    return value


def few(values: Sized, at: str, name: str, most: int) -> None:
    """Raises InvalidArgument when a list or a map has more than `most` items."""
    if len(values) > most:
        raise InvalidArgument(
            f"{at}{name} has {len(values)} items, and {most} are allowed", hint="give fewer, in several calls", field=at + name, given=len(values), allowed=most
        )


def choice(table: Mapping[int, Choice], value: int, at: str, name: str) -> Choice:
    """The record's word for a value of an enum; what a newer client may know, or nobody, is refused."""
    chosen = table.get(value)
    if chosen is None:
        allowed = ", ".join(table.values())
        given = "not set" if value == 0 else f"{value}, which this daemon does not know"
        raise InvalidArgument(f"{at}{name} is {given}", hint=f"choose one of {allowed}", field=at + name, given=value, allowed=allowed)
    return chosen


def job_id(value: str, at: str, name: str) -> JobId:
    """An id where a name will not do."""
    found = parse_job_id(value)
    if found is None:
        hint = 'give an id like "42", or "42.7" for one element of an array'
        raise InvalidArgument(f"{at}{name} is {value!r}, which is not a job id", hint=hint, field=at + name, given=value)
    return found


def printable(value: str) -> str:
    """`value` as protobuf takes it: a path of this machine may hold bytes that are not UTF-8."""
    return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode()


def by_name(records: Iterable[Choice], number_of: Callable[[str], int], prefix: str = "") -> dict[Choice, int]:
    """Words of records to numbers of a wire enum that spells them the same, in capitals."""
    return {word: number_of(prefix + word.name) for word in records}


def turned(table: Mapping[Choice, int]) -> dict[int, Choice]:
    return {number: word for word, number in table.items()}
