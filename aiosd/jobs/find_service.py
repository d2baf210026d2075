"""Finding one job: by id or by name, live or ended, and never unknown while its end is being written."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from aiosd.clock import Clock
from aiosd.errors import AiosError, InvalidArgument, NotFound
from aiosd.ids import JobId, parse_job_id
from aiosd.jobs.engine import Engine
from aiosd.jobs.job import Job, Outcome, Owner, Phase
from aiosd.jobs.ports import JobFilter, Journal

MOST_NAMED = 10  # ids listed when a name is not unique


@dataclass(slots=True)
class JobFinder:
    """`engine` and `trouble` are asked each time: both change when a full disk has room again."""

    journal: Journal
    clock: Clock
    engine: Callable[[], Engine]
    trouble: Callable[[], AiosError | None]
    committing: dict[JobId, Job] = field(default_factory=dict)  # ended, and neither live nor yet in the history
    _committed: asyncio.Event = field(default_factory=asyncio.Event)

    def committed(self) -> None:
        """What was being committed is in the history now, or was not to be."""
        self.committing = {}
        self._committed.set()
        self._committed = asyncio.Event()

    async def get(self, ref: str, among: Owner | None = None) -> Job:
        """Raises NotFound, and InvalidArgument where a name is not unique. A live job comes before the ended ones of its name.

        among  whose jobs a name is looked for; None: everybody's
        """
        job_id = parse_job_id(ref) or self.engine().resolve(ref, among)
        return await (self._by_name(ref, among) if job_id is None else self._by_id(job_id, ref))

    async def _by_id(self, job_id: JobId, ref: str) -> Job:
        live = self._live(job_id)
        if live is not None:
            return live
        if job_id in self.committing or job_id.whole in self.committing:
            await self._committed.wait()
        found = await self.journal.get(job_id)
        if found is None and job_id.is_element:
            found = await self._dropped_element(job_id)
        found = self._live(job_id) or found
        if found is None:
            raise self._missing(f"there is no job {ref}", ref)
        return found

    async def _by_name(self, name: str, among: Owner | None) -> Job:
        """The one job of that name that has ended."""
        if any(job.spec.name == name for job in self.committing.values()):
            await self._committed.wait()
        found = await self.journal.history(JobFilter(name=name, users=frozenset({among.name} if among else ()), include_ended=True), None, MOST_NAMED + 1)
        if not found:
            raise self._missing(f"there is no job named {name!r}", name)
        if len(found) > 1:
            ids = ", ".join(str(job.id) for job in found[:MOST_NAMED]) + (" …" if len(found) > MOST_NAMED else "")
            raise InvalidArgument(f"the name {name!r} is not unique: it was that of jobs {ids}", hint="use the id", name=name, jobs=ids)
        return found[0]

    def _missing(self, message: str, ref: str) -> AiosError:
        trouble = self.trouble()
        if trouble is not None:  # it may be what could not be written
            return trouble.with_traceback(None)
        return NotFound(message, hint="see `aiosctl ps -a`", job=ref)

    def _live(self, job_id: JobId) -> Job | None:
        try:
            return self.engine().state.job(job_id)
        except NotFound:
            return None

    async def _dropped_element(self, job_id: JobId) -> Job | None:
        """An element that was cancelled or skipped with its array, before it had a record of its own."""
        array = self._live(job_id.whole) or await self.journal.get(job_id.whole)
        if array is None or array.spec.array is None or job_id.index not in array.spec.array.indices:
            return None
        phase = Phase.SKIPPED if array.phase is Phase.SKIPPED else Phase.CANCELLED
        ended_at_s = array.outcome.ended_at_s if array.outcome is not None else self.clock.now().wall_s
        return replace(array, id=job_id, array=None, phase=phase, outcome=Outcome(ended_at_s, reason=array.reason))
