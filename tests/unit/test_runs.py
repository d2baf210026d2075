"""What is asked about a run that lives, on fakes of the launcher and the clock."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from aiosd.clock import Instant
from aiosd.ids import JobId
from aiosd.jobs.job import Environment, Exit, Job, JobSpec, Outcome, Owner, Phase, Run
from aiosd.jobs.ports import Launched, RunEnded
from aiosd.monitoring.ports import WatchedRun
from aiosd.monitoring.series import Totals
from aiosd.monitoring.service import MonitorService
from aiosd.monitoring.stats import JobStatistics, Progress, ReportedSeries
from aiosd.resources.grant import CpuGrant, DeviceGrant, Grant
from aiosd.resources.request import Request
from aiosd.resources.usage import Usage
from aiosd.runs import DiskWatcher, RunInputs, RunMeter, RunWatcher

SPEC = JobSpec(name="n", command=("true",), cwd="/", environment=Environment("d", {}), request=Request(1000, 0), stdin_open=True)
GRANT = Grant((CpuGrant(0, 1000),), 0, (DeviceGrant("GPU-1", "gpu", 0, 1000, 0),))
JOB = Job(id=JobId(4), spec=SPEC, owner=Owner(1, 1, "ann"), phase=Phase.STARTING, submitted_at_s=1.0, attempt=2, run=Run(GRANT, 2.0, "boot"))


class StillClock:
    def now(self) -> Instant:
        return Instant(10.0, 10.0)


class NoMeter:
    async def measure(self, runs: Sequence[WatchedRun]) -> Mapping[str, Totals]:
        return {}


class OneReport:
    async def refresh(self, paths: Sequence[str]) -> None:
        raise AssertionError("nobody asked")

    def latest(self, path: str) -> Progress | None:
        return Progress(1.0, 2.0) if path == "report-4" else None

    async def series(self, path: str, max_points: int = 512) -> Sequence[ReportedSeries]:
        return [ReportedSeries("loss", (1.0,), (0.5,))] if path == "report-4" else []


class Pointed(MonitorService):
    """Remembers what it was pointed at."""

    def __init__(self) -> None:
        super().__init__(NoMeter(), OneReport(), StillClock())
        self.pointed: dict[str, WatchedRun] = {}

    def watch(self, run: WatchedRun) -> None:
        self.pointed[run.key] = run

    def unwatch(self, key: str) -> None:
        del self.pointed[key]


def path_of(job: Job) -> str:
    return f"report-{job.id.number}"


def test_a_run_is_measured_from_its_launch_to_its_end() -> None:
    monitor = Pointed()
    watcher = RunWatcher(monitor, {JOB.id: JOB}.get, path_of)
    watcher(Launched(JOB.id, 2, 77, 5.0, 5.0))
    assert monitor.pointed == {JOB.run_key: WatchedRun(JOB.run_key, 77, "report-4", 5.0, uses_gpu=True)}
    watcher(RunEnded(JOB.id, 2, Exit(6.0, exit_code=0)))
    assert monitor.pointed == {}


def test_events_of_another_attempt_or_an_unknown_job_change_nothing() -> None:
    monitor = Pointed()
    watcher = RunWatcher(monitor, {JOB.id: JOB}.get, path_of)
    watcher(Launched(JOB.id, 1, 77, 5.0, 5.0))
    watcher(Launched(JobId(5), 2, 77, 5.0, 5.0))
    assert monitor.pointed == {}


def test_of_a_run_that_is_over_the_exit_knows_better() -> None:
    usage = Usage(cpu_user_s=3.0)
    ended = replace(JOB, phase=Phase.SUCCEEDED, outcome=Outcome(9.0, exit_code=0, usage=usage, run_s=4.0))
    found = asyncio.run(RunMeter(Pointed(), path_of).stats(ended))
    assert (found.usage, found.run_s, len(found.reported)) == (usage, 4.0, 1)


def test_a_job_that_never_ran_has_no_statistics_and_no_progress() -> None:
    waiting = replace(JOB, phase=Phase.QUEUED, attempt=0, run=None)
    meter = RunMeter(Pointed(), path_of)
    assert asyncio.run(meter.stats(waiting)) == JobStatistics()
    assert meter.progress(waiting) is None
    assert meter.progress(JOB) == Progress(1.0, 2.0)


class Fifo:
    """Takes at most `room` bytes at a time."""

    def __init__(self, room: int) -> None:
        self.room, self.taken, self.ended = room, b"", False

    def write_input(self, job: Job, data: bytes) -> int:
        self.taken += data[: self.room]
        return min(self.room, len(data))

    def end_input(self, job: Job) -> None:
        self.ended = True


@pytest.mark.parametrize("room", [1, 3, 100])
def test_all_input_arrives_in_order_however_little_is_taken_at_once(room: int) -> None:
    fifo = Fifo(room)
    inputs = RunInputs(fifo)

    async def write() -> None:
        await inputs.write(JOB, b"all of it")
        await inputs.end(JOB)

    asyncio.run(write())
    assert (fifo.taken, fifo.ended) == (b"all of it", True)


def test_input_waits_while_the_job_does_not_read() -> None:
    fifo = Fifo(0)

    async def write() -> None:
        async with asyncio.timeout(0.05):
            await RunInputs(fifo).write(JOB, b"x")

    with pytest.raises(TimeoutError):
        asyncio.run(write())


def test_a_run_that_stores_more_than_its_grant_is_stopped_and_nothing_else_is_measured() -> None:
    asked = replace(JOB, phase=Phase.RUNNING, spec=replace(SPEC, request=Request(1000, 0, disk_bytes=1000)))
    within, asked_for_none = replace(asked, id=JobId(5)), replace(asked, id=JobId(6), spec=SPEC)
    stopping = replace(asked, id=JobId(7), phase=Phase.STOPPING)
    measured, stopped = [], []

    def stored_bytes(job: Job) -> int:
        measured.append(job.id.number)
        return 1000 if job.id == within.id else 2000

    async def stop(job: Job, reason: str) -> None:
        stopped.append((job.id.number, job.attempt, reason))

    asyncio.run(DiskWatcher(lambda: [asked, within, asked_for_none, stopping], stored_bytes, stop, 10.0).look())
    assert measured == [4, 5]
    assert [each[:2] for each in stopped] == [(4, 2)]
    assert "scratch directory" in stopped[0][2]
