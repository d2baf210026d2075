"""What is asked about jobs, and the answers that are not jobs: filters, events, logs, reasons, statistics."""

from collections.abc import Iterator

from aios.v1 import jobs_pb2 as pb
from aiosd.errors import InvalidArgument
from aiosd.jobs.explain import Why
from aiosd.jobs.job import Job
from aiosd.jobs.ports import JobFilter
from aiosd.jobs.views import ChangeKind, JobEvent, LogPiece, LogWish, Page, Steered
from aiosd.monitoring.stats import JobStatistics, Sample
from aiosd.rpc import limits, slices
from aiosd.rpc.convert_jobs import PHASES, JobConverter
from aiosd.rpc.convert_resources import to_grant, to_request, to_usage
from aiosd.rpc.fields import amount, by_name, choice, few, job_id, needed, pairs, printable, text, texts, turned

CHANGES = by_name(ChangeKind, pb.JobEvent.Kind.Value)
_PHASE_OF = turned(PHASES)
_OUTPUT_OF = {pb.OUTPUT_UNSPECIFIED: "", pb.STDOUT: "stdout", pb.STDERR: "stderr"}
_OUTPUTS = {"stdout": pb.STDOUT, "stderr": pb.STDERR}

LARGEST_CHUNK_BYTES = 64 * 1024


def from_filter(wire: pb.JobFilter) -> JobFilter:
    at = "filter."
    few(wire.ids, at, "ids", limits.SELECTED)
    for name in ("phases", "users", "queues", "labels"):
        few(getattr(wire, name), at, name, limits.CHOICES)
    return JobFilter(
        ids=tuple(job_id(each, at, f"ids[{place}]") for place, each in enumerate(wire.ids)),
        phases=frozenset(choice(_PHASE_OF, each, at, f"phases[{place}]") for place, each in enumerate(wire.phases)),
        users=frozenset(texts(wire.users, at, "users")),
        queues=frozenset(texts(wire.queues, at, "queues")),
        labels=pairs(wire.labels, at, "labels"),
        name=text(wire.name, at, "name", limits.TEXT),
        include_ended=wire.include_ended,
        include_elements=wire.include_elements,
    )


def from_selection(wire: pb.JobSelection, most: int = limits.SELECTED) -> tuple[str, ...]:
    """The refs of the jobs to steer, at least one and at most `most`."""
    if not wire.ids:
        raise InvalidArgument("ids is empty: no job is named", hint="name at least one job", field="ids")
    few(wire.ids, "", "ids", most)
    return tuple(needed(each, "", f"ids[{place}]", limits.TEXT) for place, each in enumerate(wire.ids))


def from_logs(wire: pb.JobLogsRequest) -> LogWish:
    output = _OUTPUT_OF.get(wire.output)
    if output is None:
        raise InvalidArgument(
            f"output is {wire.output}, which this daemon does not know",
            hint="choose stdout, stderr, or leave it out for both",
            field="output",
            given=wire.output,
        )
    return LogWish(
        output=output,
        stdout_offset=amount(wire.stdout_offset, "", "stdout_offset"),
        stderr_offset=amount(wire.stderr_offset, "", "stderr_offset"),
        follow=wire.follow,
        tail_lines=amount(wire.tail_lines, "", "tail_lines"),
        attempt=wire.attempt,
    )


async def to_page(page: Page, jobs: JobConverter) -> pb.ListJobsResponse:
    wires = await slices.each(page.jobs, lambda _, job: jobs.to_job(job))
    return pb.ListJobsResponse(jobs=wires, next_page_token=page.next_page_token, revision=page.revision)


def to_event(event: JobEvent, jobs: JobConverter) -> pb.JobEvent:
    kind = CHANGES[event.kind]
    return pb.JobEvent(kind=kind, job=jobs.to_job(event.job) if event.job else None, revision=event.revision)  # type: ignore[arg-type]


def to_chunks(piece: LogPiece, jobs: JobConverter) -> Iterator[pb.LogChunk]:
    """One piece in as many messages as its size takes; the job's end is in the last."""
    output = _OUTPUTS.get(piece.output, pb.OUTPUT_UNSPECIFIED)
    ended = jobs.to_job(piece.ended) if piece.ended else None
    data = memoryview(piece.data)
    for start in range(0, max(len(data), 1), LARGEST_CHUNK_BYTES):
        part = data[start : start + LARGEST_CHUNK_BYTES]
        is_last = start + len(part) >= len(data)
        yield pb.LogChunk(output=output, offset=piece.offset + start, data=bytes(part), ended=ended if is_last else None, attempt=piece.attempt)


def to_result(steered: Steered, jobs: JobConverter) -> pb.SteerJobsResponse.Result:
    error = steered.error
    if error is not None:
        return pb.SteerJobsResponse.Result(id=steered.ref, error=printable(str(error)), error_reason=error.reason, hint=printable(error.hint))
    return pb.SteerJobsResponse.Result(id=steered.ref, job=jobs.to_job(steered.job) if steered.job else None)


def to_why(why: Why) -> pb.WhyResponse:
    return pb.WhyResponse(
        id=str(why.job_id),
        summary=printable(why.summary),
        kind=why.kind.value,
        resource=why.resource,
        asked=why.asked,
        free=why.free,
        machine_has=why.machine_has,
        ahead=[str(each) for each in why.ahead],
        ahead_count=why.ahead_count,
        suggestions=why.suggestions,
        policy=why.policy,
        estimated_start_at_s=why.estimated_start_at_s,
        estimated_start_low_s=why.estimated_start_low_s,
        estimated_start_high_s=why.estimated_start_high_s,
        estimate_basis=why.estimate_basis,
        estimate_held_share=why.estimate_held_share,
        factors=[pb.PriorityFactor(name=f.name, factor=f.factor, weight=f.weight, points=f.points) for f in why.factors],
        ahead_jobs=[pb.AheadJob(id=str(a.job_id), user=a.user, account=a.account, share=a.share, usage=a.usage, priority=a.priority) for a in why.ahead_jobs],
        planned_grant=why.planned_grant,
    )


def to_stats(job: Job, statistics: JobStatistics) -> pb.JobStats:
    return pb.JobStats(
        id=str(job.id),
        requested=to_request(job.request),
        granted=to_grant(job.run.grant) if job.run else None,
        samples=[_to_sample(sample) for sample in statistics.samples],
        usage=to_usage(statistics.usage),
        run_s=statistics.run_s,
        reported=[pb.ReportedSeries(name=printable(series.name), steps=series.steps, values=series.values) for series in statistics.reported],
    )


def _to_sample(sample: Sample) -> pb.JobStats.Sample:
    return pb.JobStats.Sample(
        at_s=sample.at_s,
        cpu_millis=sample.cpu_millis,
        memory_bytes=sample.memory_bytes,
        read_bytes_per_s=sample.read_bytes_per_s,
        write_bytes_per_s=sample.write_bytes_per_s,
        gpu_permille=sample.gpu_permille,
        gpu_memory_bytes=sample.gpu_memory_bytes,
        processes=sample.processes,
    )
