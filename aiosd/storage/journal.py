"""The journal of the jobs domain in a database: one thread that writes, a few that read the history."""

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection

from aiosd.clock import Clock, SystemClock
from aiosd.findings import Finding
from aiosd.ids import JobId
from aiosd.jobs.job import Job, Phase
from aiosd.jobs.ports import Changes, JobFilter, Loaded
from aiosd.storage import jobs, outputs, rows
from aiosd.storage.check import check_database
from aiosd.storage.database import READERS, Database, describe_url, open_database
from aiosd.storage.specs import SpecBook, Written

__all__ = ["SqlJournal", "describe_url"]

_DAY_S = 86_400.0
_PRUNE_EVERY_S = 3_600.0

P = ParamSpec("P")
R = TypeVar("R")


class SqlJournal:
    """The port `Journal`; made by `await SqlJournal.open(url)`. Everything with `_now` runs on the writer's thread."""

    def __init__(self, url: str, reached: Callable[[str], None], clock: Clock) -> None:
        self._url = url
        self._reached = reached
        self._clock = clock
        self._writer = ThreadPoolExecutor(1, "aiosd-db-writer", initializer=_name_thread, initargs=("aiosd-db-writer",))
        self._readers = ThreadPoolExecutor(READERS, "aiosd-db-reader")
        self._pruned_at_s = 0.0
        self._database: Database
        self._book: SpecBook

    @classmethod
    async def open(cls, url: str, *, reached: Callable[[str], None] = lambda step: None, clock: Clock | None = None) -> "SqlJournal":
        """Open the database at `url`, making or migrating it where needed; for its errors see `open_database`."""
        journal = cls(url, reached, clock or SystemClock())
        try:
            await journal._write(journal._open_now)
        except BaseException:
            journal._writer.shutdown()
            journal._readers.shutdown()
            raise
        return journal

    async def close(self) -> None:
        """After what is under way; the journal cannot be used again."""
        await asyncio.to_thread(self._readers.shutdown)
        await self._write(self._database.close)
        await asyncio.to_thread(self._writer.shutdown)

    @property
    def migration_backup(self) -> str:
        """Where the database was copied to before this start migrated it; "" when it was not."""
        return str(self._database.backup or "")

    async def load(self) -> Loaded:
        return await self._write(self._load_now)

    async def commit(self, changes: Changes) -> None:
        if changes.saved or changes.ended or changes.amended or changes.withdrawn or changes.submissions or changes.settings:
            await self._write(self._commit_now, changes)

    async def get(self, job_id: JobId) -> Job | None:
        return await self._read(jobs.read_ended, job_id)

    async def ended_phases(self, ids: Sequence[JobId]) -> Mapping[JobId, Phase]:
        return await self._read(jobs.read_phases, ids)

    async def history(self, job_filter: JobFilter, before: JobId | None, limit: int) -> Sequence[Job]:
        return await self._read(jobs.read_history, job_filter, before, limit)

    async def changed_since(self, revision: int, job_filter: JobFilter, limit: int) -> Sequence[Job]:
        return await self._read(jobs.read_changed, job_filter, revision, limit)

    async def write(self, work: Callable[Concatenate[Connection, P], R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """One transaction of another domain on the writer's connection."""

        def do() -> R:
            with self._database.transaction() as tx:
                return work(tx, *args, **kwargs)

        return await self._write(do)

    async def read(self, question: Callable[Concatenate[Connection, P], R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """A question of another domain."""
        return await self._read(question, *args, **kwargs)

    async def check(self) -> list[Finding]:
        """What is wrong with the database; nothing, one hopes. Reads all of it."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, check_database, self._url)

    def _open_now(self) -> None:
        self._database = open_database(self._url)
        try:
            with self._database.reading() as tx:
                _, _, highest_spec = jobs.highest(tx)
        except BaseException:
            self._database.close()
            raise
        self._book = SpecBook(highest_spec + 1)

    def _load_now(self) -> Loaded:
        with self._database.reading() as tx:
            live = jobs.load_live(tx)
            number, revision, highest_spec = jobs.highest(tx)
            self._book = SpecBook(highest_spec + 1)
            self._book.remember(live)
            return Loaded(
                jobs=[job for job, _ in live],
                submissions=jobs.load_submissions(tx, self._clock.now().wall_s - _DAY_S),
                settings=jobs.load_settings(tx),
                next_number=number + 1,
                revision=revision,
            )

    def _commit_now(self, changes: Changes) -> None:
        self._reached("commit.1-before")
        written = Written()
        saved = [rows.job_row(job, self._book.place(job, written)) for job in changes.saved]
        ended = [rows.job_row(job, self._book.place(job, written)) for job in changes.ended]
        amended = [rows.job_row(job, self._book.place(job, written)) for job in changes.amended]
        with self._database.transaction() as tx:
            jobs.add_specs(tx, written)
            jobs.save(tx, saved)
            jobs.end(tx, ended)
            jobs.amend(tx, amended)
            outputs.add(tx, changes.ended)
            jobs.withdraw(tx, changes.withdrawn)
            jobs.save_settings(tx, changes.settings)
            pruned_at_s = self._save_submissions(tx, changes)
            self._reached("commit.2-written")
        self._book.settle(written, (*(job.id for job in (*changes.ended, *changes.amended)), *changes.withdrawn))
        self._pruned_at_s = pruned_at_s
        self._reached("commit.3-committed")

    def _save_submissions(self, tx: Connection, changes: Changes) -> float:
        """With the new ones, forget the old ones, now and then; when that was last done."""
        if not changes.submissions:
            return self._pruned_at_s
        jobs.save_submissions(tx, changes.submissions)
        now_s = self._clock.now().wall_s
        if abs(now_s - self._pruned_at_s) < _PRUNE_EVERY_S:
            return self._pruned_at_s
        jobs.prune_submissions(tx, now_s - _DAY_S)
        return now_s

    async def _write(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._writer, partial(work, *args, **kwargs))

    async def _read(self, question: Callable[Concatenate[Connection, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        def ask() -> R:
            with self._database.reading() as tx:
                return question(tx, *args, **kwargs)

        return await asyncio.get_running_loop().run_in_executor(self._readers, ask)


def _name_thread(name: str) -> None:
    threading.current_thread().name = name
