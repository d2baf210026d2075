"""What a running job has checked out stays in the cache of checkouts, however full that is."""

import asyncio
from pathlib import Path

import pytest
from msgspec import structs

from aiosd.errors import Exhausted
from tests.integration.keeping import World

SMALL, LARGE = 10_000, 8 << 20  # into a pack, and so put together when it is asked for; and whole


def test_a_checkout_in_use_is_neither_let_go_nor_swept(tmp_path: Path) -> None:
    async def story() -> None:
        world = World(tmp_path, cache_bytes=SMALL * 3 // 2)
        one, two = [(await world.take(world.write(name, world.random(SMALL)))).manifest for name in ("one", "two")]
        large = (await world.take(world.write("large", world.random(LARGE)))).manifest
        kept = await world.give(one)
        world.vault.pinned = lambda: {one.digest}
        with pytest.raises(Exhausted, match="in use"):
            await world.give(two)
        await world.sweep(one, two, large)
        world.vault.settings = structs.replace(world.vault.settings, cache_bytes=1)  # an operator has made it smaller
        await world.give(large)
        assert kept.exists()
        world.vault.pinned = tuple
        world.vault.settings = structs.replace(world.vault.settings, cache_bytes=SMALL)
        await world.give(two)
        assert not kept.exists()

    asyncio.run(story())
