"""Two stores with their databases and services, and versions that go from one to the other: what the tests of bundles share."""

import asyncio
import os
import random
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from aiosd.access.principal import Principal, Role
from aiosd.keeper.vault import BlobVault
from aiosd.models.care_service import ModelCare
from aiosd.models.draft import Draft
from aiosd.models.move_service import ModelMoves
from aiosd.models.parcel import Parcel, Sent
from aiosd.models.permits import Caller
from aiosd.models.read_service import Given, ModelReader
from aiosd.models.receive_service import Landed, ModelReceiver
from aiosd.models.send_service import Export, Exported, Import, ModelSender
from aiosd.models.service import ModelService, Registration
from aiosd.models.version import Kind, Version
from aiosd.storage.blobs.settings import BlobSettings
from aiosd.storage.chunks import SqlChunks
from aiosd.storage.journal import SqlJournal
from aiosd.storage.models import SqlModels
from tests.integration.keeping import read_file

MIB = 1 << 20
ME = Caller(Principal(os.getuid(), os.getgid(), "me", Role.USER), frozenset)


class Side:
    """A store in a directory of its own. `limits`: bytes by user; `steps`: what the services passed; `at_once`: rows of chunks in one transaction."""

    def __init__(
        self, directory: Path, journal: SqlJournal, *, reached: Callable[[str], None] = lambda step: None, at_once: int = 1000, **settings: Any
    ) -> None:  # fmt: skip
        self.directory, self.limits, self.steps = directory, dict[str, int](), list[str]()
        self.now_s = 1_700_000_000.0
        self.store = SqlModels(journal, reached, at_once)
        self.vault = BlobVault(BlobSettings(directory=str(directory / "models"), **settings), SqlChunks(journal))
        self.vault.start(passable=True)
        self.reader = ModelReader(self.store, self.vault)
        self.care = ModelCare(
            self.store, self.vault, self.reader, self._tick, lambda user: self.limits.get(user, 0), lambda: 1 << 40, self.steps.append
        )  # fmt: skip
        self.models, self.moves = ModelService(self.care), ModelMoves(self.care)
        self.receiver = ModelReceiver(self.models)
        self.sender = ModelSender(self.reader, self.receiver)

    def _tick(self) -> float:
        self.now_s += 1
        return self.now_s

    async def register(self, path: Path, model: str = "digits", by: Caller = ME, **draft: Any) -> Version:
        async with aclosing(self.models.register(Draft(model=model, **draft), str(path), by)) as steps:
            made = [step async for step in steps][-1]
        assert isinstance(made, Registration)
        return made.version

    async def checkout(self, ref: str, **how: Any) -> Path:
        made = [step async for step in self.reader.checkout(Kind.MODEL, ref, ME, **how)][-1]
        assert isinstance(made, Given)
        return Path(made.path)

    async def parcel(self, *versions: Version, model: str = "digits", branch: str = "main", **more: Any) -> Parcel:
        sent = [Sent(await self.commit(version), branch) for version in versions]
        manifests = {version.commit.manifest: (await self.reader.manifest(version)).encode() for version in versions}
        return Parcel(model=model, versions=tuple(sent), manifests=tuple(manifests.values()), **more)

    async def commit(self, version: Version) -> bytes:
        body = await self.store.commit_bytes(version.id)
        assert body is not None
        return body

    async def pieces(self, *versions: Version, without: Version | None = None, most: int = 100_000) -> AsyncIterator[tuple[str, bytes]]:
        """Their chunks as another daemon would send them."""
        left_out = {chunk.digest for chunk in (await self.reader.manifest(without)).chunks()} if without is not None else set[str]()
        for version in versions:
            manifest = await self.reader.manifest(version)
            for entry in manifest.files:
                data = await read_file(self.vault, manifest, entry.path)
                for chunk in entry.chunks:
                    mine, data = data[: chunk.size], data[chunk.size :]
                    if chunk.digest not in left_out:
                        left_out.add(chunk.digest)
                        for at in range(0, len(mine), most):
                            yield chunk.digest, mine[at : at + most]

    async def receive(self, parcel: Parcel, by: Caller = ME, **how: Any) -> Landed:
        async with aclosing(self.receiver.receive(parcel, by, **how)) as steps:
            made = [step async for step in steps][-1]
        assert isinstance(made, Landed)
        return made

    async def export(self, path: Path, *refs: str, by: Caller = ME, **how: Any) -> list[str]:
        wish = Export(kind=Kind.MODEL, refs=refs or ("digits",), path=str(path), **how)
        async with aclosing(self.sender.export(wish, by)) as steps:
            made = [step async for step in steps][-1]
        assert isinstance(made, Exported)
        return [version.id for version in made.versions]

    async def import_(self, path: Path, by: Caller = ME, **how: Any) -> Landed:
        async with aclosing(self.sender.import_(Import(kind=Kind.MODEL, path=str(path), **how), by)) as steps:
            made = [step async for step in steps][-1]
        assert isinstance(made, Landed)
        return made

    async def places(self) -> list[str]:
        return list(self.vault.layout.places())


@asynccontextmanager
async def side(directory: Path, **settings: Any) -> AsyncIterator[Side]:
    directory.mkdir(exist_ok=True)
    journal = await SqlJournal.open(f"sqlite:///{directory}/aiosd.db")
    try:
        yield Side(directory, journal, **settings)
    finally:
        await journal.close()


def between(directory: Path, story: Callable[[Side, Side], Awaitable[None]], **settings: Any) -> None:
    """Run `story` with a store that has something and one that gets it. `settings`: of the second."""

    async def run() -> None:
        async with side(directory / "here") as here, side(directory / "there", **settings) as there:
            await story(here, there)

    with tidied(directory):
        asyncio.run(run())


@contextmanager
def tidied(directory: Path) -> Iterator[None]:
    try:
        yield
    finally:
        subprocess.run(["chmod", "-R", "u+w", str(directory)], check=False)  # checkouts are read-only, for pytest too


def some_files(directory: Path, seed: int = 7) -> Path:
    """What stays whole, what is compressed in pieces, what is small, what is empty."""
    chance, path = random.Random(seed), directory / f"model-{seed}"
    (path / "deep").mkdir(parents=True)
    (path / "whole").write_bytes(chance.randbytes(2 * MIB))
    (path / "text").write_bytes(b"again and again " * 40_000 + bytes([seed]))
    (path / "deep" / "small").write_bytes(chance.randbytes(1000))
    (path / "deep" / "empty").touch()
    return path
