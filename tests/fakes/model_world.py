"""The models domain over fakes: services, callers, and a server that answers their calls."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import grpc

from aiosd.access.principal import Principal, Role
from aiosd.keeper.stage import BlobStage
from aiosd.models.care_service import ModelCare
from aiosd.models.draft import Draft
from aiosd.models.move_service import ModelMoves, Wish
from aiosd.models.optimize_service import ModelOptimizer
from aiosd.models.permits import Caller
from aiosd.models.ports import ModelStore
from aiosd.models.read_service import Given, ModelReader
from aiosd.models.receive_service import ModelReceiver
from aiosd.models.safety_service import ModelSafety
from aiosd.models.send_service import ModelSender
from aiosd.models.service import ModelService, Registration
from aiosd.models.transfer_service import Transfers
from aiosd.models.upload_service import Uploads
from aiosd.models.version import Kind
from aiosd.rpc.models import ModelServices
from aiosd.storage.blobs.staging import Staging
from tests.fakes.models import FakeModelStore, FakeVault

GROUPS = {"ada": frozenset({"ada", "vision"}), "bob": frozenset({"bob", "vision"}), "eve": frozenset({"eve"})}
UIDS = {"root": 0, "ada": 1000, "bob": 1001, "eve": 1002}


def groups_of(name: str, gid: int) -> frozenset[str]:
    return GROUPS.get(name, frozenset())


def strange(who: str) -> Sequence[str] | None:
    known = [*UIDS, "@vision", "@labs"]
    return None if who in known else get_close_matches(who, known)


def caller(name: str = "ada", role: Role = Role.USER) -> Caller:
    return Caller(Principal(UIDS[name], UIDS[name], name, role), lambda: groups_of(name, 0))


ADA, BOB, EVE, ROOT = caller(), caller("bob"), caller("eve"), caller("root", Role.ADMIN)


@dataclass
class ModelWorld:
    """`now_s` goes on by a second with each question for the time; `limits`: bytes by user; `steps`: what was passed; `installed`: packages."""

    directory: Path
    store: ModelStore = field(default_factory=FakeModelStore)
    now_s: float = 1_700_000_000.0
    limits: dict[str, int] = field(default_factory=dict)
    steps: list[str] = field(default_factory=list)
    installed: set[str] = field(default_factory=lambda: {"onnx", "onnxruntime"})

    def __post_init__(self) -> None:
        self.vault = FakeVault(self.directory / "vault")
        self.reader = ModelReader(self.store, self.vault)
        self.care = ModelCare(
            self.store, self.vault, self.reader, self._tick, lambda user: self.limits.get(user, 0), lambda: 1 << 40, self.steps.append, strange=strange
        )
        self.models, self.moves, self.safety = ModelService(self.care), ModelMoves(self.care), ModelSafety(self.care)
        receiver = ModelReceiver(self.models)
        self.sender = ModelSender(self.reader, receiver)
        self.transfers = Transfers(Uploads(self.models, BlobStage(Staging(self.directory / "staged", 86_400.0)), 1 << 40), receiver)

    def _tick(self) -> float:
        self.now_s += 1
        return self.now_s

    @property
    def services(self) -> ModelServices:
        optimizer = ModelOptimizer(self.reader, "/usr/bin/python3", lambda package: package in self.installed)
        return ModelServices(self.models, self.moves, self.care, self.reader, self.sender, optimizer, self.safety, self.transfers, groups_of)

    def file(self, content: str | bytes, name: str = "model.bin") -> str:
        path = self.directory / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    async def register(self, content: str, model: str = "digits", by: Caller = ADA, **draft: Any) -> Registration:
        return await self.registered(self.models.register(Draft(model=model, **draft), self.file(content), by))

    async def registered(self, steps: AsyncIterator[object]) -> Registration:
        last = [step async for step in steps][-1]
        assert isinstance(last, Registration)
        return last

    async def move(self, name: str, to: str, model: str = "digits", by: Caller = ADA, **wish: Any) -> Any:
        return await self.moves.move(Wish(kind=Kind.MODEL, model=model, name=name, to=to, **wish), by)

    async def checkout(self, ref: str, by: Caller = ADA, **how: Any) -> Given:
        last = [step async for step in self.reader.checkout(Kind.MODEL, ref, by, **how)][-1]
        assert isinstance(last, Given)
        return last

    async def at(self, name: str, model: str = "digits") -> str:
        return next((each.version for each in await self.store.references(Kind.MODEL, model) if each.name == name), "")


@asynccontextmanager
async def model_daemon(directory: Path, world: ModelWorld) -> AsyncIterator[tuple[str, grpc.aio.Channel]]:
    """A server that answers for `world`: its target, and a channel to it."""
    from tests.fakes.rpc_world import World, daemon

    async with daemon(directory, World(models=world)) as (server, channel):
        yield server.target, channel
