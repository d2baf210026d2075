"""The Jobs service: convert, call, convert."""

# ruff: noqa: N802  (gRPC spells its methods with capitals)
import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from aios.v1 import jobs_pb2 as pb
from aios.v1.jobs_pb2_grpc import JobsServicer as Wire
from aiosd.errors import InvalidArgument
from aiosd.jobs.actions import Steer
from aiosd.jobs.job import Job
from aiosd.rpc import convert_jobs, convert_views
from aiosd.rpc.auth import Authenticator
from aiosd.rpc.context import Context
from aiosd.rpc.convert_jobs import JobConverter
from aiosd.rpc.fields import amount, needed, seconds, text, texts
from aiosd.rpc.needs import InputWriter, JobCalls, JobMeter, JobViews, Terminal, Terminals
from aiosd.rpc.streams import closing


@dataclass(frozen=True, slots=True)
class Beside:
    """What serves calls about a run that lives: its measurements, its input, terminals beside it."""

    meter: JobMeter
    inputs: InputWriter
    terminals: Terminals


class JobsServicer(Wire):
    def __init__(self, jobs: JobCalls, views: JobViews, beside: Beside, auth: Authenticator, converter: JobConverter | None = None) -> None:
        self._jobs = jobs
        self._views = views
        self._beside = beside
        self._auth = auth
        self._converter = converter or JobConverter()

    async def Submit(self, request: pb.SubmitJobsRequest, context: Context) -> pb.SubmitJobsResponse:
        wish = convert_jobs.from_submit(request)
        jobs = await self._jobs.submit(wish.drafts, owner=self._auth.principal(context), key=wish.key, digest=wish.digest)
        return pb.SubmitJobsResponse(jobs=[self._converter.to_job(job) for job in jobs])

    async def Get(self, request: pb.GetJobRequest, context: Context) -> pb.Job:
        return self._converter.to_job(await self._views.get(needed(request.id, "", "id")), with_environment=request.with_environment)

    async def List(self, request: pb.ListJobsRequest, context: Context) -> pb.ListJobsResponse:
        job_filter = convert_views.from_filter(request.filter)
        page = await self._views.list(job_filter, amount(request.page_size, "", "page_size"), text(request.page_token, "", "page_token"))
        return convert_views.to_page(page, self._converter)

    async def Watch(self, request: pb.WatchJobsRequest, context: Context) -> AsyncIterator[pb.JobEvent]:
        job_filter = convert_views.from_filter(request.filter)
        since = amount(request.since_revision, "", "since_revision")
        async with closing(self._views.watch(job_filter, since)) as events:
            async for event in events:
                yield convert_views.to_event(event, self._converter)

    async def Logs(self, request: pb.JobLogsRequest, context: Context) -> AsyncIterator[pb.LogChunk]:
        wish = convert_views.from_logs(request)
        async with closing(self._views.logs(needed(request.id, "", "id"), wish)) as pieces:
            async for piece in pieces:
                for chunk in convert_views.to_chunks(piece, self._converter):
                    yield chunk

    async def Wait(self, request: pb.WaitJobRequest, context: Context) -> pb.Job:
        timeout_s = seconds(request.timeout_s, "", "timeout_s")
        return self._converter.to_job(await self._views.wait(needed(request.id, "", "id"), timeout_s))

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
        return self._converter.to_job(await self._jobs.update(needed(request.id, "", "id"), convert_jobs.from_update(request)))

    async def Why(self, request: pb.GetJobRequest, context: Context) -> pb.WhyResponse:
        return convert_views.to_why(await self._jobs.why(needed(request.id, "", "id")))

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
        terminal = await self._beside.terminals.open(job, texts(first.command, "", "command"), first.rows, first.columns)
        try:
            async with asyncio.TaskGroup() as tasks, closing(terminal.output()) as pieces:
                typing = tasks.create_task(_type(terminal, first, requests), name=f"typing into a terminal of job {job.id}")
                async for piece in pieces:
                    yield pb.AttachResponse(output=piece)
                typing.cancel()
            yield pb.AttachResponse(exit_code=await terminal.exit_code())
        finally:
            await terminal.close()

    async def _job(self, ref: str, field: str = "id") -> Job:
        return await self._jobs.get(needed(ref, "", field))

    async def _steer(self, what: Steer, request: pb.JobSelection) -> pb.SteerJobsResponse:
        refs = convert_views.from_selection(request)
        results = await self._jobs.steer(what, refs, reason=text(request.reason, "", "reason"), force=request.force)
        return pb.SteerJobsResponse(results=[convert_views.to_result(each, self._converter) for each in results])


async def _type(terminal: Terminal, first: pb.AttachRequest, requests: AsyncIterator[pb.AttachRequest]) -> None:
    """What the client types and how it resizes, in order; its silence does not end the command."""
    if first.input:
        await terminal.write(first.input)
    async for request in requests:
        if request.rows or request.columns:
            await terminal.resize(request.rows, request.columns)
        if request.input:
            await terminal.write(request.input)
