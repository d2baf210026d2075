"""A store of bytes with its children, over an index in memory or in a database: what the tests of the keeper share."""

import json
import os
import random
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from aiosd.keeper.vault import BlobVault
from aiosd.models.manifest import Manifest
from aiosd.models.vault_ports import Looked, Source, Taken, Vault
from aiosd.storage.blobs.settings import BlobSettings
from tests.fakes.chunks import FakeChunks

T = TypeVar("T")
MIB = 1 << 20


class World:
    """A store in a directory of its own, with an index in memory."""

    def __init__(self, directory: Path, index: Any = None, reached: Callable[[str], None] = lambda step: None, **settings: Any) -> None:
        self.files = directory / "files"
        self.files.mkdir(exist_ok=True)
        self.index = FakeChunks() if index is None else index
        self.vault = BlobVault(BlobSettings(directory=str(directory / "models"), **settings), self.index, reached=reached)
        self.vault.start(passable=True)
        self.chance = random.Random(7)
        self.uid = os.getuid()

    def me(self, path: Path | str = "") -> Source:
        return Source(str(path), self.uid, self.uid, "me")

    async def take(
        self,
        path: Path,
        base: Manifest | None = None,
        meanwhile: Callable[[], Awaitable[object]] | None = None,
        committed: Callable[[Taken], object] = lambda taken: None,
    ) -> Taken:
        async with aclosing(self.vault.take(self.me(path), base)) as words:
            async for word in words:
                if isinstance(word, Taken):
                    if meanwhile is not None:
                        await meanwhile()
                    await self.index.commit(word.chunks, ())
                    committed(word)
                    return word
        raise AssertionError("nothing was taken")

    async def give(self, manifest: Manifest, path: Path | str = "") -> Path:
        async with aclosing(self.vault.give(manifest, self.me(path))) as words:
            async for word in words:
                if isinstance(word, str):
                    return Path(word)
        raise AssertionError("nothing was given")

    async def read(self, manifest: Manifest, file: str) -> bytes:
        return await read_file(self.vault, manifest, file)

    async def verify(self, *manifests: Manifest) -> Sequence[str]:
        last = [word async for word in self.vault.verify(manifests, 1000)][-1]
        assert isinstance(last, Looked)
        return last.damaged

    async def sweep(self, *alive: Manifest, grace_s: float = 0.0, dry_run: bool = False) -> tuple[int, int, int]:
        async def live() -> AsyncIterator[Collection[str]]:
            for manifest in alive:
                yield [chunk.digest for chunk in manifest.chunks()]

        swept = await self.vault.sweep(live(), grace_s, dry_run=dry_run)
        return swept.chunks, swept.bytes, swept.strays

    def random(self, size: int) -> bytes:
        return self.chance.randbytes(size)

    def write(self, name: str, data: bytes) -> Path:
        path = self.files / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path


async def read_file(vault: Vault, manifest: Manifest, file: str) -> bytes:
    """Chunk by chunk, each verified."""
    (entry,) = (entry for entry in manifest.files if entry.path == file)
    return b"".join([data async for _, _, data in vault.chunks([(chunk, 0) for chunk in entry.chunks])])


@contextmanager
def opened(directory: Path) -> Iterator[World]:
    yield World(directory)
    subprocess.run(["chmod", "-R", "u+w", str(directory)], check=False)  # checkouts are read-only, for pytest too


def stored_bytes(taken: Taken) -> int:
    return sum(one.stored_size for one in taken.chunks if not one.place.startswith("whole") or one.place == f"whole/{one.digest}")


def safetensors(tensors: dict[str, bytes]) -> bytes:
    header, at = {}, 0
    for name, data in tensors.items():
        header[name] = {"dtype": "F32", "shape": [len(data) // 4], "data_offsets": [at, at + len(data)]}
        at += len(data)
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + b"".join(tensors.values())
