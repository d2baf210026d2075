"""The index of chunks in memory: the port ChunkIndex."""

from collections.abc import Collection, Mapping, Sequence

from aiosd.models.vault_ports import Stored


class FakeChunks:
    def __init__(self) -> None:
        self.rows: dict[str, Stored] = {}

    async def stored(self, digests: Collection[str]) -> Mapping[str, Stored]:
        found = {digest: self.rows[digest] for digest in digests if digest in self.rows}
        bases = {one.base: self.rows[one.base] for one in found.values() if one.base in self.rows}
        known = found | bases
        return {digest: one for digest, one in known.items() if not one.base or one.base in known}

    async def within(self, places: Collection[str]) -> Sequence[Stored]:
        return sorted((one for one in self.rows.values() if one.place in places), key=lambda one: (one.place, one.offset))

    async def places(self, after: str, limit: int) -> Sequence[str]:
        return sorted({one.place for one in self.rows.values() if one.place > after})[:limit]

    async def commit(self, new: Sequence[Stored], gone: Collection[tuple[str, str]]) -> None:
        for digest, place in gone:
            if digest in self.rows and self.rows[digest].place == place:
                del self.rows[digest]
        for one in new:
            there = self.rows.get(one.digest)
            if there is None or (there.base and there.base not in self.rows):
                self.rows[one.digest] = one
