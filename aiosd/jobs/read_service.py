"""Reading about jobs: lists in pages, watches, waits and logs; nothing here changes anything."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from aiosd.errors import FailedPrecondition, InvalidArgument, NotFound
from aiosd.ids import JobId, parse_job_id
from aiosd.jobs.filtering import matches, searched
from aiosd.jobs.job import Job, Phase
from aiosd.jobs.ports import JobFilter, OutputReader
from aiosd.jobs.service import JobService
from aiosd.jobs.sharing import ShareNode, shares
from aiosd.jobs.telling import told
from aiosd.jobs.views import ChangeKind, JobEvent, LogPiece, LogWish, NodeView, Page, QosState, QueueState
from aiosd.scheduling.rules import SchedulingRules
from aiosd.watch import Lagged

CHUNK_BYTES = 64 * 1024
MOST_A_PAGE = 1000
DEFAULT_PAGE = 100
MOST_REPLAYED = 10_000


async def _at_once(job: Job) -> None:
    """There is nothing to wait for."""


@dataclass(slots=True)
class JobReader:
    service: JobService
    output: OutputReader
    settled: Callable[[Job], Awaitable[None]] = _at_once  # waits for what is done about a job after its end

    async def get(self, ref: str) -> Job:
        """As `JobService.get`, and says why the job waits where it does."""
        return told(self.service.state, await self.service.get(ref))

    async def list(self, job_filter: JobFilter, page_size: int, page_token: str) -> Page:
        """Newest first. `page_token` is what the page before gave. Raises InvalidArgument for a token of another kind."""
        if page_size < 0:
            raise InvalidArgument(f"page_size cannot be negative: {page_size}", hint=f"use 1 to {MOST_A_PAGE}")
        size = min(page_size or DEFAULT_PAGE, MOST_A_PAGE)
        before = _before(page_token)
        revision = self.service.state.revision
        live = self._live(job_filter, before)
        ending = [job for job in self.service.ending if matches(job, job_filter) and (before is None or job.id < before)]
        ended: Sequence[Job] = ()
        if searched(job_filter):
            ended = await self.service.journal.history(job_filter, before, size + 1)
        merged = {job.id: job for job in [*live, *ending, *ended]}
        found = sorted(merged.values(), key=lambda job: job.id, reverse=True)[: size + 1]
        page = [told(self.service.state, job) for job in found[:size]]
        return Page(page, str(page[-1].id) if len(found) > size else "", revision)

    def _live(self, job_filter: JobFilter, before: JobId | None) -> Sequence[Job]:
        jobs = self._named(job_filter) if job_filter.ids else self.service.state.jobs.values()
        return [job for job in jobs if (before is None or job.id < before) and matches(job, job_filter)]

    def _named(self, job_filter: JobFilter) -> Collection[Job]:
        state = self.service.state
        found: dict[JobId, Job] = {}
        for job_id in job_filter.ids:
            elements = state.elements.get(job_id.number, ()) if job_filter.include_elements and not job_id.is_element else ()
            found.update((i, state.jobs[i]) for i in elements)
            with suppress(NotFound):
                found[job_id] = state.job(job_id)
        return found.values()

    async def watch(self, job_filter: JobFilter, since_revision: int) -> AsyncIterator[JobEvent]:
        """What there is now (or what changed since), SYNCED, then every change. After too much it says RESYNC and begins anew."""
        feed = self.service.feed
        revision = since_revision
        while True:
            if not feed.knows(revision):
                if since_revision:
                    yield JobEvent(ChangeKind.RESYNC, feed.revision)
                revision = feed.revision
                async for event in self._everything(job_filter, since_revision, revision):
                    yield event
            yield JobEvent(ChangeKind.SYNCED, revision)
            with suppress(Lagged):
                async for seen, job in feed.follow(revision):
                    revision = seen
                    if matches(job, job_filter, ended_too=True):
                        yield JobEvent(ChangeKind.CHANGED, seen, told(self.service.state, job))
            since_revision, revision = revision, -1

    async def _everything(self, job_filter: JobFilter, since: int, revision: int) -> AsyncIterator[JobEvent]:
        """What lives, what of the history was asked for, and for one who has followed before: what has ended since."""
        for job in sorted(self._live(job_filter, None), key=lambda job: job.revision):
            yield JobEvent(ChangeKind.CHANGED, min(job.revision, revision), told(self.service.state, job))
        if searched(job_filter):
            for job in reversed(await self.service.journal.history(job_filter, None, MOST_REPLAYED)):
                yield JobEvent(ChangeKind.CHANGED, min(job.revision, revision), job)
        elif since:
            for job in await self.service.journal.changed_since(since, job_filter, MOST_REPLAYED):
                yield JobEvent(ChangeKind.CHANGED, min(job.revision, revision), job)

    async def wait(self, ref: str, timeout_s: float) -> Job:
        """The job when it has ended and all is done about it, or as it is when `timeout_s` is over (0: for ever)."""
        job = await self.service.get(ref)
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s or None):
                while not job.phase.ended:
                    await self.service.next_change(job.id)
                    job = await self.service.get(str(job.id))
                await self.settled(job)
                job = await self.service.get(str(job.id))
        return told(self.service.state, job)

    # Logs

    async def logs(self, ref: str, wish: LogWish) -> AsyncIterator[LogPiece]:
        """What the job printed, attempt by attempt; with `follow`, as it prints it, and its end at last."""
        job = await self.service.get(ref)
        if job.array is not None:
            raise FailedPrecondition(
                f"job {job.id} is an array: each element has its own output", hint=f"name an element: `aiosctl logs {job.id}.{next(iter(_indices(job)), 0)}`"
            )
        if wish.attempt < 0:
            raise InvalidArgument(f"attempt cannot be negative: {wish.attempt}", hint="attempts count from 1; 0 is the latest")
        if wish.attempt > max(job.attempt, 1):
            raise NotFound(f"job {job.id} has had {job.attempt} attempts, not {wish.attempt}", job=job.id)
        attempt = wish.attempt or max(job.attempt, 1)
        while True:
            async for piece in self._attempt(job.id, attempt, wish):
                yield piece
            if not wish.follow:
                return
            job = await self.service.get(str(job.id))
            wish = replace(wish, stdout_offset=0, stderr_offset=0, tail_lines=0)
            if attempt >= job.attempt:
                yield LogPiece("stdout", 0, b"", attempt, ended=job)
                return
            attempt += 1

    async def _attempt(self, job_id: JobId, attempt: int, wish: LogWish) -> AsyncIterator[LogPiece]:
        """One attempt's output; with `follow` until another begins or the job ends, and all that it left has been read."""
        job = await self.service.get(str(job_id))
        offsets = await self._offsets(job, attempt, wish)
        output = self.output.of(job.owner)
        growth = output.changes([path for path, _ in offsets.values()])
        grown = job_changed = None
        try:
            while True:
                over = job.phase.ended or job.attempt > attempt
                for name, (path, offset) in offsets.items():
                    while data := await output.read(path, offset, CHUNK_BYTES):
                        yield LogPiece(name, offset, data, attempt)
                        offset += len(data)
                        offsets[name] = (path, offset)
                if over or not wish.follow:
                    return
                grown = grown or asyncio.ensure_future(anext(growth))
                job_changed = job_changed or self.service.next_change(job.id)
                job = await self.service.get(str(job_id))
                if job.phase.ended or job.attempt > attempt:
                    continue  # it ended before we began to listen: read once more
                done, _ = await asyncio.wait({grown, job_changed}, return_when=asyncio.FIRST_COMPLETED)
                grown = None if grown in done else grown
                job_changed = None if job_changed in done else job_changed
                job = await self.service.get(str(job_id))
        finally:
            for waiting in (grown, job_changed):
                if waiting is not None:
                    waiting.cancel()
            await _quietly(growth, grown)

    async def _offsets(self, job: Job, attempt: int, wish: LogWish) -> dict[str, tuple[str, int]]:
        out, err = self.service.launcher.log_paths(replace(job, attempt=attempt))
        chosen = {"stdout": (out, wish.stdout_offset), "stderr": (err, wish.stderr_offset)}
        if wish.output:
            chosen = {wish.output: chosen[wish.output]}
        elif out == err:
            del chosen["stderr"]
        if wish.tail_lines > 0:
            return {name: (path, await self.output.of(job.owner).offset_of_tail(path, wish.tail_lines)) for name, (path, _) in chosen.items()}
        return chosen

    # Queues and the node, as the engine knows them

    def queues(self) -> Sequence[QueueState]:
        return [self.queue(name) for name in sorted(self.service.state.queues)]

    def queue(self, name: str) -> QueueState:
        """Raises NotFound."""
        state = self.service.state
        settings = state.queues.get(name)
        if settings is None:
            raise NotFound(f"there is no queue {name!r}", hint=f"queues: {', '.join(sorted(state.queues))}", queue=name)
        waiting = [c for c in state.backlog.classes.values() if c.key.queue == name]
        now_s = self.service.clock.now().wall_s
        oldest_s = min((c.eligible_at_s for c in waiting if c.entries), default=now_s)
        return QueueState(settings, sum(c.count for c in waiting), state.active_in[name], max(0.0, now_s - oldest_s), state.waited.mean_s.get(name, 0.0))

    def policy(self) -> str:
        return self.service.state.policy

    def rules(self) -> SchedulingRules:
        """Those in force: of the configuration, with what was chosen since."""
        return self.service.state.settings.scheduling

    def qos(self) -> Sequence[QosState]:
        state = self.service.state
        queued: Counter[str] = Counter()
        for each in state.backlog.classes.values():
            queued[each.key.qos] += each.count
        running = Counter(state.jobs[job_id].spec.qos for job_id in state.shares)
        return [QosState(qos, queued[name], running[name]) for name, qos in sorted(self.rules().qos.items())]

    def shares(self) -> tuple[Sequence[ShareNode], float]:
        """The tree of accounts and users, and the half-life of usage in seconds."""
        return shares(self.service.state, self.service.clock.now()), self.service.state.settings.usage_half_life_s

    def node(self) -> NodeView:
        state, trouble = self.service.state, self.service.trouble
        warnings = (f"{trouble}: submissions are refused until it can be written again",) if trouble is not None else ()
        if state.policy_fault:
            warnings = (
                *warnings,
                f"degraded: {state.policy_fault}, until `aiosctl policy set {state.policy}` or a later try succeeds; the log has the snapshot",
            )
        return NodeView(state.drain_reason is not None, state.drain_reason or "", state.policy, self.service.engine.phase_counts(), warnings)

    def running(self) -> Sequence[Job]:
        """The jobs that have processes, as of the last turn."""
        return [job for job in self.service.state.jobs.values() if job.phase in (Phase.RUNNING, Phase.SUSPENDED, Phase.STOPPING)]


async def _quietly(growth: AsyncIterator[None], grown: "asyncio.Future[None] | None") -> None:
    """Close an iterator whose next step may be under way."""
    if grown is not None:
        with suppress(asyncio.CancelledError, StopAsyncIteration):
            await grown
    close = getattr(growth, "aclose", None)
    if close is not None:
        await close()


def _indices(job: Job) -> Sequence[int]:
    return list(job.spec.array.indices.parts[0][:1]) if job.spec.array is not None and job.spec.array.indices else []


def _before(page_token: str) -> JobId | None:
    if not page_token:
        return None
    parsed = parse_job_id(page_token)
    if parsed is None:
        raise InvalidArgument(f"page_token {page_token!r} was not made by this daemon", hint="start with an empty one")
    return parsed
