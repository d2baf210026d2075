"""Garbage goes and nothing else, at any crash; damage is marked and heals; use is counted."""

import asyncio
import tracemalloc
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import pytest

from aiosd.errors import Denied
from aiosd.models.care_service import Verified
from aiosd.models.manifest import Chunk, FileEntry, Manifest, decode_manifest
from aiosd.models.model import ModelRole, RefKind
from aiosd.models.ports import ModelChanges, Pin
from aiosd.models.settings import ModelChange
from aiosd.models.version import Kind, Version, VersionState
from tests.fakes.model_world import ADA, BOB, ROOT, ModelWorld
from tests.fakes.models import FakeModelStore


class Killed(BaseException):
    """The end of the process, at a step."""


@pytest.fixture
def world(tmp_path: Path) -> ModelWorld:
    return ModelWorld(tmp_path)


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


def left_behind(world: ModelWorld) -> tuple[Version, Version]:
    """A version on main, and one that nothing keeps."""
    kept = run(world.register("1")).version
    lost = run(world.register("2", branch="try")).version
    run(world.moves.set(Kind.MODEL, "digits", ModelChange(keep_for_s=0.0), ADA))
    run(world.move("try", ""))
    return kept, lost


def check_whole(world: ModelWorld) -> None:
    """Every reference leads to a version, whose every byte is there."""
    for (kind, name), refs in store_of(world).refs.items():
        for reference in refs.values():
            version = run(world.store.version(kind, name, reference.version))
            assert version is not None
            assert run(world.vault.missing(run(world.reader.manifest(version)))) == []


def store_of(world: ModelWorld) -> FakeModelStore:
    assert isinstance(world.store, FakeModelStore)
    return world.store


def test_a_dry_run_says_what_would_go(world: ModelWorld) -> None:
    _, lost = left_behind(world)
    found = run(world.care.collect(0.0, dry_run=True))
    assert (list(found.removed), found.chunks, found.bytes) == ([f"digits@{lost.id[:12]}"], 1, 1)
    assert list(found.kept_because) == ["digits: 1 version by branch main"]
    assert run(world.store.version(Kind.MODEL, "digits", lost.id)) == lost
    assert run(world.care.collect(0.0, dry_run=False)).removed == found.removed
    assert run(world.store.version(Kind.MODEL, "digits", lost.id)) is None
    assert run(world.care.collect(0.0, dry_run=False)).chunks == 0


def test_what_another_version_shares_stays(world: ModelWorld) -> None:
    left_behind(world)
    run(world.register("2", model="other"))
    assert run(world.care.collect(0.0, dry_run=True)).chunks == 0
    assert run(world.care.collect(0.0, dry_run=False)).chunks == 0
    assert Path(run(world.checkout("other")).path).read_text() == "2"


def test_of_many_long_lists_of_files_one_is_in_memory_at_a_time(world: ModelWorld) -> None:
    """A dataset of 100,000 files takes 50 MB as its list alone, and there may be hundreds of versions of it."""
    chunk = Chunk("c" * 64, 1)
    lists = [Manifest(tuple(FileEntry(f"{number}/{at}", 1, "c" * 64, (chunk,)) for at in range(2000))) for number in range(30)]
    place = world.vault._place("c" * 64)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(b"1")
    store_of(world).bodies.update({one.digest: one.encode() for one in lists})

    def peak_of(work: Callable[[], object]) -> int:
        tracemalloc.start()
        work()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    one = peak_of(lambda: decode_manifest(lists[0].encode()))
    assert peak_of(lambda: run(world.care.mark(["d" * 64]))) < 5 * one

    async def live() -> list[int]:
        return [len(digests) async for digests in world.care._live([each.digest for each in lists])]

    assert peak_of(lambda: run(live())) < 5 * one
    assert peak_of(lambda: verify(world, "", ROOT, everything=True)) < 5 * one


def test_jobs_keep_what_they_use(world: ModelWorld) -> None:
    _, lost = left_behind(world)

    async def pins() -> Sequence[Pin]:
        return [Pin(Kind.MODEL, "digits", lost.id, "job 42")]

    world.care.pins.append(pins)
    found = run(world.care.collect(0.0, dry_run=False))
    assert found.removed == []
    assert "digits: 1 version by job 42" in found.kept_because


@pytest.mark.parametrize("step", ["gc.1-versions", "gc.2-manifests", "gc.3-swept"])
def test_killed_at_any_step_it_leaves_garbage_that_the_next_one_finds(world: ModelWorld, step: str) -> None:
    kept, lost = left_behind(world)

    def killed(reached: str) -> None:
        if reached == step:
            raise Killed

    world.care.reached = killed
    with pytest.raises(Killed):
        run(world.care.collect(0.0, dry_run=False))
    world.care.reached = lambda step: None
    check_whole(world)
    run(world.care.collect(0.0, dry_run=False))
    check_whole(world)
    assert run(world.at("main")) == kept.id
    assert run(world.store.version(Kind.MODEL, "digits", lost.id)) is None
    assert len([path for path in world.vault.root.iterdir() if path.is_file()]) == 1
    assert run(world.store.manifest_digests()) == [kept.commit.manifest]


@pytest.mark.parametrize("step", ["register.1-before", "register.2-taken", "register.3-committed", "move.1-before", "move.2-committed"])
def test_killed_at_any_step_of_a_change_it_is_whole_or_not_there(world: ModelWorld, step: str) -> None:
    first = run(world.register("1")).version

    def killed(reached: str) -> None:
        if reached == step:
            raise Killed

    world.care.reached = killed
    with pytest.raises(Killed):
        run(world.register("2") if step.startswith("register") else world.move("prod", "main", of=RefKind.ALIAS))
    world.care.reached = lambda step: None
    check_whole(world)
    run(world.care.collect(0.0, dry_run=False))
    check_whole(world)
    assert (run(world.at("main")) != first.id) == (step == "register.3-committed")
    assert (run(world.at("prod")) != "") == (step == "move.2-committed")
    assert run(world.register("2")).version.number == 2


def test_a_registration_that_goes_on_beside_a_sweep_loses_nothing(world: ModelWorld) -> None:
    """What it takes is garbage of another version at that moment."""
    left_behind(world)

    async def race() -> None:
        world.vault.held = asyncio.Event()
        taking = asyncio.ensure_future(world.register("2"))
        async with asyncio.timeout(30):
            while not world.vault.taking:
                await asyncio.sleep(0)
            await asyncio.sleep(0)
        await world.care.collect(0.0, dry_run=False)
        world.vault.held.set()
        await taking

    run(race())
    check_whole(world)
    assert Path(run(world.checkout("digits")).path).read_text() == "2"


def test_a_reference_that_comes_meanwhile_keeps_its_version(world: ModelWorld) -> None:
    _, lost = left_behind(world)

    def meanwhile(changes: ModelChanges) -> None:
        if changes.gone_versions:  # as another writer would, behind the back of this one
            refs = store_of(world).refs[Kind.MODEL, "digits"]
            refs["late"] = refs["main"].__class__("late", RefKind.TAG, lost.id, 0.0, "ada")

    store_of(world).on_commit = meanwhile
    assert run(world.care.collect(0.0, dry_run=False)).removed == []
    check_whole(world)


def verify(world: ModelWorld, ref: str = "digits", by: Any = ADA, **how: Any) -> Verified:
    async def last() -> Any:
        return [step async for step in world.care.verify(Kind.MODEL, ref, 0, by, **how)][-1]

    found = run(last())
    assert isinstance(found, Verified)
    return found


def test_damage_touches_every_version_that_has_it_and_heals(world: ModelWorld) -> None:
    one = run(world.register("1")).version
    copy = run(world.register("1", model="copy", by=BOB)).version
    other = run(world.register("2", model="other")).version
    chunk = next(iter(run(world.reader.manifest(one)).chunks())).digest
    assert list(verify(world).damaged) == []
    (world.vault.root / chunk).write_text("x")
    (damage,) = verify(world).damaged
    assert damage.versions == (f"digits@{one.id[:12]}",)  # that of bob is private
    (damage,) = verify(world, by=ROOT).damaged
    assert damage.versions == (f"copy@{copy.id[:12]}", f"digits@{one.id[:12]}")
    states = [run(world.store.version(Kind.MODEL, each.model, each.id)).state for each in (one, copy, other)]
    assert states == [VersionState.DAMAGED, VersionState.DAMAGED, VersionState.REGISTERED]
    (world.vault.root / chunk).write_text("1")
    (healed,) = verify(world).damaged
    assert healed.healed
    assert run(world.store.version(Kind.MODEL, "copy", copy.id)) == copy


def test_registering_it_again_heals_all(world: ModelWorld) -> None:
    one = run(world.register("1")).version
    copy = run(world.register("1", model="copy", by=BOB)).version
    chunk = next(iter(run(world.reader.manifest(one)).chunks())).digest
    (world.vault.root / chunk).write_text("x")
    verify(world)
    assert run(world.register("1")).version.state is VersionState.REGISTERED
    assert run(world.store.version(Kind.MODEL, "copy", copy.id)) == copy
    assert Path(run(world.checkout("copy", BOB)).path).read_text() == "1"


def test_everything_is_verified_for_operators(world: ModelWorld) -> None:
    run(world.register("1"))
    run(world.register("2", model="other"))
    with pytest.raises(Denied):
        verify(world, "", everything=True)
    assert verify(world, "", ROOT, everything=True).chunks == 2


def test_use_is_ones_own_or_everybodys(world: ModelWorld) -> None:
    world.limits = {"bob": 50}
    run(world.register("11"))
    run(world.register("222", model="other", by=BOB))
    run(world.moves.set(Kind.MODEL, "other", ModelChange(roles={"ada": ModelRole.WRITER}), BOB))
    run(world.register("4444", model="other"))
    (own,) = run(world.care.usage(ADA)).users
    assert (own.user, own.holding.stored_bytes, own.limit_bytes) == ("ada", 2, 0)
    usage = run(world.care.usage(ROOT))
    assert [(one.user, one.holding.models, one.holding.versions, one.holding.stored_bytes, one.limit_bytes) for one in usage.users] == [
        ("ada", 1, 1, 2, 0), ("bob", 1, 2, 7, 50),
    ]  # fmt: skip
    assert (usage.store_bytes, usage.free_bytes) == (9, 1 << 40)
