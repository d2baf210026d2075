"""The store of models whole, without a daemon around it: services, database, keeper and children, in a state directory that lasts."""

import asyncio
import os
import sqlite3
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from aiosd.access.principal import Principal, Role
from aiosd.config import Config, DaemonConfig, ModelsConfig
from aiosd.domain_settings import blob_settings
from aiosd.keeper.vault import BlobVault
from aiosd.models.care_service import Collected, ModelCare, Verified
from aiosd.models.draft import Draft
from aiosd.models.move_service import ModelMoves
from aiosd.models.permits import Caller
from aiosd.models.read_service import Given, ModelReader
from aiosd.models.service import ModelService, Registration
from aiosd.models.version import Kind, Version
from aiosd.storage.chunks import SqlChunks
from aiosd.storage.journal import SqlJournal
from aiosd.storage.models import SqlModels

T = TypeVar("T")
MIB = 1 << 20
ME = Caller(Principal(os.getuid(), os.getgid(), "me", Role.ADMIN), frozenset)


@dataclass
class Store:
    """All that there is of models, open."""

    care: ModelCare
    vault: BlobVault
    models: ModelService
    moves: ModelMoves

    async def register(self, path: Path, model: str = "digits", **draft: Any) -> Version:
        last = [step async for step in self.models.register(Draft(model=model, **draft), str(path), ME)][-1]
        assert isinstance(last, Registration)
        return last.version

    async def checkout(self, ref: str) -> Path:
        last = [step async for step in self.care.reader.checkout(Kind.MODEL, ref, ME)][-1]
        assert isinstance(last, Given)
        return Path(last.path)

    async def verify(self) -> Verified:
        last = [step async for step in self.care.verify(Kind.MODEL, "", 0, ME, everything=True)][-1]
        assert isinstance(last, Verified)
        return last

    async def collect(self) -> Collected:
        return await self.care.collect(0.0, dry_run=False)


@dataclass
class Place:
    """A state directory: `use` opens the store in it, does one thing, and closes it."""

    config: Config

    @property
    def state(self) -> Path:
        return Path(self.config.daemon.state_directory)

    def use(self, work: Callable[[Store], Awaitable[T]], reached: Callable[[str], None] = lambda step: None) -> T:
        async def once() -> T:
            async with opened(self.config, reached) as store:
                return await work(store)

        return asyncio.run(once())

    def sql(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Behind everybody's back."""
        with closing(sqlite3.connect(self.state / "aiosd.db")) as db, db:
            return db.execute(statement, values).fetchall()


@asynccontextmanager
async def opened(config: Config, reached: Callable[[str], None]) -> AsyncIterator[Store]:
    journal = await SqlJournal.open(config.database_url)
    try:
        store, vault = SqlModels(journal, reached, at_once=10), BlobVault(blob_settings(config), SqlChunks(journal), reached=reached)
        vault.start(passable=False)
        reader = ModelReader(store, vault)
        clock = asyncio.get_running_loop().time
        care = ModelCare(store, vault, reader, lambda: 1_700_000_000.0 + clock(), lambda user: 0, lambda: 1 << 40, reached)
        yield Store(care, vault, ModelService(care), ModelMoves(care))
    finally:
        await journal.close()


@contextmanager
def a_place(state: Path, **models: Any) -> Iterator[Place]:
    for name in ("logs", "runs", "scratch"):
        (state / name).mkdir(parents=True, exist_ok=True)
    yield Place(Config(daemon=DaemonConfig(state_directory=str(state), runtime_directory=str(state / "run")), models=ModelsConfig(**models)))
    subprocess.run(["chmod", "-R", "u+w", str(state)], check=False)  # checkouts are read-only, for pytest too


def flip(path: Path, at: int) -> None:
    """One bit, and as a disk does it: the time of change stays."""
    before, mode = path.stat(), path.stat().st_mode
    path.chmod(0o600)
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 4]))
    path.chmod(mode & 0o777)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
