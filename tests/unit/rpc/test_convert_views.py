"""What is asked about jobs, and the answers that are not jobs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aios.v1 import jobs_pb2 as pb
from aiosd.errors import InvalidArgument, NotFound
from aiosd.ids import JobId
from aiosd.jobs.ahead import AheadJob, Factor
from aiosd.jobs.explain import Why, WhyKind
from aiosd.jobs.job import Phase
from aiosd.jobs.ports import JobFilter
from aiosd.jobs.views import ChangeKind, JobEvent, LogPiece, LogWish, Steered
from aiosd.monitoring.stats import JobStatistics, ReportedSeries, Sample
from aiosd.resources.usage import Usage
from aiosd.rpc import convert_views as convert
from aiosd.rpc.convert_jobs import JobConverter
from tests.unit.rpc.records import ENDED, QUEUED, RUNNING

JOBS = JobConverter()


def test_a_filter_is_taken_whole() -> None:
    wire = pb.JobFilter(
        ids=["42", "42.7"],
        phases=[pb.JOB_PHASE_HELD, pb.JOB_PHASE_LOST],
        users=["ada"],
        queues=["night"],
        labels={"k": "v"},
        name="train",
        include_ended=True,
        include_elements=True,
    )
    assert {field.name for field, _ in wire.ListFields()} == {field.name for field in pb.JobFilter.DESCRIPTOR.fields}
    assert convert.from_filter(wire) == JobFilter(
        (JobId(42), JobId(42, 7)), frozenset({Phase.HELD, Phase.LOST}), frozenset({"ada"}), frozenset({"night"}), {"k": "v"}, "train", True, True
    )
    assert convert.from_filter(pb.JobFilter()) == JobFilter()


@pytest.mark.parametrize(
    ("wire", "field"),
    [
        (pb.JobFilter(ids=["1", "x"]), r"filter\.ids\[1\]"),
        (pb.JobFilter(phases=[0]), r"filter\.phases\[0\] is not set"),  # type: ignore[list-item]
        (pb.JobFilter(phases=[99]), r"filter\.phases\[0\] is 99"),  # type: ignore[list-item]
        (pb.JobFilter(users=["\0"]), r"filter\.users\[0\]"),
        (pb.JobFilter(name="\0"), r"filter\.name"),
    ],
)
def test_a_filter_that_cannot_be_is_refused(wire: pb.JobFilter, field: str) -> None:
    with pytest.raises(InvalidArgument, match=f"^{field}"):
        convert.from_filter(wire)


def test_a_selection_names_somebody() -> None:
    assert convert.from_selection(pb.JobSelection(ids=["42", "train"])) == ("42", "train")
    with pytest.raises(InvalidArgument, match="ids is empty"):
        convert.from_selection(pb.JobSelection())
    with pytest.raises(InvalidArgument, match=r"ids\[1\] is missing"):
        convert.from_selection(pb.JobSelection(ids=["42", ""]))


def test_a_wish_for_logs() -> None:
    wire = pb.JobLogsRequest(id="1", output=pb.STDERR, stdout_offset=1, stderr_offset=2, follow=True, tail_lines=3, attempt=4)
    assert convert.from_logs(wire) == LogWish("stderr", 1, 2, True, 3, 4)
    assert convert.from_logs(pb.JobLogsRequest(id="1")) == LogWish()
    for wrong in (pb.JobLogsRequest(output=7), pb.JobLogsRequest(stdout_offset=-1), pb.JobLogsRequest(stderr_offset=-1), pb.JobLogsRequest(tail_lines=-1)):  # type: ignore[arg-type]
        with pytest.raises(InvalidArgument):
            convert.from_logs(wrong)


@given(st.integers(0, 5), st.integers(-1, 1), st.booleans())
def test_chunks_put_together_are_the_piece(chunks: int, more: int, last: bool) -> None:
    data = bytes(max(0, chunks * convert.LARGEST_CHUNK_BYTES + more))
    sent = list(convert.to_chunks(LogPiece("stdout", 100, data, 2, ENDED if last else None), JOBS))
    assert b"".join(chunk.data for chunk in sent) == data
    assert all(len(chunk.data) <= convert.LARGEST_CHUNK_BYTES for chunk in sent)
    offset = 100
    for chunk in sent:
        assert (chunk.offset, chunk.output, chunk.attempt) == (offset, pb.STDOUT, 2)
        offset += len(chunk.data)
    assert [chunk.HasField("ended") for chunk in sent] == [False] * (len(sent) - 1) + [last]


def test_events() -> None:
    assert convert.to_event(JobEvent(ChangeKind.CHANGED, 7, QUEUED), JOBS).job.id == "42"
    synced = convert.to_event(JobEvent(ChangeKind.SYNCED, 9), JOBS)
    assert (synced.kind, synced.revision, synced.HasField("job")) == (pb.JobEvent.SYNCED, 9, False)
    assert set(convert.CHANGES) == set(ChangeKind)


def test_a_result_is_a_job_or_an_error() -> None:
    assert convert.to_result(Steered("42", QUEUED), JOBS).job.id == "42"
    failed = convert.to_result(Steered("99", error=NotFound("no job 99", hint="see aiosctl ps")), JOBS)
    assert (failed.id, failed.error, failed.error_reason, failed.hint, failed.HasField("job")) == ("99", "no job 99", "NOT_FOUND", "see aiosctl ps", False)


def test_why_loses_nothing() -> None:
    why = Why(JobId(42), WhyKind.RESOURCES, "waits", "fifo", "gpu", "2", "1", "4", (JobId(41), JobId(40, 3)), 2, ("ask for 1",), 99.0, 98.0, 100.0, "time limits", 0.9,
              (Factor("age", 0.5, 2.0),), (AheadJob(JobId(41), "ann", "lab", 0.5, 0.25, 3.0),), "2 GPUs")  # fmt: skip
    wire = convert.to_why(why)
    assert {field.name for field, _ in wire.ListFields()} == {field.name for field in pb.WhyResponse.DESCRIPTOR.fields}
    assert (list(wire.ahead), wire.kind) == (["41", "40.3"], "resources")


def test_statistics_lose_nothing() -> None:
    series = ReportedSeries("loss", (1.0, 2.0), (0.5, 0.25))
    wire = convert.to_stats(RUNNING, JobStatistics((Sample(1.0, 2.0, 3, 4, 5, 6, 7, 8),), Usage(cpu_user_s=1.0), 5.0, (series,)))
    assert {field.name for field, _ in wire.ListFields()} == {field.name for field in pb.JobStats.DESCRIPTOR.fields}
    assert {field.name for field, _ in wire.samples[0].ListFields()} == {field.name for field in pb.JobStats.Sample.DESCRIPTOR.fields}
    assert (list(wire.reported[0].steps), list(wire.reported[0].values)) == ([1.0, 2.0], [0.5, 0.25])
    assert not convert.to_stats(QUEUED, JobStatistics()).HasField("granted")
