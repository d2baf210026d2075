"""Teaches a new daemon from the runs that ended before it began: in the background, batch by batch, and never more than so many."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from aiosd.errors import DiskFull, StorageUnwritable
from aiosd.ids import JobId
from aiosd.jobs.history import History, Recalled, recalled_from_end
from aiosd.jobs.job import Job
from aiosd.jobs.ports import JobFilter, Journal

MOST_RUNS = 10_000  # the latest
BATCH = 200
PAUSE_S = 0.05  # between two batches: turns go first

log = structlog.get_logger("jobs")


@dataclass(slots=True)
class Learner:
    """`run` is one of the daemon's named root tasks; it ends when everything has been looked at. `history`: the one in use."""

    journal: Journal
    history: Callable[[], History]
    pause_s: float = PAUSE_S

    async def run(self) -> None:
        """What cannot be read now is not learned; an operator hears of a disk that cannot be read elsewhere."""
        try:
            runs = await self._recall()
        except (DiskFull, StorageUnwritable) as error:
            log.warning("nothing is learned from earlier runs", error=str(error))
            runs = []
        for at, run in enumerate(sorted(runs, key=lambda run: run.ended_at_s)):
            self.history().learn(run, rehearse=True)
            if at % BATCH == 0:
                await asyncio.sleep(0)
        self.history().learned_live = None
        if runs:
            log.info("learned from earlier runs", runs=len(runs))

    async def _recall(self) -> list[Recalled]:
        """The latest runs, newest first, but those that ended under this daemon."""
        found: list[Recalled] = []
        before: JobId | None = None
        wanted = JobFilter(include_ended=True, include_elements=True)
        while len(found) < MOST_RUNS:
            jobs = await self.journal.history(wanted, before, BATCH)
            if not jobs:
                break
            found += [run for job in jobs if not self._known(job) and (run := recalled_from_end(job)) is not None]
            before = jobs[-1].id
            await asyncio.sleep(self.pause_s)
        return found

    def _known(self, job: Job) -> bool:
        live = self.history().learned_live
        return live is not None and job.id in live
