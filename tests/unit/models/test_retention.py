"""Which versions are kept, and why."""

from dataclasses import replace

from aiosd.models.history import Graph
from aiosd.models.model import Model, Move, Reference, RefKind
from aiosd.models.ports import Node, Pin
from aiosd.models.retention import kept, summary
from aiosd.models.version import Kind

DAY_S = 86_400.0
MODEL = Model(kind=Kind.MODEL, name="digits", owner="ada", owner_uid=1000, created_at_s=0.0)
#     a - b - c        x - y made beside it, each a day after the last
GRAPH = Graph.of(
    "digits", [Node(n, name, tuple(before), "", n * DAY_S) for n, (name, before) in enumerate(zip("abcxy", ["", "a", "b", "a", "x"], strict=True), 1)]
)
MAIN = Reference("main", RefKind.BRANCH, "b", 0.0, "ada")


def test_references_keep_what_they_lead_to_and_all_before() -> None:
    found = kept(MODEL, GRAPH, [MAIN], [], [], 1e9)
    assert dict(found.because) == {"a": "branch main", "b": "branch main"}
    assert list(found.dead) == ["c", "x", "y"]


def test_pins_keep_just_what_they_pin() -> None:
    pins = [Pin(Kind.MODEL, "digits", "y", "job 42"), Pin(Kind.MODEL, "other", "c", "job 43"), Pin(Kind.DATASET, "digits", "x", "job 44")]
    found = kept(MODEL, GRAPH, [MAIN], [], pins, 1e9)
    assert found.because["y"] == "job 42"
    assert list(found.dead) == ["c", "x"]
    assert summary(MODEL, found) == ["digits: 2 versions by branch main", "digits: 1 version by job 42"]


def test_the_last_of_them_are_kept() -> None:
    found = kept(replace(MODEL, keep_last=2), GRAPH, [MAIN], [], [], 1e9)
    assert list(found.dead) == ["c"]
    assert found.because["y"] == "one of the last 2"
    assert list(kept(replace(MODEL, keep_last=2), GRAPH, [MAIN], [], [], 1e9, absent={"y"}).dead) == ["y"]  # its bytes are not here: it takes nobody's place


def test_young_ones_are_kept() -> None:
    found = kept(replace(MODEL, keep_for_s=2.5 * DAY_S), GRAPH, [MAIN], [], [], 6 * DAY_S)
    assert list(found.dead) == ["c"]
    assert found.because["x"] == "younger than 2.5 days"


def test_what_a_rollback_leaves_is_as_old_as_the_rollback() -> None:
    moves = [Move("main", RefKind.BRANCH, "b", "c", "ada", 3 * DAY_S), Move("main", RefKind.BRANCH, "c", "b", "ada", 100 * DAY_S)]
    model = replace(MODEL, keep_for_s=30 * DAY_S)
    assert list(kept(model, GRAPH, [MAIN], moves, [], 120 * DAY_S).dead) == ["x", "y"]
    assert list(kept(model, GRAPH, [MAIN], moves, [], 131 * DAY_S).dead) == ["c", "x", "y"]


def test_a_branch_that_was_removed_leaves_all_of_its_versions_for_as_long() -> None:
    moves = [Move("try", RefKind.BRANCH, "y", "", "ada", 100 * DAY_S)]
    model = replace(MODEL, keep_for_s=30 * DAY_S)
    assert list(kept(model, GRAPH, [MAIN], moves, [], 120 * DAY_S).dead) == ["c"]


def test_a_reference_to_what_is_gone_is_no_trouble() -> None:
    assert list(kept(MODEL, GRAPH, [replace(MAIN, version="gone")], [Move("m", RefKind.TAG, "gone", "", "ada", 1.0)], [], 1e9).dead) == list("abcxy")
