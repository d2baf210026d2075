"""What is looked after without anybody asking: damage is found, marked and told of, garbage goes, and a failure is not the last word."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from aiosd.errors import DiskFull
from aiosd.models.rounds_service import ModelRounds
from aiosd.models.settings import ModelChange
from aiosd.models.version import Kind, VersionState
from tests.fakes.model_world import ADA, ModelWorld
from tests.fakes.models import FakeModelStore

PATIENCE_S = 30.0


@pytest.fixture
def world(tmp_path: Path) -> ModelWorld:
    return ModelWorld(tmp_path)


async def rounds_until(rounds: ModelRounds, done: Callable[[], Awaitable[bool]]) -> None:
    going = asyncio.create_task(rounds.run())
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not await done():
                await asyncio.sleep(0)
    finally:
        going.cancel()
        await asyncio.gather(going, return_exceptions=True)


def test_damage_is_found_by_itself_told_of_and_forgotten_when_it_heals(world: ModelWorld) -> None:
    async def story() -> None:
        version = (await world.register("1")).version
        (chunk,) = (await world.reader.manifest(version)).chunks()
        (world.vault.root / chunk.digest).write_text("x")

        async def marked() -> bool:
            found = await world.store.version(Kind.MODEL, "digits", version.id)
            return found is not None and found.state is VersionState.DAMAGED

        await rounds_until(ModelRounds(world.care, scrub_days=1e-8), marked)
        (warning,) = world.care.warnings()
        assert "1 stored version is damaged" in warning
        assert "digits" not in warning  # everybody who looks at the machine is told
        await world.register("1")
        assert not world.care.warnings()

    asyncio.run(story())


def test_what_was_damaged_before_the_start_is_told_of_until_it_is_removed(world: ModelWorld) -> None:
    async def story() -> None:
        version = (await world.register("1")).version
        (chunk,) = (await world.reader.manifest(version)).chunks()
        await world.care.mark([chunk.digest])
        world.care._damaged = 0  # as after a restart

        async def told() -> bool:
            return bool(world.care.warnings())

        await rounds_until(ModelRounds(world.care), told)
        await world.moves.remove(Kind.MODEL, "digits", ADA, force=True)
        assert not world.care.warnings()

    asyncio.run(story())


def test_garbage_goes_by_itself_also_after_a_round_that_failed(world: ModelWorld) -> None:
    async def story() -> None:
        kept = (await world.register("1")).version
        await world.register("2", branch="try")
        await world.moves.set(Kind.MODEL, "digits", ModelChange(keep_for_s=0.0), ADA)
        await world.move("try", "")
        store = world.store
        assert isinstance(store, FakeModelStore)
        store.failure = DiskFull("no room")
        failures: list[object] = []
        store.on_commit = failures.append

        async def swept() -> bool:
            if len(failures) == 2:
                store.failure = None
            return world.vault.swept > 0

        await rounds_until(ModelRounds(world.care, gc_every_s=1e-3), swept)
        assert [version.id for version in await store.versions(Kind.MODEL, "digits", 0, 9)] == [kept.id]

    asyncio.run(story())


def test_what_is_switched_off_does_nothing(world: ModelWorld) -> None:
    asyncio.run(asyncio.wait_for(ModelRounds(world.care).run(), PATIENCE_S))
    assert world.vault.swept == 0
