"""Sets of array indices as a few ranges, so that a million elements cost what ten do."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from aiosd.errors import InvalidArgument

_PART = re.compile(r"(\d{1,18})(?:-(\d{1,18})(?::(\d{1,18}))?)?")
_LIMIT = re.compile(r"\d{1,10}")  # int() of a longer one may raise ValueError
SYNTAX = 'like "0-99", "0-99%8", "1,4,7-20:2"'


@dataclass(frozen=True, slots=True)
class IndexRanges:
    """Ascending, disjoint ranges; none is empty."""

    parts: tuple[range, ...] = ()

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def __bool__(self) -> bool:
        return bool(self.parts)

    def __iter__(self) -> Iterator[int]:
        for part in self.parts:
            yield from part

    def __contains__(self, index: object) -> bool:
        return any(index in part for part in self.parts)

    def __str__(self) -> str:
        return ",".join(_text(part) for part in self.parts)

    def drop_first(self, count: int) -> "IndexRanges":
        """Without its `count` smallest indices."""
        for at, part in enumerate(self.parts):
            if count < len(part):
                return IndexRanges((part[count:], *self.parts[at + 1 :]))
            count -= len(part)
        return IndexRanges()

    def without(self, index: int) -> "IndexRanges":
        """Without one index; ValueError when it is not in the set."""
        for at, part in enumerate(self.parts):
            if index in part:
                middle = part.index(index)
                kept = tuple(p for p in (part[:middle], part[middle + 1 :]) if p)
                return IndexRanges(self.parts[:at] + kept + self.parts[at + 1 :])
        raise ValueError(f"{index} is not in {self}")

    def with_added(self, indices: Iterable[int]) -> "IndexRanges":
        """With these too, which were not in it."""
        added = sorted(indices)
        if not added:
            return self
        before = tuple(p for p in self.parts if p[-1] < added[0])
        after = tuple(p for p in self.parts if p[0] > added[-1])
        between = [i for p in self.parts[len(before) : len(self.parts) - len(after)] for i in p]
        singles = (range(i, i + 1) for i in sorted([*between, *added]))
        return IndexRanges(_joined((*before, *singles, *after)))


def _joined(parts: Iterable[range]) -> tuple[range, ...]:
    """The same indices in fewer ranges, where one goes on as the one before it."""
    joined: list[range] = []
    for part in parts:
        last = joined[-1] if joined else None
        step = part[0] - last[-1] if last is not None else 0
        if last is not None and (len(last) == 1 or last.step == step) and (len(part) == 1 or part.step == step):
            joined[-1] = range(last[0], part[-1] + 1, step)
        else:
            joined.append(part)
    return tuple(joined)


def parse_array(text: str, max_elements: int) -> tuple[IndexRanges, int]:
    """The indices and the limit of an array specification.

    text      "0-99%8": indices 0 to 99, at most 8 at once; "1,4,7-20:2": lists and steps
    returns   (indices, limit); limit 0 means none
    raises    InvalidArgument naming the part that is wrong
    """
    body, percent, limit_text = text.partition("%")
    if percent and not (_LIMIT.fullmatch(limit_text) and 0 < int(limit_text) < 2**31):
        raise InvalidArgument(f"array limit {limit_text[:40]!r} in {text!r} is not a positive number", hint=f"write it {SYNTAX}")
    parts = []
    for piece in body.split(","):
        match = _PART.fullmatch(piece.strip())
        if match is None:
            raise InvalidArgument(f"array specification {text!r} has a part {piece!r} that cannot be read", hint=f"write it {SYNTAX}")
        first, last, step = (int(g) if g is not None else None for g in match.groups())
        assert first is not None
        if last is not None and last < first:
            raise InvalidArgument(f"array range {piece!r} ends before it begins", hint=f"write it {SYNTAX}")
        if step == 0:
            raise InvalidArgument(f"array range {piece!r} has a step of 0", hint=f"write it {SYNTAX}")
        chosen = range(first, (first if last is None else last) + 1, step or 1)
        parts.append(range(chosen[0], chosen[-1] + 1, chosen.step if len(chosen) > 1 else 1))
    parts.sort(key=lambda p: p.start)
    total = sum(map(len, parts))
    if total > max_elements:
        raise InvalidArgument(
            f"array {text!r} has {total} elements, more than the {max_elements} allowed",
            hint="submit several smaller arrays, or raise jobs.max_array_elements",
            asked=total,
            allowed=max_elements,
        )
    return IndexRanges(_disjoint(parts, text)), int(limit_text) if percent else 0


def _disjoint(parts: list[range], text: str) -> tuple[range, ...]:
    for before, after in pairwise(parts):
        if after.start <= before[-1]:
            raise InvalidArgument(
                f"array specification {text!r} has overlapping parts {_text(before)} and {_text(after)}",
                hint="name each index once, in ranges that do not interleave",
            )
    return tuple(parts)


def _text(part: range) -> str:
    if len(part) == 1:
        return str(part.start)
    return f"{part[0]}-{part[-1]}" + (f":{part.step}" if part.step > 1 else "")
