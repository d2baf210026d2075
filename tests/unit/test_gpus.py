"""The hand between GPUs and jobs: which runs live, what each was granted, and what becomes of a verdict."""

import asyncio
from dataclasses import replace
from types import SimpleNamespace

import pytest

from aiosd.gpus import GpuRuns, JobHand, budgets
from aiosd.ids import JobId
from aiosd.jobs.actions import WarnRun
from aiosd.jobs.job import Phase, Run, StopCause
from aiosd.jobs.ports import Launched, RunEnded
from aiosd.monitoring.looks import GpuRun
from aiosd.resources.grant import DeviceGrant, Grant
from aiosd.scheduling.rules import QueueSettings
from tests.unit.rpc.records import RUNNING

GIB = 1 << 30


def part(device: int, millis: int, gib: int, kind: str = "gpu") -> DeviceGrant:
    return DeviceGrant(f"GPU-{device}", kind, device, millis, gib * GIB)


def test_a_part_has_a_budget_and_a_whole_gpu_has_none() -> None:
    grant = Grant((), 0, (part(0, 250, 10), part(0, 250, 10), part(1, 1000, 40), part(2, 500, 20, "npu")))
    assert budgets(grant) == {"GPU-0": 20 * GIB, "GPU-1": 0}
    assert budgets(Grant((), 0, (part(0, 500, 20), part(0, 500, 20)))) == {"GPU-0": 0}


def test_runs_are_those_that_live_with_what_their_queue_says() -> None:
    run = Run(Grant((), 0, (part(0, 500, 20),)), 1.0, "boot")
    job = replace(RUNNING, id=JobId(5), attempt=2, run=run, phase=Phase.SUSPENDED, spec=replace(RUNNING.spec, queue="night"))
    state = SimpleNamespace(jobs={job.id: job}, queues={"night": QueueSettings("night", idle_gpus="cancel", idle_gpus_after_s=60.0)})
    runs = GpuRuns(lambda: state)  # type: ignore[arg-type, return-value]
    assert runs() == []
    runs.on_event(Launched(job.id, 1, 70, 1.0, 1.0))  # an attempt that is over
    runs.on_event(Launched(JobId(6), 1, 71, 1.0, 1.0))  # a job that is not there any more
    runs.on_event(Launched(job.id, 2, 77, 1.0, 1.0))
    assert runs() == [GpuRun("5.-1.2", "5", 2, 77, {"GPU-0": 20 * GIB}, True, "night", "cancel", 60.0)]
    runs.on_event(RunEnded(job.id, 2, None))
    assert runs() == []


@pytest.mark.parametrize(("how", "cause"), [("overuse", StopCause.OVERUSE), ("requeue", StopCause.REQUEUE), ("cancel", StopCause.CANCEL)])
def test_a_verdict_becomes_an_event_of_that_attempt(how: str, cause: StopCause) -> None:
    asked: list[object] = []

    async def note(*what: object, **more: object) -> None:
        asked.append((*what, *more.values()))

    hand = JobHand(SimpleNamespace(set_device=note, ask=note, stop_run=note))  # type: ignore[arg-type]
    run = GpuRun("5.7.2", "5.7", 2, 77)

    async def scenario() -> None:
        await hand.set_device("GPU-0", health="ill")
        await hand.warn(run, "new", "old")
        await hand.stop(run, how, "why")

    asyncio.run(scenario())
    assert asked == [("GPU-0", "ill", None), (WarnRun(JobId(5, 7), 2, "new", "old"),), (JobId(5, 7), 2, cause, "why")]
