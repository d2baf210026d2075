"""References move as they should, merges and reverts make what they say, and nothing that is used goes."""

import asyncio
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any

import pytest

from aiosd.errors import AlreadyExists, Conflict, Denied, DiskFull, FailedPrecondition, InvalidArgument, NotFound
from aiosd.models.draft import MOST_MESSAGE
from aiosd.models.history import How, Strategy
from aiosd.models.model import ModelRole, RefKind, Visibility
from aiosd.models.ports import Pin
from aiosd.models.settings import ModelChange
from aiosd.models.version import Kind, Version
from tests.fakes.model_world import ADA, BOB, ROOT, ModelWorld
from tests.fakes.models import FakeModelStore


@pytest.fixture
def world(tmp_path: Path) -> ModelWorld:
    return ModelWorld(tmp_path)


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


def made(world: ModelWorld, *contents: str, **draft: Any) -> list[Version]:
    return [run(world.register(content, **draft)).version for content in contents]


def test_a_tag_stays_unless_it_is_forced(world: ModelWorld) -> None:
    first, second = made(world, "1", "2")
    run(world.move("v1", f"@{first.id}", of=RefKind.TAG))
    with pytest.raises(AlreadyExists, match="tag digits:v1 is at") as raised:
        run(world.move("v1", "main", of=RefKind.TAG))
    assert "--force" in raised.value.hint
    assert run(world.move("v1", "main~1", of=RefKind.TAG)).version == first.id  # it is there
    assert run(world.move("v1", "main", of=RefKind.TAG, force=True)).version == second.id


def test_a_branch_goes_back_only_on_purpose(world: ModelWorld) -> None:
    first, second = made(world, "1", "2")
    with pytest.raises(FailedPrecondition, match="versions would be left behind"):
        run(world.move("main", f"@{first.id}"))
    assert run(world.move("main", f"@{first.id}", force=True)).version == first.id
    assert run(world.move("main", f"@{second.id[:7]}")).version == second.id


def test_a_name_is_of_one_kind(world: ModelWorld) -> None:
    made(world, "1")
    with pytest.raises(AlreadyExists, match="digits:main is taken: its kind is branch"):
        run(world.move("main", "main", of=RefKind.TAG))
    run(world.move("prod", "main", of=RefKind.ALIAS))
    with pytest.raises(InvalidArgument, match="is no branch: its kind is alias"):
        run(world.move("prod", "", of=RefKind.BRANCH))


def test_rollback_goes_back_one_move_at_a_time_and_keeps_the_history(world: ModelWorld) -> None:
    versions = made(world, "1", "2", "3")
    for version in versions:
        run(world.move("prod", f"@{version.id}", of=RefKind.ALIAS))
    commits = world.store.commits if isinstance(world.store, FakeModelStore) else 0
    assert run(world.move("prod", "-", why="drifts", force=True)).version == versions[1].id
    assert isinstance(world.store, FakeModelStore)
    assert world.store.commits == commits + 1  # one transaction
    assert run(world.move("prod", "-", force=True)).version == versions[0].id
    with pytest.raises(NotFound, match="was nowhere before"):
        run(world.move("prod", "-", force=True))
    moves = [move for _, move in run(world.store.moves(Kind.MODEL, "digits", "prod", 0, 9))]
    assert [move.target for move in moves] == [versions[n].id for n in (0, 1, 2, 1, 0)]
    assert (moves[1].source, moves[1].who, moves[1].why) == (versions[2].id, "ada", "drifts")
    assert moves[1].at_s > moves[2].at_s


def test_a_branch_rolls_back_and_its_next_version_goes_on_from_there(world: ModelWorld) -> None:
    first, second = made(world, "1", "2")
    assert run(world.move("main", "-", force=True)).version == first.id
    third = run(world.register("3")).version
    assert (third.number, third.commit.parents) == (3, (first.id,))
    assert run(world.reader.show(Kind.MODEL, f"digits@{second.id}", ADA)).version == second


def test_a_reference_is_removed_and_that_is_remembered(world: ModelWorld) -> None:
    (first,) = made(world, "1")
    run(world.move("try", "main"))
    assert run(world.move("try", "")).version == first.id
    assert run(world.at("try")) == ""
    assert [move.target for _, move in run(world.store.moves(Kind.MODEL, "digits", "try", 0, 9))] == ["", first.id]
    with pytest.raises(NotFound):
        run(world.move("try", ""))
    with pytest.raises(FailedPrecondition, match="is what the name digits stands for"):
        run(world.move("main", ""))
    run(world.move("main", "", force=True))


def test_expected_is_compared(world: ModelWorld) -> None:
    first, second = made(world, "1", "2")
    with pytest.raises(Conflict, match="was expected to be not there, and is at"):
        run(world.move("main", f"@{first.id}", expected="", force=True))
    with pytest.raises(Conflict):
        run(world.move("prod", "main", of=RefKind.ALIAS, expected=first.id))
    assert run(world.move("main", f"@{first.id}", expected=second.id[:5], force=True)).version == first.id


def test_moves_take_a_writer(world: ModelWorld) -> None:
    made(world, "1", visibility=Visibility.EVERYONE)
    for ask in (
        world.move("x", "main", by=BOB), world.moves.merge(Kind.MODEL, "digits", "main", "main", Strategy.OURS, "", "", BOB),
        world.moves.revert(Kind.MODEL, "digits", "main", "", "", BOB), world.moves.set(Kind.MODEL, "digits", ModelChange(description="x"), BOB),
        world.moves.remove(Kind.MODEL, "digits", BOB, force=True),
    ):  # fmt: skip
        with pytest.raises(Denied):
            run(ask)
    run(world.moves.set(Kind.MODEL, "digits", ModelChange(roles={"bob": ModelRole.WRITER}), ADA))
    run(world.move("x", "main", by=BOB))
    run(world.moves.set(Kind.MODEL, "digits", ModelChange(description="x"), BOB))
    with pytest.raises(Denied, match="takes the role owner"):
        run(world.moves.set(Kind.MODEL, "digits", ModelChange(visibility=Visibility.PRIVATE), BOB))


def merge(world: ModelWorld, source: str, strategy: Strategy = Strategy.FAST_FORWARD, into: str = "main", expected: str = "") -> Any:
    return run(world.moves.merge(Kind.MODEL, "digits", into, source, strategy, "", expected, ADA))


def test_merges(world: ModelWorld) -> None:
    (first,) = made(world, "1", metrics={"a": 1.0})
    run(world.move("try", "main"))
    (ahead,) = made(world, "2", branch="try", metrics={"a": 2.0})
    assert merge(world, "try").how is How.FAST_FORWARD
    assert run(world.at("main")) == ahead.id
    assert merge(world, f"@{first.id}").how is How.ALREADY
    (theirs,) = made(world, "3", branch="try", metrics={"a": 3.0})
    (ours,) = made(world, "4")
    kept = merge(world, "try", Strategy.OURS)
    assert (kept.how, kept.version.commit.parents, kept.version.commit.manifest) == (How.MERGE, (ours.id, theirs.id), ours.commit.manifest)
    assert run(world.at("main")) == kept.version.id
    assert kept.version.stored_bytes == 0
    with pytest.raises(Conflict):
        merge(world, "try", Strategy.THEIRS, expected=ours.id)
    with pytest.raises(NotFound, match="no branch 'none'"):
        merge(world, "try", into="none")


def test_reverts(world: ModelWorld) -> None:
    first, second = made(world, "1", "2", metrics={"a": 1.0})
    back = run(world.moves.revert(Kind.MODEL, "digits", "main", "", "", ADA))
    assert (back.commit.manifest, back.commit.parents, back.commit.metrics) == (first.commit.manifest, (second.id,), {"a": 1.0})
    assert back.commit.message.startswith(f"revert {second.id[:12]}")
    with pytest.raises(Conflict, match=r"model\.bin changed again since"):
        run(world.moves.revert(Kind.MODEL, f"digits@{second.id}", "main", "", "", ADA))
    with pytest.raises(FailedPrecondition, match="is the first version"):
        run(world.moves.revert(Kind.MODEL, f"digits@{first.id}", "main", "", "", ADA))


def test_what_merges_and_reverts_say_is_what_other_stores_take(world: ModelWorld) -> None:
    """They refuse a version that says more, and with it all that comes after it."""
    made(world, "1")
    run(world.move("try", "main"))
    made(world, "2", branch="try")
    made(world, "3", message="x" * MOST_MESSAGE)
    assert len(run(world.moves.revert(Kind.MODEL, "digits", "main", "", "", ADA)).commit.message) < 300
    long = "x" * (MOST_MESSAGE + 1)
    for refused in (
        world.moves.merge(Kind.MODEL, "digits", "main", "try", Strategy.OURS, long, "", ADA),
        world.moves.revert(Kind.MODEL, "digits", "main", long, "", ADA),
    ):
        with pytest.raises(InvalidArgument, match="message has 65537 characters, and 65536 are allowed"):
            run(refused)


def test_a_revert_of_one_file_of_several_says_nothing_of_what_was_measured(world: ModelWorld) -> None:
    directory = world.directory / "many"
    directory.mkdir()
    versions: list[Version] = []
    for n, name in enumerate(("a", "b", "c")):
        (directory / name).write_text(str(n))
        from aiosd.models.draft import Draft

        versions.append(run(world.registered(world.models.register(Draft(model="many", metrics={"n": float(n)}), str(directory), ADA))).version)
    back = run(world.moves.revert(Kind.MODEL, f"many@{versions[1].id}", "main", "", "", ADA))
    assert [entry.path for entry in run(world.reader.manifest(back)).files] == ["a", "c"]
    assert back.commit.metrics == {}
    assert sorted(path.name for path in Path(run(world.checkout("many")).path).iterdir()) == ["a", "c"]


def test_a_move_that_cannot_be_written_is_no_move(world: ModelWorld) -> None:
    first, second = made(world, "1", "2")
    assert isinstance(world.store, FakeModelStore)
    world.store.failure = DiskFull("full")
    with pytest.raises(DiskFull):
        run(world.move("main", f"@{first.id}", force=True))
    world.store.failure = None
    assert run(world.at("main")) == second.id


def test_what_is_set(world: ModelWorld) -> None:
    made(world, "1")
    with pytest.raises(InvalidArgument, match="nothing to set"):
        run(world.moves.set(Kind.MODEL, "digits", ModelChange(), ADA))
    with pytest.raises(InvalidArgument, match="needs a group"):
        run(world.moves.set(Kind.MODEL, "digits", ModelChange(visibility=Visibility.GROUP), ADA))
    changed = run(world.moves.set(Kind.MODEL, "digits", ModelChange(roles={"bob": ModelRole.WRITER, "@labs": ModelRole.READER}, keep_last=2), ADA))
    assert (dict(changed.roles), changed.keep_last) == ({"bob": ModelRole.WRITER, "@labs": ModelRole.READER}, 2)
    assert dict(run(world.moves.set(Kind.MODEL, "digits", ModelChange(roles={"bob": ModelRole.NONE}), ADA)).roles) == {"@labs": ModelRole.READER}


def test_a_model_is_opened_to_nobody_who_is_not_there(world: ModelWorld) -> None:
    made(world, "1")
    for change, said, hint in (
        (ModelChange(roles={"bbo": ModelRole.READER}), "no user 'bbo'", "did you mean bob?"),
        (ModelChange(roles={"@visoin": ModelRole.READER}), "no group 'visoin'", "did you mean @vision?"),
        (ModelChange(group="nosuch"), "no group 'nosuch'", "getent group"),
    ):
        with pytest.raises(InvalidArgument, match=said) as refused:
            run(world.moves.set(Kind.MODEL, "digits", change, ADA))
        assert hint in refused.value.hint
    assert not run(world.store.model(Kind.MODEL, "digits")).roles
    run(world.moves.set(Kind.MODEL, "digits", ModelChange(roles={"gone": ModelRole.NONE}), ADA))  # whoever left is taken out


def test_a_model_is_opened_only_to_a_group_of_ones_own(world: ModelWorld) -> None:
    made(world, "1")
    with pytest.raises(Denied, match="ada is not in the group labs"):
        run(world.moves.set(Kind.MODEL, "digits", ModelChange(visibility=Visibility.GROUP, group="labs"), ADA))
    assert run(world.moves.set(Kind.MODEL, "digits", ModelChange(visibility=Visibility.GROUP, group="labs"), ROOT)).group == "labs"


def test_removal(world: ModelWorld) -> None:
    first, second = made(world, "1", "2")
    with pytest.raises(FailedPrecondition, match="main leads to it"):
        run(world.moves.remove(Kind.MODEL, f"digits@{second.id}", ADA))
    with pytest.raises(FailedPrecondition, match="part of a history"):
        run(world.moves.remove(Kind.MODEL, "digits~1", ADA))
    assert run(world.moves.remove(Kind.MODEL, "digits~1", ADA, force=True)) == [f"digits@{first.id[:12]}"]
    assert [view.version.id for view in run(world.reader.log(Kind.MODEL, "digits", ADA, 0, 0))[0]] == [second.id]
    with pytest.raises(FailedPrecondition, match=r"versions \(1\) and references \(1\)"):
        run(world.moves.remove(Kind.MODEL, "digits", ADA))
    assert run(world.moves.remove(Kind.MODEL, "digits", ADA, force=True)) == ["digits"]
    assert run(world.register("3", by=BOB)).version.number == 1


def test_the_number_of_a_version_that_is_gone_is_not_given_again(world: ModelWorld) -> None:
    _, second = made(world, "1", "2")
    run(world.move("main", "-", force=True))
    run(world.moves.remove(Kind.MODEL, f"digits@{second.id}", ADA))
    assert run(world.register("3")).version.number == 3


def test_what_a_job_uses_does_not_go(world: ModelWorld) -> None:
    first, _ = made(world, "1", "2")

    async def pins() -> Sequence[Pin]:
        return [Pin(Kind.MODEL, "digits", first.id, "job 42")]

    world.care.pins.append(pins)
    with pytest.raises(FailedPrecondition, match="job 42 uses it"):
        run(world.moves.remove(Kind.MODEL, "digits", ADA, force=True))
    with pytest.raises(FailedPrecondition, match="cannot go: job 42"):
        run(world.moves.remove(Kind.MODEL, f"digits@{first.id}", ADA, force=True))
