"""The history of a model: ancestors, merges, what is undone, and where a reference was before."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiosd.errors import Conflict, FailedPrecondition, InvalidArgument, NotFound
from aiosd.models.history import Graph, How, Strategy, Unread, merged, previous, reverted, same_version, strategy_of
from aiosd.models.manifest import FileEntry, Manifest
from aiosd.models.ports import Node


def graph(**parents: str) -> Graph:
    """`c="ab"`: the version c follows a, and b came into it. Numbers as they are given."""
    return Graph.of("digits", [Node(number, name, tuple(before), "", 0.0) for number, (name, before) in enumerate(parents.items(), 1)])


#     a - b - d - f       f merges e into d
#       \ c - e /
PARTED = graph(a="", b="a", c="a", d="b", e="c", f="de")


def test_ancestors_come_newest_first_and_once() -> None:
    assert [node.id for node in PARTED.ancestors("f")] == list("fedcba")
    assert [node.id for node in PARTED.ancestors("d")] == list("dba")
    assert [node.id for node in PARTED.ancestors("d", "c")] == list("dcba")
    assert [node.id for node in PARTED.ancestors("unknown")] == []


def test_ancestry() -> None:
    assert PARTED.is_ancestor("f", "c")
    assert PARTED.is_ancestor("f", "f")
    assert not PARTED.is_ancestor("d", "c")
    assert PARTED.merge_base("d", "e") == "a"
    assert PARTED.merge_base("f", "e") == "e"
    assert graph(a="", b="").merge_base("a", "b") == ""


def test_back_follows_first_parents_and_says_where_it_ends() -> None:
    assert PARTED.back("f", 2) == "b"
    assert PARTED.back("f", 0) == "f"
    with pytest.raises(NotFound, match="digits@f has 3 versions before it, not 4"):
        PARTED.back("f", 4)
    with pytest.raises(NotFound, match="digits@a is the first version: there is nothing before it"):
        PARTED.back("a", 2)
    with pytest.raises(NotFound, match="digits@b has no parent here: it came without its history"):
        graph(b="gone").back("b", 1)


@given(st.lists(st.lists(st.integers(0, 200), max_size=3), min_size=1, max_size=30), st.data())
def test_merge_bases_are_common_and_the_newest(drawn: Sequence[Sequence[int]], data: st.DataObject) -> None:
    nodes = [Node(n, str(n), tuple({str(p % n) for p in parents} if n else ()), "", 0.0) for n, parents in enumerate(drawn)]
    made = Graph.of("x", nodes)
    a, b = (str(data.draw(st.integers(0, len(nodes) - 1))) for _ in range(2))
    common = {n.id for n in made.ancestors(a)} & {n.id for n in made.ancestors(b)}
    assert made.merge_base(a, b) == (max(common, key=int) if common else "")
    assert made.is_ancestor(a, b) == (b in {n.id for n in made.ancestors(a)})


@pytest.mark.parametrize(
    ("into", "source", "strategy", "how"),
    [
        ("d", "b", Strategy.FAST_FORWARD, How.ALREADY), ("d", "d", Strategy.OURS, How.ALREADY), ("b", "d", Strategy.FAST_FORWARD, How.FAST_FORWARD),
        ("b", "d", Strategy.THEIRS, How.FAST_FORWARD), ("b", "d", Strategy.OURS, How.MERGE), ("d", "e", Strategy.OURS, How.MERGE),
        ("d", "e", Strategy.THEIRS, How.MERGE), ("b", "f", Strategy.FAST_FORWARD, How.FAST_FORWARD),
    ],
)  # fmt: skip
def test_how_a_version_comes_into_a_branch(into: str, source: str, strategy: Strategy, how: How) -> None:
    assert merged(PARTED, into, source, strategy) is how


def test_where_ways_parted_somebody_has_to_choose() -> None:
    with pytest.raises(FailedPrecondition, match="gone different ways since a") as raised:
        merged(PARTED, "d", "e", Strategy.FAST_FORWARD)
    assert "--ours" in raised.value.hint
    with pytest.raises(FailedPrecondition, match="nothing in common"):
        merged(graph(a="", b=""), "a", "b", Strategy.FAST_FORWARD)
    assert strategy_of("") is Strategy.FAST_FORWARD
    with pytest.raises(InvalidArgument, match="octopus"):
        strategy_of("octopus")


def files(single: bool = False, **contents: str) -> Manifest:
    return Manifest(tuple(FileEntry(name, 1, content, ()) for name, content in sorted(contents.items())), single=single)


def test_reverting_the_tip_is_what_was_before() -> None:
    before, undone = files(a="1", b="1"), files(a="2", c="1")
    assert reverted(undone, undone, before) == before


def test_reverting_an_older_version_keeps_what_came_after_in_other_files() -> None:
    before, undone, tip = files(a="1", gone="1"), files(a="2", new="1"), files(a="2", new="1", later="9")
    assert reverted(tip, undone, before) == files(a="1", gone="1", later="9")


def test_what_was_changed_again_cannot_be_undone_alone() -> None:
    with pytest.raises(Conflict, match="a changed again since"):
        reverted(files(a="3"), files(a="2"), files(a="1"))
    with pytest.raises(Conflict):
        reverted(files(single=True, m="3"), files(single=True, m="2"), files(single=True, n="1"))


@pytest.mark.parametrize(
    ("targets", "before"),
    [("", ""), ("a", ""), ("ab", "a"), ("abc", "b"), ("abcb", "a"), ("abcba", ""), ("abcbd", "b"), ("aab", "a"), ("abcbdb", "a")],
)  # fmt: skip
def test_going_back_twice_goes_back_two_moves(targets: str, before: str) -> None:
    assert previous(list(targets)) == before


def test_what_was_before_it_was_removed_does_not_count() -> None:
    assert previous(["a", "b", "", "c"]) == ""


def test_ids_by_their_beginning() -> None:
    assert same_version("abcd", "abcdef")
    assert same_version("@ABCD", "abcdef")
    assert same_version("digits@abcd", "abcdef")
    assert same_version("", "")
    assert not same_version("abcf", "abcdef")
    assert not same_version("", "abcdef")
    assert not same_version("abcd", "")


@pytest.mark.parametrize("given", ["abc", "@", "v1.0", "digits:prod", "f" * 65])
def test_what_is_expected_is_an_id_and_not_a_name(given: str) -> None:
    with pytest.raises(InvalidArgument, match="is no id of a version"):
        same_version(given, "abcdef")


def test_what_leads_out_of_the_part_that_was_read_is_not_the_end() -> None:
    part = Graph.of("digits", [node for node in PARTED.nodes.values() if node.number > 2], after=2)
    walk = part.ancestors("f")
    assert [next(walk).id for _ in range(2)] == ["f", "e"]
    with pytest.raises(Unread):
        list(part.ancestors("f"))
    with pytest.raises(Unread):
        list(part.ancestors("a"))
    assert part.back("f", 1) == "d"
    with pytest.raises(Unread):
        part.back("f", 2)
