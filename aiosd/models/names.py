"""What models, datasets and references may be called, and why a name was refused."""

import re

from aiosd.errors import InvalidArgument

MOST_LETTERS = 200  # of all of a name
MOST_PART = 100  # of what is between two "/"
MOST_PARTS = 5

_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_ALLOWED = 'letters, digits, ".", "_" and "-", first a letter, digit or "_"; "/" sets a name space before it, as in "vision/digits"'


def check_model_name(name: str, what: str = "model") -> str:
    """The same. Raises InvalidArgument, with what is wrong and what is allowed. `what`: "model", "dataset"."""
    return _checked(name, f"the name of a {what}")


def check_reference_name(name: str) -> str:
    """The same. Names of branches, tags and aliases are as those of models: "main", "v1.2", "team/try-3"."""
    return _checked(name, "the name of a reference")


def _checked(name: str, what: str) -> str:
    problem = _problem(name)
    if problem:
        shown = name if len(name) <= 60 else name[:60] + "…"
        raise InvalidArgument(f"{shown!r} cannot be {what}: {problem}", hint=f"allowed are {_ALLOWED}", given=name[:100])
    return name


def _problem(name: str) -> str:
    if not name:
        return "it is empty"
    if len(name) > MOST_LETTERS:
        return f"it has {len(name)} characters, and {MOST_LETTERS} are allowed"
    parts = name.split("/")
    if len(parts) > MOST_PARTS:
        return f"it has {len(parts)} parts between '/', and {MOST_PARTS} are allowed"
    for part in parts:
        if not part:
            return "there is nothing before, after or between its '/'"
        if len(part) > MOST_PART:
            return f"a part of it has {len(part)} characters, and {MOST_PART} are allowed"
        if not _PART.fullmatch(part):
            return _first_wrong(part)
    return ""


def _first_wrong(part: str) -> str:
    wrong = next((letter for letter in part if not re.match(r"[A-Za-z0-9_.-]", letter)), "")
    if not wrong:
        return f"a part of it begins with {part[0]!r}"
    return "it has a space" if wrong == " " else f"it has the character {wrong!r}"
