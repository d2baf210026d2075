"""Semantic versions: their order, and ranges over tags."""

import random

import pytest

from aiosd.errors import InvalidArgument
from aiosd.models.semantic import parse_range, semantic_of


def test_the_order_of_semver_itself() -> None:
    """The example of semver.org, section 11.4."""
    ordered = ["1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0", "1.2", "v1.10", "2"]
    parsed = [semantic_of(each) for each in ordered]
    assert None not in parsed
    assert sorted(random.Random(1).sample(parsed, len(parsed))) == parsed  # type: ignore[type-var]


@pytest.mark.parametrize("tag", ["", "main", "v", "1.2.3.4", "x1", "1.2-", "1..2", "1.2 ", "v1.2/x", "9" * 30])
def test_what_is_no_version(tag: str) -> None:
    assert semantic_of(tag) is None


@pytest.mark.parametrize(
    ("text", "best"),
    [
        ("^1.2", "v1.10.0"), ("^1", "v1.10.0"), ("^1.10", "v1.10.0"), ("^2", "2.0"), ("^3", None), ("^0", "0.3.1"), ("^0.2", "0.2.5"), ("^0.2.3", "0.2.5"),
        ("^0.0.3", None), ("^0.0", None), (">=1", "2.0"), (">=1,<2", "v1.10.0"), (">1.2.0,<1.10", "v1.2.3"), ("=1.2", "v1.2.0"), ("<1", "0.3.1"),
        ("<=1.2", "v1.2.0"), ("^2.1.0-rc.1", "2.1.0-rc.2"), (">1.2.3 , < 2", "v1.10.0"),
    ],
)  # fmt: skip
def test_ranges(text: str, best: str | None) -> None:
    tags = ["v1.2.0", "v1.2.3", "v1.10.0", "2.0", "2.1.0-rc.1", "2.1.0-rc.2", "0.3.1", "0.2.5", "prod", "latest"]
    assert parse_range(text).best(tags) == best


@pytest.mark.parametrize("text", ["^", "^x", ">=", "1.2", "^1.2,", "^1.2 ^1.3", "~1.2", ">>1"])
def test_ranges_that_cannot_be_read(text: str) -> None:
    with pytest.raises(InvalidArgument, match="cannot be read"):
        parse_range(text)
