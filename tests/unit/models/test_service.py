"""Registrations: what is made, what is not made twice, who may, how much, and what a failure leaves."""

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from aiosd.errors import AlreadyExists, Conflict, Denied, DiskFull, Exhausted, FailedPrecondition, InvalidArgument, NotFound
from aiosd.models.draft import MOST_CARD, Draft
from aiosd.models.model import ModelRole, RefKind, Visibility
from aiosd.models.permits import Caller
from aiosd.models.ports import ModelQuery, Node
from aiosd.models.settings import ModelChange
from aiosd.models.vault_ports import Progress
from aiosd.models.version import Kind, Lineage, VersionState
from tests.fakes.model_world import ADA, BOB, EVE, ROOT, ModelWorld
from tests.fakes.models import FakeModelStore


@pytest.fixture
def world(tmp_path: Path) -> ModelWorld:
    return ModelWorld(tmp_path)


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


def store_of(world: ModelWorld) -> FakeModelStore:
    assert isinstance(world.store, FakeModelStore)
    return world.store


def test_the_first_version_makes_the_model(world: ModelWorld) -> None:
    made = run(world.register("1", description="numbers", tags=("v1",), visibility=Visibility.EVERYONE, message="hello\nworld"))
    model = store_of(world).named[Kind.MODEL, "digits"]
    assert (model.owner, model.owner_uid, model.description, model.visibility, model.keep_for_s) == ("ada", 1000, "numbers", Visibility.EVERYONE, 30 * 86_400.0)
    assert (made.version.number, made.version.commit.parents, made.existed) == (1, (), False)
    assert [(each.name, each.kind, each.version) for each in run(world.store.references(Kind.MODEL, "digits"))] == [
        ("main", RefKind.BRANCH, made.version.id), ("v1", RefKind.TAG, made.version.id),
    ]  # fmt: skip
    assert [move.why for _, move in run(world.store.moves(Kind.MODEL, "digits", "main", 0, 9))] == ["hello"]
    assert world.steps == ["register.1-before", "register.2-taken", "register.3-committed"]


def test_what_is_said_of_a_version_is_what_other_stores_take(world: ModelWorld) -> None:
    with pytest.raises(InvalidArgument, match=r"what is said of the version has .* bytes, and 4194304 are allowed"):
        run(world.register("1", card="\x01" * MOST_CARD))
    assert not store_of(world).named


def test_the_same_again_is_no_version(world: ModelWorld) -> None:
    first = run(world.register("1", metrics={"a": 1.0}, message="m")).version
    for draft in ({}, {"metrics": {"a": 1.0}}, {"message": "m"}):
        again = run(world.register("1", **draft))
        assert (again.existed, again.version.id) == (True, first.id)
    assert run(world.register("1", metrics={"a": 2.0})).version.number == 2  # new words on the same content are a version, which stores nothing
    assert store_of(world).all[Kind.MODEL, "digits"][first.id][0].stored_bytes == 1
    assert run(world.register("1", branch="try")).version.commit.parents == ()


def test_what_a_version_was_made_from_are_its_parents_too(world: ModelWorld) -> None:
    """On a new branch they are the history; elsewhere they come after what the branch was at, as in a merge."""
    one = run(world.register("1", tags=("v1",))).version
    two = run(world.register("2")).version
    small = run(world.register("s", branch="small", parents=("digits:v1",))).version
    assert small.commit.parents == (one.id,)
    made = run(world.register("3", parents=("v1", f"@{two.id}", "small"))).version
    assert made.commit.parents == (two.id, one.id, small.id)
    with pytest.raises(NotFound, match="no branch, tag or alias 'v9'"):
        run(world.register("4", parents=("v9",)))
    with pytest.raises(InvalidArgument, match="of another model"):
        run(world.register("4", parents=("letters:main",)))
    with pytest.raises(NotFound, match="new has no branch"):
        run(world.register("4", model="new", parents=("main",)))


def test_a_repeated_call_is_answered_as_the_first(world: ModelWorld) -> None:
    first = run(world.register("1", key="k")).version
    run(world.register("2"))
    again = run(world.register("1", key="k"))
    assert (again.existed, again.version.id) == (True, first.id)
    assert run(world.register("1", key="other")).version.number == 3
    with pytest.raises(AlreadyExists, match="key of this call"):
        run(world.register("1", model="elsewhere", key="k"))
    assert run(world.register("9", model="elsewhere", by=BOB, key="k")).version.number == 1  # keys are a user's own


def test_a_call_that_comes_again_while_the_first_still_reads_is_answered_as_that(world: ModelWorld) -> None:
    """As of a client whose connection broke: neither a conflict with itself, nor a second version."""

    async def twice() -> Any:
        world.vault.held = asyncio.Event()
        slow = asyncio.ensure_future(world.register("1", key="k", tags=("v1",)))
        async with asyncio.timeout(30):
            while not world.vault.taking:
                await asyncio.sleep(0)
        held, world.vault.held = world.vault.held, None
        again = await world.register("1", key="k", tags=("v1",))
        held.set()
        return again, await slow

    again, first = run(twice())
    assert (again.existed, first.existed, first.version.id) == (False, True, again.version.id)


def test_the_same_again_with_a_tag_is_tagged(world: ModelWorld) -> None:
    first = run(world.register("1")).version
    again = run(world.register("1", tags=("v1", "v1.0")))
    assert (again.existed, run(world.at("v1")), run(world.at("v1.0"))) == (True, first.id, first.id)
    assert [move.who for _, move in run(world.store.moves(Kind.MODEL, "digits", "v1", 0, 9))] == ["ada"]


def test_what_the_client_cannot_know_it_does_not_say(world: ModelWorld) -> None:
    lineage = Lineage(job_id="7", command=("rm",), models=("x@1",), gpu_hours=9.0, git_commit="abc", python="3.13", packages={"numpy": "2"})
    commit = run(world.register("1", lineage=lineage)).version.commit
    assert commit.lineage == Lineage(git_commit="abc", python="3.13", packages={"numpy": "2"})


def test_a_new_name_is_for_a_group_of_ones_own(world: ModelWorld) -> None:
    for draft, error, said in (
        ({"visibility": Visibility.GROUP}, InvalidArgument, "needs a group"),
        ({"group": "vision"}, InvalidArgument, "needs a group"),
        ({"visibility": Visibility.GROUP, "group": "visoin"}, InvalidArgument, "there is no group 'visoin'"),
        ({"visibility": Visibility.GROUP, "group": "labs"}, Denied, "ada is not in the group labs"),
    ):
        with pytest.raises(error, match=said):
            run(world.register("1", **draft))
    assert not world.vault.root.exists()  # nothing was read for it
    run(world.register("1", visibility=Visibility.GROUP, group="vision"))
    assert run(world.reader.view(Kind.MODEL, "digits", BOB)).model.group == "vision"
    with pytest.raises(NotFound):
        run(world.reader.view(Kind.MODEL, "digits", EVE))


def test_who_may_register(world: ModelWorld) -> None:
    run(world.register("1"))
    with pytest.raises(AlreadyExists, match="the name digits is taken") as raised:
        run(world.register("2", by=EVE))
    assert "eve/digits" in raised.value.hint
    run(world.moves.set(Kind.MODEL, "digits", ModelChange(visibility=Visibility.GROUP, group="vision"), ADA))
    with pytest.raises(Denied, match="takes the role writer"):
        run(world.register("2", by=BOB))
    run(world.moves.set(Kind.MODEL, "digits", ModelChange(roles={"bob": ModelRole.WRITER}), ADA))
    made = run(world.register("2", by=BOB)).version
    assert made.commit.author == "bob"
    assert run(world.register("3", by=ROOT)).version.commit.author == "root"


def test_a_branch_that_moved_meanwhile_is_a_conflict_with_both_values(world: ModelWorld) -> None:
    first = run(world.register("1")).version

    async def race() -> tuple[Any, str]:
        world.vault.held = asyncio.Event()
        slow = asyncio.ensure_future(world.register("2"))
        async with asyncio.timeout(30):
            while not world.vault.taking:
                await asyncio.sleep(0)
        held, world.vault.held = world.vault.held, None
        other = (await world.registered(world.models.register(Draft(model="digits"), world.file("3", "other.bin"), ADA))).version.id
        held.set()
        return (await asyncio.gather(slow, return_exceptions=True))[0], other

    failed, other = run(race())
    assert isinstance(failed, Conflict)
    assert (failed.facts["expected"], failed.facts["there"]) == (first.id, other)
    assert run(world.at("main")) == other


def test_what_was_expected_is_compared_before_anything_is_read(world: ModelWorld) -> None:
    first = run(world.register("1")).version
    for expected in (first.id, first.id[:6], "@" + first.id[:6]):
        assert run(world.register("1", expected=expected)).existed
    with pytest.raises(Conflict):
        run(world.registered(world.models.register(Draft(model="digits", expected="0" * 64), "/nowhere/to/be/found", ADA)))


def test_a_tag_that_is_there_is_refused_before_anything_is_read(world: ModelWorld) -> None:
    run(world.register("1", tags=("v1",)))
    with pytest.raises(AlreadyExists, match="digits:v1 is there"):
        run(world.registered(world.models.register(Draft(model="digits", tags=("v1",)), "/nowhere/to/be/found", ADA)))
    with pytest.raises(FailedPrecondition, match="is no branch"):
        run(world.register("2", branch="v1"))


def test_the_quota_of_the_owner_is_kept(world: ModelWorld) -> None:
    world.limits = {"ada": 10}
    run(world.register("x" * 8))
    with pytest.raises(Exhausted, match="may take 10 B, have 8 B, and this needs at least 6 B more") as raised:
        run(world.register("y" * 6))
    assert raised.value.facts["limit"] == "10"
    assert run(world.register("x" * 8, metrics={"a": 1.0})).version.stored_bytes == 0  # what stores nothing is within any quota
    assert run(world.register("z" * 100, model="mine", by=BOB)).version.stored_bytes == 100
    run(world.moves.set(Kind.MODEL, "digits", ModelChange(roles={"bob": ModelRole.WRITER}), ADA))
    with pytest.raises(Exhausted, match="the models of ada"):
        run(world.register("q" * 6, by=BOB))
    assert run(world.register("yy")).version.stored_bytes == 2


def test_a_failed_commit_leaves_garbage_only(world: ModelWorld) -> None:
    first = run(world.register("1")).version
    store_of(world).failure = DiskFull("full")
    with pytest.raises(DiskFull):
        run(world.register("2", tags=("v1",)))
    store_of(world).failure = None
    assert run(world.at("main")) == first.id
    assert run(world.at("v1")) == ""
    assert run(world.care.collect(0.0, dry_run=False)).chunks == 1
    assert run(world.register("2", tags=("v1",))).version.number == 2
    assert Path(run(world.checkout("digits")).path).read_text() == "2"


def test_it_is_committed_while_the_vault_keeps_the_sweep_off(world: ModelWorld) -> None:
    taking: list[int] = []
    store_of(world).on_commit = lambda changes: taking.append(len(world.vault.taking))
    run(world.register("1"))
    assert taking == [1]
    assert world.vault.taking == []


def test_whoever_goes_away_ends_it(world: ModelWorld) -> None:
    async def leave() -> None:
        async with aclosing(world.models.register(Draft(model="digits"), world.file("1"), ADA)) as steps:  # type: ignore[type-var]
            assert isinstance(await anext(steps), Progress)
        assert world.vault.taking == []

    run(leave())
    assert store_of(world).commits == 0


def test_findings_flag_a_version(world: ModelWorld) -> None:
    world.vault.findings = ("model.bin: calls os.system",)
    version = run(world.register("1")).version
    assert (version.state, version.reasons) == (VersionState.FLAGGED, ("model.bin: calls os.system",))
    with pytest.raises(FailedPrecondition, match=r"is flagged: model\.bin: calls os\.system"):
        run(world.checkout("digits"))
    assert Path(run(world.checkout("digits", allow_flagged=True)).path).read_text() == "1"
    run(world.moves.set(Kind.MODEL, "digits", ModelChange(visibility=Visibility.EVERYONE), ADA))
    with pytest.raises(Denied, match="bob may not use"):
        run(world.checkout("digits", BOB, allow_flagged=True))


@pytest.mark.parametrize(
    "draft",
    [
        {"metrics": {"a": float("nan")}}, {"metrics": {"a": float("inf")}}, {"metrics": {"": 1.0}}, {"branch": "a b"}, {"tags": ("🙂",)}, {"model": "x" * 1000},
        {"card": "x" * (1 << 20) + "x"}, {"labels": {str(n): "" for n in range(1001)}},
    ],
)  # fmt: skip
def test_bad_drafts_are_refused(draft: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument):
        Draft(**({"model": "digits"} | draft))


def test_private_models_are_nobody_elses(world: ModelWorld) -> None:
    run(world.register("1"))
    for ask in (world.checkout("digits", BOB), world.reader.view(Kind.MODEL, "digits", BOB), world.reader.log(Kind.MODEL, "digits", BOB, 0, 0)):
        with pytest.raises(NotFound, match="there is no model digits"):
            run(ask)
    assert run(world.reader.list(ModelQuery(), BOB, "", 0)) == ([], "")
    assert [view.model.name for view in run(world.reader.list(ModelQuery(), ROOT, "", 0))[0]] == ["digits"]


def test_lists_and_logs_have_pages(world: ModelWorld) -> None:
    for name in ("c", "a", "b"):
        run(world.register("1", model=name))
    page, after = run(world.reader.list(ModelQuery(), ADA, "", 2))
    assert ([view.model.name for view in page], after) == (["a", "b"], "b")
    page, after = run(world.reader.list(ModelQuery(), ADA, after, 2))
    assert ([view.model.name for view in page], after) == (["c"], "")
    for n in range(2, 6):
        run(world.register(str(n), model="a"))
    views, rest = run(world.reader.log(Kind.MODEL, "a", ADA, 0, 2))
    assert ([view.version.number for view in views], rest) == ([5, 4], 4)
    views, rest = run(world.reader.log(Kind.MODEL, "a", ADA, rest, 9))
    assert ([view.version.number for view in views], rest) == ([3, 2, 1], 0)


def test_all_of_a_model_is_listed_though_nothing_leads_from_its_newest_versions_to_the_older(world: ModelWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aiosd.models.read_service.NEWEST", 6)
    for at in range(10):
        run(world.register(str(at), branch=f"try-{at}"))
    for limit in (4, 10):
        world.reader._graphs.clear()
        views, before = run(world.reader.log(Kind.MODEL, "digits", ADA, 0, limit, everything=True))
        while before:
            world.reader._graphs.clear()  # as after a start, or where others were asked for since
            more, before = run(world.reader.log(Kind.MODEL, "digits", ADA, before, limit, everything=True))
            views = [*views, *more]
        assert [view.version.number for view in views] == list(range(10, 0, -1))


def test_of_a_long_history_the_newest_part_is_read_where_it_is_enough(world: ModelWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aiosd.models.read_service.NEWEST", 6)
    ids = [run(world.register(str(n), branch="main" if n % 2 else "other")).version.id for n in range(1, 21)]
    store, read = store_of(world), list[int]()
    graph = store.graph

    async def counted(kind: Kind, model: str, after: int = 0) -> Sequence[Node]:
        found = await graph(kind, model, after)
        read.append(len(found))
        return found

    monkeypatch.setattr(store, "graph", counted)
    views, rest = run(world.reader.log(Kind.MODEL, "digits", ADA, 0, 2))
    assert ([view.version.number for view in views], rest, read) == ([19, 17], 17, [6])
    views, rest = run(world.reader.log(Kind.MODEL, "digits", ADA, 0, 3, everything=True))
    assert ([view.version.number for view in views], rest, read) == ([20, 19, 18], 18, [6, 6])
    assert run(world.reader.diff(Kind.MODEL, "digits~1", "digits", ADA)).a.number == 17
    assert read == [6, 6, 6]
    views, rest = run(world.reader.log(Kind.MODEL, "digits", ADA, 6, 9))
    assert ([view.version.number for view in views], rest, read) == ([5, 3, 1], 0, [6, 6, 6, 6, 20])
    assert run(world.reader.show(Kind.MODEL, "digits:other~9", ADA)).version.id == ids[1]
    assert len(read) == 5


def test_a_search_has_pages_of_what_may_be_seen_and_no_others(world: ModelWorld) -> None:
    for name, by, visibility in (
        ("a-vision", ADA, Visibility.EVERYONE), ("vision", ADA, Visibility.EVERYONE), ("secret-vision", ADA, Visibility.PRIVATE),
        ("z", BOB, Visibility.EVERYONE), ("y", BOB, Visibility.PRIVATE),
    ):  # fmt: skip
        run(world.register(name, model=name, by=by, visibility=visibility, message="vision" if len(name) == 1 else ""))
    query = ModelQuery(text="vision")

    def names(by: Caller, after: str = "", limit: int = 0) -> tuple[list[str], str]:
        page, token = run(world.reader.list(query, by, after, limit))
        return [view.model.name for view in page], token

    assert names(EVE) == (["a-vision", "vision", "z"], "")
    assert names(EVE, limit=1) == (["a-vision"], "a-vision")
    assert names(EVE, "a-vision", 1) == (["vision"], "vision")
    assert names(EVE, "vision", 1) == (["z"], "")
    assert names(BOB)[0] == ["a-vision", "vision", "y", "z"]
    for gone in ("secret-vision", "none"):  # what is not seen is as what is not there
        with pytest.raises(InvalidArgument, match="no longer found"):
            names(EVE, gone)
