"""The hand between what is seen of the GPUs and the jobs that hold them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from aiosd.ids import JobId, parse_job_id
from aiosd.jobs.actions import Event, WarnRun
from aiosd.jobs.engine import Reply
from aiosd.jobs.job import Job, Phase, StopCause
from aiosd.jobs.ports import Launched, LauncherEvent, RunEnded
from aiosd.jobs.state import State
from aiosd.monitoring.looks import GpuRun
from aiosd.resources.grant import Grant
from aiosd.resources.processors import WHOLE
from aiosd.scheduling.rules import QueueSettings

_CAUSES = {"overuse": StopCause.OVERUSE, "requeue": StopCause.REQUEUE, "cancel": StopCause.CANCEL}


class JobCalls(Protocol):
    """What the jobs service offers to whoever watches devices."""

    async def set_device(
        self, device_id: str, *, health: str | None = None, quarantined: bool | None = None, busy: str | None = None, reason: str = ""
    ) -> None: ...

    async def ask(self, event: Event) -> Reply: ...

    async def stop_run(self, job_id: JobId, attempt: int, cause: StopCause, reason: str, *, force: bool = False) -> None: ...


@dataclass(slots=True)
class GpuRuns:
    """Listens to the launcher; called, it tells the runs that live, as the rules want them."""

    state: Callable[[], State]  # asked each time: it is made anew when a full disk has room again
    live: dict[tuple[JobId, int], int] = field(default_factory=dict)  # shims, by job and attempt

    def on_event(self, event: LauncherEvent) -> None:
        match event:
            case Launched():
                self.live[event.job_id, event.attempt] = event.shim_pid
            case RunEnded():
                self.live.pop((event.job_id, event.attempt), None)

    def __call__(self) -> Sequence[GpuRun]:
        jobs = ((self.state().jobs.get(job_id), attempt, shim_pid) for (job_id, attempt), shim_pid in self.live.items())
        return [self._run(job, job.run.grant, shim_pid) for job, attempt, shim_pid in jobs if job is not None and job.attempt == attempt and job.run]

    def _run(self, job: Job, grant: Grant, shim_pid: int) -> GpuRun:
        queue = self.state().queues.get(job.spec.queue) or QueueSettings(job.spec.queue)
        return GpuRun(
            key=job.run_key,
            job_id=str(job.id),
            attempt=job.attempt,
            shim_pid=shim_pid,
            budgets=budgets(grant),
            suspended=job.phase is Phase.SUSPENDED,
            queue=queue.name,
            idle_gpus=queue.idle_gpus,
            idle_gpus_after_s=queue.idle_gpus_after_s,
        )


def budgets(grant: Grant) -> dict[str, int]:
    """Bytes of memory by GPU; 0 where all of it was granted, or where the device has no number."""
    millis: dict[str, int] = {}
    memory: dict[str, int] = {}
    for part in grant.devices:
        if part.kind == "gpu":
            millis[part.device_id] = millis.get(part.device_id, 0) + part.millis
            memory[part.device_id] = memory.get(part.device_id, 0) + part.memory_bytes
    return {device_id: memory[device_id] if millis[device_id] < WHOLE else 0 for device_id in millis}


@dataclass(frozen=True, slots=True)
class JobHand:
    """Implements DeviceKeeper of the monitoring domain on the jobs service."""

    jobs: JobCalls

    async def set_device(self, device_id: str, *, health: str | None = None, busy: str | None = None) -> None:
        await self.jobs.set_device(device_id, health=health, busy=busy)

    async def warn(self, run: GpuRun, text: str, before: str) -> None:
        await self.jobs.ask(WarnRun(_job_id(run), run.attempt, text, before))

    async def stop(self, run: GpuRun, how: str, reason: str) -> None:
        await self.jobs.stop_run(_job_id(run), run.attempt, _CAUSES[how], reason)


def _job_id(run: GpuRun) -> JobId:
    parsed = parse_job_id(run.job_id)
    assert parsed is not None, "a run's job id was made from a JobId"
    return parsed
