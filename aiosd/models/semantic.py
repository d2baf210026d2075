"""Semantic versions as tags have them ("v1.2", "1.2.3-rc.1"), and ranges over them ("^1.2", ">=1.2,<2")."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import total_ordering

from aiosd.errors import InvalidArgument

_TAG = re.compile(r"v?(\d{1,9})(?:\.(\d{1,9}))?(?:\.(\d{1,9}))?(?:-([0-9A-Za-z.-]+))?")
_RULE = re.compile(r"(\^|>=|<=|>|<|=)\s*(.+)")


@total_ordering
@dataclass(frozen=True, slots=True)
class Semantic:
    """`numbers`: major, minor, patch. `before`: of a pre-release, which comes before the version of the same numbers.

    Source: semver.org 2.0.0, section 11.
    """

    numbers: tuple[int, int, int]
    before: tuple[str, ...] = ()

    def __lt__(self, other: "Semantic") -> bool:
        return self._key() < other._key()

    def _key(self) -> tuple[tuple[int, int, int], bool, list[tuple[bool, int, str]]]:
        """Numbers come before words, and fewer parts before more."""
        return self.numbers, not self.before, [(not part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in self.before]


def semantic_of(tag: str) -> Semantic | None:
    """None: the tag is no semantic version. Parts that are left out are 0."""
    match = _TAG.fullmatch(tag)
    if match is None:
        return None
    major, minor, patch, before = match.groups()
    return Semantic((int(major), int(minor or 0), int(patch or 0)), tuple(before.split(".")) if before else ())


@dataclass(frozen=True, slots=True)
class Rule:
    operator: str
    bound: Semantic
    parts: int  # how many numbers were given: "^1" and "^1.0" differ below 1

    def allows(self, version: Semantic) -> bool:
        if self.operator == "^":
            return self.bound <= version and version.numbers < self._next()
        compared = {">=": version >= self.bound, "<=": version <= self.bound, ">": version > self.bound, "<": version < self.bound, "=": version == self.bound}
        return compared[self.operator]

    def _next(self) -> tuple[int, int, int]:
        """Up to the change of the first number that is not 0."""
        major, minor, patch = self.bound.numbers
        if major or self.parts == 1:
            return (major + 1, 0, 0)
        if minor or self.parts == 2:
            return (0, minor + 1, 0)
        return (0, 0, patch + 1)


@dataclass(frozen=True, slots=True)
class Range:
    """A version is in it when every rule allows it; a pre-release only when a rule names one of the same numbers."""

    text: str
    rules: tuple[Rule, ...]

    def allows(self, version: Semantic) -> bool:
        if version.before and not any(rule.bound.before and rule.bound.numbers == version.numbers for rule in self.rules):
            return False
        return all(rule.allows(version) for rule in self.rules)

    def best(self, tags: Iterable[str]) -> str | None:
        """The tag of the highest version that is in it; None when there is none."""
        known = [(found, tag) for tag in tags if (found := semantic_of(tag)) is not None and self.allows(found)]
        return max(known)[1] if known else None


def is_range(text: str) -> bool:
    return text.startswith(("^", ">", "<", "="))


def parse_range(text: str) -> Range:
    """Raises InvalidArgument for what cannot be read."""
    return Range(text, tuple(_rule(part.strip(), text) for part in text.split(",")))


def _rule(part: str, whole: str) -> Rule:
    match = _RULE.fullmatch(part)
    bound = semantic_of(match.group(2)) if match else None
    if match is None or bound is None:
        hint = 'write it like "^1.2", ">=1.2,<2" or "=1.2.3"; the tags are "v1.2" or "1.2.3"'
        raise InvalidArgument(f"{part[:60]!r} in the range {whole[:60]!r} cannot be read", hint=hint, given=whole[:100])
    return Rule(match.group(1), bound, match.group(2).partition("-")[0].count(".") + 1)
