"""A JobService over fakes on a real event loop: the clock stands still, and a test can stop a commit half-way."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiosd.ids import JobId
from aiosd.jobs.draft import JobDraft
from aiosd.jobs.engine import Engine
from aiosd.jobs.job import Job, Owner
from aiosd.jobs.ports import Changes, Loaded
from aiosd.jobs.read_service import JobReader
from aiosd.jobs.service import JobService
from aiosd.jobs.settings import JobsSettings
from tests.fakes.journal import FakeJournal
from tests.fakes.launcher import FakeLauncher, StillClock
from tests.unit.jobs.world import ALICE, draft, machine

__all__ = ["ALICE", "Bench", "GatedJournal", "draft", "serving"]


class GatedJournal(FakeJournal):
    """`gate` closed: a commit waits before it happens, and `waiting` says so."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.waiting = asyncio.Event(), asyncio.Event()
        self.gate.set()

    async def commit(self, changes: Changes) -> None:
        if not self.gate.is_set():
            self.waiting.set()
            await self.gate.wait()
        await super().commit(changes)


@dataclass
class Files:
    """An OutputReader over a dictionary; `write` adds to a file and wakes the followers."""

    files: dict[str, bytes] = field(default_factory=dict)
    grown: asyncio.Event = field(default_factory=asyncio.Event)
    followers: int = 0

    def write(self, path: str, data: bytes) -> None:
        self.files[path] = self.files.get(path, b"") + data
        grown, self.grown = self.grown, asyncio.Event()
        grown.set()

    def of(self, owner: Owner) -> "Files":
        return self

    async def read(self, path: str, offset: int, limit: int) -> bytes:
        return self.files.get(path, b"")[offset : offset + limit]

    async def size(self, path: str) -> int:
        return len(self.files.get(path, b""))

    async def offset_of_tail(self, path: str, lines: int) -> int:
        kept = self.files.get(path, b"").splitlines(keepends=True)
        return sum(map(len, kept[: max(0, len(kept) - lines)]))

    async def changes(self, paths: Sequence[str]) -> AsyncIterator[None]:
        self.followers += 1
        try:
            while True:
                grown = self.grown
                yield
                await grown.wait()
        finally:
            self.followers -= 1


@dataclass
class Bench:
    service: JobService
    reader: JobReader
    journal: GatedJournal
    launcher: FakeLauncher
    clock: StillClock
    files: Files

    async def submit(self, job_draft: JobDraft) -> Job:
        (job,) = await self.service.submit([job_draft], owner=ALICE)
        return job

    async def until(self, job_id: JobId, phase: str) -> Job:
        while (job := await self.service.get(str(job_id))).phase != phase:
            await self.service.next_change(job_id)
        return job

    async def settled(self) -> None:
        """Everything that can go on without the clock has gone on."""
        for _ in range(30):
            await asyncio.sleep(0)

    async def in_trouble(self) -> None:
        while self.service.trouble is None:
            await asyncio.sleep(0)
        await self.settled()


@asynccontextmanager
async def serving(
    *, cpus: int = 4, journal: GatedJournal | None = None, launcher: FakeLauncher | None = None, settings: JobsSettings | None = None
) -> AsyncIterator[Bench]:
    clock = StillClock()
    journal, launcher, files = journal or GatedJournal(), launcher or FakeLauncher(clock=clock), Files()

    def make_engine(loaded: Loaded) -> Engine:
        return Engine.load(loaded, settings or JobsSettings(), machine(cpus), "boot-1", clock.now())

    service = JobService(journal, launcher, clock, make_engine)
    await service.start()
    turns = asyncio.ensure_future(service.run())
    try:
        yield Bench(service, JobReader(service, files), journal, launcher, clock, files)
    finally:
        journal.gate.set()
        service.stop()
        await turns
