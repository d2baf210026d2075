"""One setting: its range and help, and the section that it stands in."""

from msgspec import Meta, Struct

YEAR_S = 365 * 24 * 3600


def text(help_text: str, *, reload: bool = False, pattern: str | None = None) -> Meta:
    return Meta(description=help_text, extra={"reload": reload}, pattern=pattern)


def whole(help_text: str, at_least: int, at_most: int, *, reload: bool = False) -> Meta:
    return Meta(description=help_text, extra={"reload": reload}, ge=at_least, le=at_most)


def seconds(help_text: str, at_least: float = 0.0, at_most: float = 10 * YEAR_S, *, reload: bool = False) -> Meta:
    """A duration. The upper end keeps `inf` and slips of the keyboard out."""
    return Meta(description=help_text, extra={"reload": reload}, ge=at_least, le=at_most)


def number(help_text: str, at_least: float, at_most: float, *, reload: bool = False) -> Meta:
    return Meta(description=help_text, extra={"reload": reload}, ge=at_least, le=at_most)


class Section(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file. The docstring of each is its heading in `aiosd --print-config`."""


def reloadable(section: type[Section], key: str) -> bool:
    """Whether a running daemon takes this setting over at SIGHUP."""
    return bool(meta_of(section, key).extra["reload"])  # type: ignore[index]  # every setting is made by text, whole or seconds


def meta_of(section: type[Section], key: str) -> Meta:
    """The range and help of a setting."""
    annotation = section.__annotations__[key]
    return next(m for m in annotation.__metadata__ if isinstance(m, Meta))
