"""The Jobs service: convert, call, convert."""

# ruff: noqa: N802  (gRPC spells its methods with capitals)
import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from typing import cast

from aios.v1 import jobs_pb2 as pb
from aios.v1.jobs_pb2_grpc import JobsServicer as Wire
from aiosd.errors import AiosError, Denied, InvalidArgument
from aiosd.ids import parse_job_id
from aiosd.jobs.actions import Steer
from aiosd.jobs.job import Job
from aiosd.jobs.views import Steered
from aiosd.rpc import concerns, convert_jobs, convert_views, limits, slices
from aiosd.rpc.auth import acts_on_all, as_owner, caller, check_owner, check_urgency, current, hides
from aiosd.rpc.context import Context
from aiosd.rpc.convert_jobs import JobConverter
from aiosd.rpc.fields import amount, needed, seconds, text, texts
from aiosd.rpc.needs import InputWriter, JobCalls, JobMeter, JobViews, Terminal, Terminals, UsesReader
from aiosd.rpc.privacy import narrowed, redacted_ahead, redacted_why
from aiosd.rpc.streams import closing

MOST_JOBS = 10_000
TURN_S_A_JOB = 50e-6  # of the loop, that the engine takes for each: it is charged to whoever asked


@dataclass(frozen=True, slots=True)
class Beside:
    """What serves calls about a run that lives: its measurements, its input, terminals beside it."""

    meter: JobMeter
    inputs: InputWriter
    terminals: Terminals
    uses: UsesReader


class JobsServicer(Wire):
    """`most_jobs` says how many jobs one submission may have, `most_priority` what priority a user may ask for."""

    def __init__(
        self,
        jobs: JobCalls,
        views: JobViews,
        beside: Beside,
        converter: JobConverter | None = None,
        most_jobs: Callable[[], int] = lambda: MOST_JOBS,
        most_priority: Callable[[], int] = lambda: 0,
    ) -> None:
        self._jobs = jobs
        self._views = views
        self._beside = beside
        self._converter = converter or JobConverter()
        self._most_jobs = most_jobs
        self._most_priority = most_priority

    async def Submit(self, request: pb.SubmitJobsRequest, context: Context) -> pb.SubmitJobsResponse:
        call = current()
        wish = await convert_jobs.from_submit(request, call.most_jobs(self._most_jobs()))
        call.spend(len(wish.drafts) * TURN_S_A_JOB)
        for draft in wish.drafts:
            check_urgency(draft.priority, draft.nice, self._most_priority())
        jobs = await self._jobs.submit(wish.drafts, owner=as_owner(call.principal), key=wish.key, digest=wish.digest)
        call.about = _named(jobs)
        return pb.SubmitJobsResponse(jobs=await slices.each(jobs, lambda _, job: self._converter.to_job(job)))

    async def Get(self, request: pb.GetJobRequest, context: Context) -> pb.Job:
        job, shown = await self._views.get(await self._ref(request.id)), self._shown()
        wire = shown.to_job(job, with_environment=request.with_environment)
        if job.attempt and not wire.redacted:
            convert_jobs.add_uses(wire, await self._beside.uses.uses(job.id))
        return wire

    async def List(self, request: pb.ListJobsRequest, context: Context) -> pb.ListJobsResponse:
        job_filter = narrowed(convert_views.from_filter(request.filter))
        page = await self._views.list(job_filter, amount(request.page_size, "", "page_size"), text(request.page_token, "", "page_token", limits.TEXT))
        return await convert_views.to_page(page, self._shown())

    async def Watch(self, request: pb.WatchJobsRequest, context: Context) -> AsyncIterator[pb.JobEvent]:
        job_filter = narrowed(convert_views.from_filter(request.filter))
        since, shown = amount(request.since_revision, "", "since_revision"), self._shown()
        async with closing(self._views.watch(job_filter, since)) as events:
            async for event in events:
                yield convert_views.to_event(event, shown)

    async def Logs(self, request: pb.JobLogsRequest, context: Context) -> AsyncIterator[pb.LogChunk]:
        wish, shown = convert_views.from_logs(request), self._shown()
        async with closing(self._views.logs(await self._checked(request.id), wish)) as pieces:
            async for piece in pieces:
                for chunk in convert_views.to_chunks(piece, shown):
                    yield chunk

    async def Wait(self, request: pb.WaitJobRequest, context: Context) -> pb.Job:
        timeout_s = seconds(request.timeout_s, "", "timeout_s")
        return self._shown().to_job(await self._views.wait(await self._ref(request.id), timeout_s))

    async def Cancel(self, request: pb.JobSelection, context: Context) -> pb.SteerJobsResponse:
        return await self._steer(Steer.CANCEL, request)

    async def Hold(self, request: pb.JobSelection, context: Context) -> pb.SteerJobsResponse:
        return await self._steer(Steer.HOLD, request)

    async def Release(self, request: pb.JobSelection, context: Context) -> pb.SteerJobsResponse:
        return await self._steer(Steer.RELEASE, request)

    async def Suspend(self, request: pb.JobSelection, context: Context) -> pb.SteerJobsResponse:
        return await self._steer(Steer.SUSPEND, request)

    async def Resume(self, request: pb.JobSelection, context: Context) -> pb.SteerJobsResponse:
        return await self._steer(Steer.RESUME, request)

    async def Requeue(self, request: pb.JobSelection, context: Context) -> pb.SteerJobsResponse:
        return await self._steer(Steer.REQUEUE, request)

    async def Update(self, request: pb.UpdateJobRequest, context: Context) -> pb.Job:
        ref, change = needed(request.id, "", "id", limits.TEXT), convert_jobs.from_update(request)
        checked = await self._checked(ref)
        if change.priority is not None or change.nice is not None:
            spec = (await self._jobs.get(checked)).spec
            priority = spec.priority if change.priority is None else change.priority
            check_urgency(priority, spec.nice if change.nice is None else change.nice, max(self._most_priority(), spec.priority), min(0, spec.nice))
        return self._converter.to_job(await self._jobs.update(checked, change))

    async def Why(self, request: pb.GetJobRequest, context: Context) -> pb.WhyResponse:
        ref, hidden = await self._ref(request.id), hides()
        told = await self._jobs.why(ref)
        is_hidden = hidden is not None and hidden(await self._jobs.get(ref))
        return convert_views.to_why(redacted_ahead(redacted_why(told) if is_hidden else told))

    async def Stats(self, request: pb.GetJobRequest, context: Context) -> pb.JobStats:
        job = await self._job(request.id)
        return convert_views.to_stats(job, await self._beside.meter.stats(job))

    async def WriteInput(self, requests: AsyncIterator[pb.InputChunk], context: Context) -> pb.WriteInputResponse:
        """Without a chunk that says `end`, the input stays open: a client that lost its connection goes on in another call."""
        first = await anext(requests, None)
        if first is None:
            raise InvalidArgument("no input was sent: the first message names the job", hint="send job_id first", field="job_id")
        job, written = await self._job(first.job_id, "job_id"), 0
        chunk: pb.InputChunk | None = first
        while chunk is not None:
            if chunk.job_id not in ("", first.job_id):
                raise InvalidArgument(f"job_id changed from {first.job_id!r} to {chunk.job_id!r} in one call", hint="make a call for each job", field="job_id")
            if chunk.data:
                await self._beside.inputs.write(job, chunk.data)
                written += len(chunk.data)
            if chunk.end:
                await self._beside.inputs.end(job)
                break
            chunk = await anext(requests, None)
        return pb.WriteInputResponse(bytes_written=written)

    async def Attach(self, requests: AsyncIterator[pb.AttachRequest], context: Context) -> AsyncIterator[pb.AttachResponse]:
        first = await anext(requests, None)
        if first is None:
            raise InvalidArgument("nothing was sent: the first message names the job", hint="send job_id first", field="job_id")
        job = await self._job(first.job_id, "job_id")
        terminal = await self._beside.terminals.open(job, texts(first.command, "", "command", limits.ARGUMENTS), first.rows, first.columns)
        try:
            async with asyncio.TaskGroup() as tasks, closing(terminal.output()) as pieces:
                typing = tasks.create_task(_type(terminal, first, requests), name=f"typing into a terminal of job {job.id}")
                async for piece in pieces:
                    yield pb.AttachResponse(output=piece)
                typing.cancel()
            yield pb.AttachResponse(exit_code=await terminal.exit_code())
        finally:
            await terminal.close()

    def _shown(self) -> JobConverter:
        """Jobs as the caller may see them."""
        hidden = hides()
        return self._converter if hidden is None else replace(self._converter, hides=hidden)

    async def _ref(self, ref: str, field: str = "id") -> str:
        """A job that may be looked at; names are looked for among the jobs whose names the caller may know."""
        given = needed(ref, "", field, limits.TEXT)
        if hides() is None or parse_job_id(given) is not None:
            return given
        return str((await self._jobs.get(given, among=as_owner(caller()))).id)

    async def _job(self, ref: str, field: str = "id") -> Job:
        """A job that the current call may be made on. Raises Denied."""
        job = await self._jobs.get(await self._ref(ref, field))
        check_owner(job.owner.uid, f"job {job.id}")
        return job

    async def _checked(self, ref: str) -> str:
        """The same, by its id; whoever may do it to every job need not look for the owner first."""
        return needed(ref, "", "id", limits.TEXT) if acts_on_all() else str((await self._job(ref)).id)

    async def _steer(self, what: Steer, request: pb.JobSelection) -> pb.SteerJobsResponse:
        refs, reason = convert_views.from_selection(request, current().most_jobs(limits.SELECTED)), text(request.reason, "", "reason", limits.REASON)
        current().spend(len(refs) * TURN_S_A_JOB)
        chosen = [Chosen(ref, ref) for ref in refs] if acts_on_all() else await self._choose_all(refs)
        allowed = [each.id for each in chosen if each.error is None]
        done = iter(await self._jobs.steer(what, allowed, reason=reason, force=request.force) if allowed else ())
        results = [replace(next(done), ref=each.ref) if each.error is None else Steered(each.ref, error=each.error) for each in chosen]
        shown = self._shown()
        return pb.SteerJobsResponse(results=[convert_views.to_result(each, shown) for each in results])

    async def _choose_all(self, refs: Sequence[str]) -> list["Chosen"]:
        """What was denied of them is in the trail by itself; the call's own record names the others."""
        chosen, call = [await self._choose(ref) for ref in refs], current()
        if denied := [each for each in chosen if isinstance(each.error, Denied)]:
            call.refused(concerns.listed("job", [each.ref for each in denied]), cast(Denied, denied[0].error))
        others = [each.ref for each in chosen if not isinstance(each.error, Denied)]
        call.about, call.denied = concerns.listed("job", others), not others
        return chosen

    async def _choose(self, ref: str) -> "Chosen":
        try:
            return Chosen(ref, str((await self._job(ref)).id))
        except AiosError as error:
            return Chosen(ref, "", error)


@dataclass(frozen=True, slots=True)
class Chosen:
    """One of a selection: its id, or why it is left out."""

    ref: str
    id: str
    error: AiosError | None = None


def _named(jobs: Sequence[Job]) -> str:
    first, last = str(jobs[0].id), str(jobs[-1].id)  # numbers of one submission are contiguous
    return f"job {first}" if len(jobs) == 1 else f"jobs {first} to {last}"


async def _type(terminal: Terminal, first: pb.AttachRequest, requests: AsyncIterator[pb.AttachRequest]) -> None:
    """What the client types and how it resizes, in order; its silence does not end the command."""
    if first.input:
        await terminal.write(first.input)
    async for request in requests:
        if request.rows or request.columns:
            await terminal.resize(request.rows, request.columns)
        if request.input:
            await terminal.write(request.input)
