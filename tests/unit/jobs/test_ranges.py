"""Array specifications: what they mean, what is wrong with those that mean nothing, and sets of indices as sets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiosd.errors import InvalidArgument
from aiosd.jobs.ranges import IndexRanges, parse_array


@st.composite
def ranges(draw: st.DrawFn) -> IndexRanges:
    parts, at = [], 0
    for _ in range(draw(st.integers(0, 5))):
        first, count, step = at + draw(st.integers(0, 9)), draw(st.integers(1, 6)), draw(st.integers(1, 4))
        parts.append(range(first, first + (count - 1) * step + 1, step if count > 1 else 1))
        at = parts[-1][-1] + 1
    return IndexRanges(tuple(parts))


@pytest.mark.parametrize(
    ("text", "indices", "limit"),
    [("0-3", [0, 1, 2, 3], 0), ("0-9:3%2", [0, 3, 6, 9], 2), ("7", [7], 0), ("4,1-2, 9", [1, 2, 4, 9], 0), ("5-5%1", [5], 1), ("0-8:5", [0, 5], 0)],
)
def test_specifications(text: str, indices: list[int], limit: int) -> None:
    found, most = parse_array(text, 100)
    assert (list(found), most) == (indices, limit)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot be read"),
        ("1,,2", "cannot be read"),
        ("a-b", "cannot be read"),
        ("-3", "cannot be read"),
        ("3-1", "ends before it begins"),
        ("0-9:0", "step of 0"),
        ("0-5,3", "overlapping"),
        ("0-8:4,4", "overlapping"),
        ("0-9%0", "not a positive number"),
        ("0-9%", "not a positive number"),
        ("0-9%" + "9" * 5000, "not a positive number"),
        ("0-" + "9" * 5000, "cannot be read"),
        ("0-100", "101 elements, more than the 100 allowed"),
        ("0-999999999999999999", "more than the 100 allowed"),
    ],
)
def test_what_is_wrong_is_named(text: str, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        parse_array(text, 100)


@given(ranges().filter(bool), st.integers(0, 99))
def test_what_is_printed_means_the_same(indices: IndexRanges, limit: int) -> None:
    found, most = parse_array(str(indices) + (f"%{limit}" if limit else ""), 1000)
    assert list(found) == list(indices) and most == limit


@given(ranges(), st.data())
def test_without_and_drop_first_are_those_of_sets(indices: IndexRanges, data: st.DataObject) -> None:
    members = list(indices)
    assert len(indices) == len(members) and bool(indices) == bool(members) and all(i in indices for i in members)
    count = data.draw(st.integers(0, len(members)))
    assert list(indices.drop_first(count)) == members[count:]
    if members:
        gone = data.draw(st.sampled_from(members))
        assert list(indices.without(gone)) == [i for i in members if i != gone]
    with pytest.raises(ValueError, match="is not in"):
        indices.without(1000)


def test_a_million_elements_are_one_part() -> None:
    indices, _ = parse_array("0-999999", 10_000_000)
    assert len(indices.parts) == 1 and len(indices.drop_first(999_999)) == 1 and len(indices.without(5).parts) == 2


@pytest.mark.parametrize("text", ["0-99", "0-98:2", "1,4,7-20:2", "5"])
@pytest.mark.parametrize("count", [0, 1, 7])
def test_what_was_taken_from_the_front_can_be_put_back(text: str, count: int) -> None:
    indices, _ = parse_array(text, 1000)
    taken = list(indices)[:count]
    back = indices.drop_first(len(taken)).with_added(reversed(taken))
    assert list(back) == list(indices) and len(back.parts) <= len(indices.parts)


def test_what_is_put_back_may_lie_anywhere() -> None:
    indices, _ = parse_array("0-20:2", 1000)
    for index in (20, 0, 10, 12):
        indices = indices.without(index)
    assert list(indices.with_added([12, 20, 0, 10])) == list(range(0, 21, 2))
    assert list(indices.with_added([])) == list(indices)
    assert list(IndexRanges().with_added([3, 1])) == [1, 3]
