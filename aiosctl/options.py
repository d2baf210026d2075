"""Options that several verbs share, and values with a unit: what cannot be read is wrong usage, naming the flag."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import wraps
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar, cast

import click

from aiosctl.output import FORMATS, Shape

if TYPE_CHECKING:
    from aios.records import State

F = TypeVar("F", bound=Callable[..., Any])


class Question(TypedDict):
    """Which jobs, in the words of the SDK."""

    users: tuple[str, ...]
    states: tuple[str, ...]
    queues: tuple[str, ...]
    labels: Mapping[str, str]
    name: str
    include_ended: bool
    include_elements: bool


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which jobs a verb is about; empty means any."""

    users: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    queues: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    name: str = ""

    def question(self, *, ended: bool, elements: bool) -> "Question":
        """The arguments of `client.jobs` and `client.watch`; who asks for an ended state asks for ended jobs."""
        from aios.records import ENDED

        wants_ended = ended or any(state in ENDED for state in self.states)
        return Question(
            users=self.users, states=self.states, queues=self.queues, labels=self.labels, name=self.name, include_ended=wants_ended, include_elements=elements
        )

    def includes(self, state: "State", *, ended: bool) -> bool:
        """Whether a job that has come into this state still belongs in the list."""
        return state in self.states if self.states else ended or not state.ended


class WrongValue(click.BadParameter):
    """A value that cannot be read; `hint` says what can."""

    def __init__(self, message: str, hint: str, ctx: click.Context | None, param: click.Parameter | None) -> None:
        super().__init__(message, ctx, param)
        self.hint = hint


class Value(click.ParamType[Any]):
    """A value that a function of the SDK reads; its error becomes wrong usage, with an example."""

    def __init__(self, name: str, read: Callable[[str], Any], example: str) -> None:
        self.name = name
        self.read = read
        self.example = example

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        from aios.errors import AiosError

        try:
            return self.read(value)
        except (AiosError, ValueError) as error:
            hint = getattr(error, "hint", "") or f"for example {self.example}"
            raise WrongValue(str(error), hint, ctx, param) from None


def _size(text: str) -> int:
    from aios.units import parse_bytes

    return parse_bytes(text)


def _duration(text: str) -> float:
    from aios.units import parse_seconds

    return parse_seconds(text)


def _moment(text: str) -> float:
    from aios.moments import parse_time

    return parse_time(text, what="moment")


def _cpus(text: str) -> str:
    from aios.units import parse_millis

    parse_millis(text)
    return text


def _gpus(text: str) -> str:
    from aios.devices import parse_gpus

    parse_gpus(text)
    return text


def _gres(text: str) -> str:
    from aios.devices import parse_devices

    parse_devices(text)
    return text


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise ValueError(f"{text!r} is not NAME=VALUE")
    return name, value


class States(click.ParamType[Any]):
    """States of jobs, with commas between them; `ended`, `active` and `pending` stand for several."""

    name = "state"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        groups = _state_groups()
        out: list[str] = []
        for word in value.lower().replace("-", "_").split(","):
            if word.strip() not in groups:
                raise WrongValue(f"there is no state {word.strip()!r}", f"there are {', '.join(groups)}", ctx, param)
            out += groups[word.strip()]
        return tuple(out)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
        from click.shell_completion import CompletionItem

        return [CompletionItem(word) for word in _state_groups() if word.startswith(incomplete)]


def _state_groups() -> dict[str, list[str]]:
    from aios.records import ACTIVE, ENDED, State

    states = [s for s in State if s is not State.UNKNOWN]
    pending = [s.value for s in states if s not in ACTIVE and s not in ENDED]
    groups = {"pending": pending, "active": [s.value for s in states if s in ACTIVE], "ended": [s.value for s in states if s in ENDED]}
    return {**{s.value: [s.value] for s in states}, **groups}


def _bounded(low: int, high: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise ValueError(f"{text[:40]!r} is not a whole number") from None
        if not low <= number <= high:
            raise ValueError(f"{text[:40]} is not between {low} and {high}")
        return number

    return read


STATES = States()
SIZE = Value("size", _size, "16G or 512M")
DURATION = Value("time", _duration, "90s, 2h30m or 1-12:00:00")
MOMENT = Value("moment", _moment, "now+2h, 18:30, tomorrow 08:00 or 2026-12-31T08:00")
CPUS = Value("cpus", _cpus, "4 or 0.5")
GPUS = Value("gpus", _gpus, "2, 0.5 or a100:2")
GRES = Value("kind=number", _gres, "fpga=1")
PAIR = Value("name=value", _pair, "team=vision")
ROLE = Value("user=role", _pair, "bob=writer or @labs=reader")
PRIORITY = Value("number", _bounded(-(2**31), 2**31 - 1), "10")
COUNT = Value("number", _bounded(0, 2**31 - 1), "3")
IO_WEIGHT = Value("number", _bounded(1, 1000), "500")
NICE = Value("nice", _bounded(-20, 19), "10")


def patience_option(function: F) -> F:
    """`--timeout` of what follows, handed over as `patience`: seconds, or None."""
    help_text = "With -f: how long the daemon may be away, for a restart or an upgrade; else 30s, the system's daemon 10m."
    return click.option("--timeout", "patience", type=DURATION, help=help_text)(function)


def output_options(function: F) -> F:
    """`-o`, `--no-headers` and `-q`, handed to the function as one `shape`."""

    @wraps(function)
    def shaped(*args: Any, output: str, no_headers: bool, quiet: bool, **kwargs: Any) -> Any:
        return function(*args, shape=Shape("name" if quiet else output, headers=not no_headers), **kwargs)

    for option in (
        click.option("-q", "--quiet", is_flag=True, help="Only ids; names, where things have no id."),
        click.option("--no-headers", is_flag=True, help="Without the line of titles."),
        click.option("-o", "--output", type=click.Choice(FORMATS), default="table", show_default=True, help="How to print."),
    ):
        shaped = option(shaped)
    return cast(F, shaped)


def filter_options(function: F) -> F:
    """`--user`, `--state`, `--queue`, `--label` and `--name`, as `ps` and `events` take them, handed over as one `chosen`."""

    @wraps(function)
    def filtered(*args: Any, users: Any, states: Any, queues: Any, labels: Any, name: str, **kwargs: Any) -> Any:
        flat = tuple(state for group in states for state in group)
        chosen = Chosen(users=users, states=flat, queues=queues, labels=dict(labels), name=name)
        return function(*args, chosen=chosen, **kwargs)

    for option in (
        click.option("--name", default="", metavar="NAME", help="Only jobs of this name."),
        click.option("--label", "labels", multiple=True, type=PAIR, help="Only jobs with this label."),
        click.option("--queue", "queues", multiple=True, metavar="NAME", help="Only jobs of this queue."),
        click.option("--state", "states", multiple=True, type=STATES, help="Only jobs in these states, with commas between them."),
        click.option("--user", "users", multiple=True, metavar="NAME", help="Only jobs of this user."),
    ):
        filtered = option(filtered)
    return cast(F, filtered)
