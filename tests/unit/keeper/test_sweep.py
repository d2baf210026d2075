"""What is finished while the sweep looks is no stray: by the index it was none, by then it is nobody's work any more."""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from pathlib import Path

from aiosd.keeper.leases import Leases
from aiosd.keeper.sweep import Sweep
from aiosd.models.vault_ports import Stored, Swept
from aiosd.storage.blobs.layout import Layout
from tests.fakes.chunks import FakeChunks

DIGEST, NAME = "a" * 64, "0123456789abcdef"


class Committing(FakeChunks):
    """Somebody commits what was written, and is ready, just after it was asked for."""

    def __init__(self, under_way: set[str]) -> None:
        super().__init__()
        self.under_way = under_way

    async def within(self, places: Collection[str]) -> Sequence[Stored]:
        found = await super().within(places)
        if self.under_way:
            self.under_way.clear()
            await self.commit([Stored(DIGEST, 5, f"pack/{NAME}", 0, 5, "raw")], ())
        return found


def test_what_is_committed_while_strays_are_looked_for_stays(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.prepare(passable=False)
    path = layout.path(f"pack/{NAME}")
    path.parent.mkdir()
    path.write_bytes(b"bytes")

    async def swept(under_way: set[str]) -> Swept:
        async def live() -> AsyncIterator[Collection[str]]:
            yield [DIGEST]

        async def rewrite(rows: Sequence[Stored]) -> Sequence[Stored]:
            return rows

        sweep = Sweep(layout, Committing(under_way), Leases(), asyncio.Lock(), 0.0, False, rewrite, lambda step: None)
        return await sweep.run(live(), under_way)

    assert asyncio.run(swept({NAME})).strays == 0
    assert path.exists()
    assert asyncio.run(swept(set())).strays == 1
    assert not path.exists()
