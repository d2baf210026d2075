"""What is asked about a run that lives: its measurements and its input; and the hand that points monitoring at every run."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from aiosd.ids import JobId
from aiosd.jobs.job import Job, Phase
from aiosd.jobs.ports import Launched, LauncherEvent, Resized, RunEnded
from aiosd.monitoring.bounds import Bounds
from aiosd.monitoring.bounds_service import BoundsService
from aiosd.monitoring.ports import WatchedRun
from aiosd.monitoring.service import MonitorService
from aiosd.monitoring.stats import JobStatistics, Progress
from aiosd.resources.grant import Grant
from aiosd.units import format_bytes

_INPUT_PAUSE_S = 0.02  # a full fifo says nothing when it has room again
_MOST_SHARE = 0.02  # of the time is spent looking at what runs have stored
_LONGEST_INPUT_PAUSE_S = 0.5

ReportPathOf = Callable[[Job], str]


@dataclass(frozen=True, slots=True)
class RunMeter:
    """The runs of jobs, as monitoring knows them by key; offers JobMeter and ProgressReader to the network door."""

    monitor: MonitorService
    report_path_of: ReportPathOf

    async def stats(self, job: Job) -> JobStatistics:
        """Of the current or last run; empty when there was none."""
        if job.attempt == 0:
            return JobStatistics()
        found = await self.monitor.stats(job.run_key, self.report_path_of(job))
        if job.outcome is None:
            return found
        return JobStatistics(found.samples, job.outcome.usage, job.outcome.run_s, found.reported)  # the exit knows better

    def progress(self, job: Job) -> Progress | None:
        return self.monitor.progress(self.report_path_of(job)) if job.phase.active else None


@dataclass(slots=True)
class RunWatcher:
    """Listens to the launcher: what begins is measured, what has ended no more."""

    monitor: MonitorService
    job_of: Callable[[JobId], Job | None]
    report_path_of: ReportPathOf

    def __call__(self, event: LauncherEvent) -> None:
        job = self.job_of(event.job_id)
        if job is None or job.attempt != event.attempt:
            return
        match event:
            case Launched():
                self.monitor.watch(
                    WatchedRun(job.run_key, event.shim_pid, self.report_path_of(job), event.at_s, job.run is not None and _has_gpu(job.run.grant))
                )
            case RunEnded():
                self.monitor.unwatch(job.run_key)


@dataclass(slots=True)
class BoundsWatcher:
    """Listens to the launcher: runs that no kernel holds to their grants are watched. `processes`: how many one may have; 0: any number."""

    bounds: BoundsService
    job_of: Callable[[JobId], Job | None]
    processes: int
    _jobs: dict[str, Job] = field(default_factory=dict)

    def __call__(self, event: LauncherEvent) -> None:
        job = self.job_of(event.job_id)
        if job is None or job.attempt != event.attempt or job.run is None:
            return
        if isinstance(event, Resized):
            self._jobs[job.run_key] = job
            self.bounds.rebound(job.run_key, Bounds(job.run.grant.memory_bytes, self.processes))
        elif isinstance(event, Launched):
            self._jobs[job.run_key] = job
            self.bounds.watch(WatchedRun(job.run_key, event.shim_pid, "", event.at_s), Bounds(job.run.grant.memory_bytes, self.processes))
        else:
            self._jobs.pop(job.run_key, None)
            self.bounds.unwatch(job.run_key)

    def job_with(self, key: str) -> Job | None:
        """The job of a watched run, as it was launched."""
        return self._jobs.get(key)


@dataclass(slots=True)
class DiskWatcher:
    """Stops runs that store more than the disk space they were granted, where no quota does, or a process got round it.

    running, stored_bytes   the jobs that have processes; what one has stored: on a thread, for it blocks
    stop                    job and the reason that its user reads
    """

    running: Callable[[], Sequence[Job]]
    stored_bytes: Callable[[Job], int]
    stop: Callable[[Job, str], Awaitable[None]]
    period_s: float

    async def run(self) -> None:
        """Until it is cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            begun_s = loop.time()
            await self.look()
            took_s = loop.time() - begun_s
            await asyncio.sleep(max(self.period_s, took_s / _MOST_SHARE))

    async def look(self) -> None:
        """Once at every run that asked for disk space."""
        for job in self.running():
            granted = job.spec.request.disk_bytes
            if granted and job.phase is not Phase.STOPPING:
                stored = await asyncio.to_thread(self.stored_bytes, job)
                if stored > granted:
                    await self.stop(job, f"it stored {format_bytes(stored)} in its scratch directory, more than the {format_bytes(granted)} it was granted")


class InputTaker(Protocol):
    """What a launcher offers for the input of its runs; never waits."""

    def write_input(self, job: Job, data: bytes) -> int: ...

    def end_input(self, job: Job) -> None: ...


@dataclass(frozen=True, slots=True)
class RunInputs:
    """Waits in the launcher's place while a job does not read."""

    launcher: InputTaker

    async def write(self, job: Job, data: bytes) -> None:
        """All of `data`. Raises FailedPrecondition when the job takes no input (any more)."""
        rest, pause_s = memoryview(data), _INPUT_PAUSE_S
        while rest:
            taken = self.launcher.write_input(job, bytes(rest))
            rest = rest[taken:]
            pause_s = _INPUT_PAUSE_S if taken else min(2 * pause_s, _LONGEST_INPUT_PAUSE_S)
            if rest:
                await asyncio.sleep(0 if taken else pause_s)

    async def end(self, job: Job) -> None:
        self.launcher.end_input(job)


def _has_gpu(grant: Grant) -> bool:
    return any(device.kind == "gpu" for device in grant.devices)
