"""Jobs and models together: what a running job reads stays, and only its own user speaks in its name."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from aiosd.access.principal import Principal, Role
from aiosd.errors import Denied, FailedPrecondition, NotFound, StorageCorrupt
from aiosd.jobs.actions import Submit
from aiosd.jobs.billing import gpu_seconds
from aiosd.jobs.draft import RequestDraft, RetryDraft
from aiosd.jobs.job import Exit, Job, JobSpec, Outcome, Owner, Phase, Run
from aiosd.jobs.ports import RunEnded
from aiosd.lineage import JobLineage
from aiosd.models.model import Visibility
from aiosd.models.ports import Pin, UseRole
from aiosd.models.settings import ModelChange
from aiosd.models.version import Kind, Lineage, Version
from aiosd.resources.grant import DeviceGrant, Grant
from aiosd.resources.request import DeviceRequest, Request
from tests.fakes.model_world import ADA, BOB, ModelWorld
from tests.unit.jobs.serving import Bench, draft, serving
from tests.unit.jobs.world import ALICE, EMPTY, machine
from tests.unit.jobs.world import World as Machine

GIVEN = Lineage(job_id="1", command=("forged",), models=("forged@1",), datasets=("forged@2",), gpu_hours=9.0, git_commit="abc", python="3.11")


@dataclass
class World:
    bench: Bench
    models: ModelWorld
    lineage: JobLineage

    def wire(self) -> JobLineage:
        """A lineage as a daemon that begins has it."""
        self.lineage = JobLineage(lambda: self.bench.service.state.jobs, self.models.store, lambda: self.bench.clock.now().wall_s, self.models.care.deciding)
        self.models.reader.reads, self.models.models.lineage = self.lineage.read, self.lineage.complete
        self.models.care.pins[:] = [self.lineage.pins]
        return self.lineage

    async def running(self, *command: str, **fields: Any) -> Job:
        job = await self.bench.submit(draft(*(command or ("python", "train.py")), **fields))
        await self.bench.settled()
        self.bench.launcher.started(self.bench.launcher.launches[-1])
        return await self.bench.until(job.id, Phase.RUNNING)

    async def ended(self, job: Job) -> None:
        self.bench.launcher.ended(self.bench.launcher.launches[-1], self.bench.launcher.exit(0))
        await self.bench.until(job.id, Phase.SUCCEEDED)

    async def loose(self) -> tuple[Version, Version]:
        """Of digits what is on main, and what nothing keeps."""
        first = (await self.models.register("1")).version
        lost = (await self.models.register("2", branch="try")).version
        await self.models.moves.set(Kind.MODEL, "digits", ModelChange(keep_for_s=0.0), ADA)
        await self.models.move("try", "")
        return first, lost


def play(tmp_path: Path, scenario: Callable[[World], Awaitable[None]]) -> None:
    async def run() -> None:
        async with asyncio.timeout(30), serving() as bench:
            world = World(bench, ModelWorld(tmp_path), None)  # type: ignore[arg-type]
            world.wire()
            await scenario(world)

    asyncio.run(run())


def test_what_a_running_job_has_checked_out_stays_until_it_has_ended(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        _, lost = await world.loose()
        job = await world.running()
        await world.models.checkout(f"digits@{lost.id}", job_id="1")
        found = await world.models.care.collect(0.0, dry_run=False)
        assert not found.removed
        assert any("job 1" in line for line in found.kept_because)
        assert lost.commit.manifest in world.lineage.manifests()
        for ref in (f"digits@{lost.id}", "digits"):
            with pytest.raises(FailedPrecondition, match="job 1"):
                await world.models.moves.remove(Kind.MODEL, ref, ADA, force=True)
        await world.ended(job)
        assert (await world.lineage.pins(), world.lineage.manifests()) == ([], set())
        assert (await world.models.care.collect(0.0, dry_run=False)).removed == [f"digits@{lost.id[:12]}"]

    play(tmp_path, scenario)


def test_the_next_daemon_knows_what_is_pinned(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        _, lost = await world.loose()
        await world.running()
        await world.models.checkout(f"digits@{lost.id}", job_id="1")
        again = world.wire()
        assert await again.pins() == []
        await again.start()
        assert await again.pins() == [Pin(Kind.MODEL, "digits", lost.id, "job 1")]
        assert again.manifests() == {lost.commit.manifest}

    play(tmp_path, scenario)


def test_a_damaged_version_that_a_job_has_read_keeps_no_daemon_from_starting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(world: World) -> None:
        first, lost = await world.loose()
        await world.running()
        for version in (first, lost):
            await world.models.checkout(f"digits@{version.id}", job_id="1")
        picked = world.models.store.picked

        async def damaged(kind: Kind, wanted: Any) -> Any:
            if any(id_ == first.id for _, id_ in wanted):
                raise StorageCorrupt("damaged")
            return await picked(kind, wanted)

        monkeypatch.setattr(world.models.store, "picked", damaged)
        await world.wire().start()
        assert await world.lineage.pins() == [Pin(Kind.MODEL, "digits", lost.id, "job 1")]

    play(tmp_path, scenario)


@pytest.mark.parametrize(("job_id", "by"), [("1", BOB), ("7", ADA), ("1.3", ADA), ("x", ADA), ("2", ADA)])
def test_nobody_speaks_for_a_job_that_is_not_theirs_or_does_not_run(tmp_path: Path, job_id: str, by: Any) -> None:
    async def scenario(world: World) -> None:
        await world.models.register("1", visibility=Visibility.EVERYONE)
        await world.running()
        await world.bench.submit(draft("a", held=True))
        with pytest.raises(Denied, match="no job of"):
            await world.models.checkout("digits", by=by, job_id=job_id)
        with pytest.raises(Denied, match="no job of"):
            await world.models.register("2", by=by, model="mine", lineage=Lineage(job_id=job_id))
        assert await world.models.store.uses([job_id]) == []

    play(tmp_path, scenario)


def test_a_version_knows_its_job_and_what_that_has_read(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        data = (await world.models.register("data", "mnist", kind=Kind.DATASET)).version
        base = (await world.models.register("1")).version
        await world.running("python", "train.py")
        [step async for step in world.models.reader.checkout(Kind.DATASET, "mnist", ADA, job_id="1")]
        await world.models.checkout("digits", job_id="1")
        made = (await world.models.register("2", lineage=GIVEN)).version
        told = made.commit.lineage
        assert (told.job_id, told.command, told.cwd, told.git_commit, told.python) == ("1", ("python", "train.py"), "/tmp", "abc", "3.11")
        assert (told.datasets, told.models, told.gpu_hours) == ((f"mnist@{data.id}",), (f"digits@{base.id}",), 0.0)
        assert [(use.role, use.model, use.version) for use in await world.lineage.uses((await world.bench.service.get("1")).id)] == [
            (UseRole.READ, "digits", base.id), (UseRole.READ, "mnist", data.id), (UseRole.MADE, "digits", made.id),
        ]  # fmt: skip
        assert (await world.models.reader.show(Kind.DATASET, "mnist", ADA)).used_by == [f"digits@{made.id[:12]}"]
        assert not (await world.models.reader.show(Kind.MODEL, "digits", ADA)).used_by

    play(tmp_path, scenario)


def test_what_uses_it_is_not_told_to_whom_may_not_read_that(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await world.models.register("data", "mnist", kind=Kind.DATASET, visibility=Visibility.EVERYONE)
        await world.running()
        [step async for step in world.models.reader.checkout(Kind.DATASET, "mnist", ADA, job_id="1")]
        await world.models.register("2", lineage=GIVEN)
        assert (await world.models.reader.show(Kind.DATASET, "mnist", ADA)).used_by
        assert not (await world.models.reader.show(Kind.DATASET, "mnist", BOB)).used_by

    play(tmp_path, scenario)


def test_outside_of_a_job_nothing_of_a_job_is_believed(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        told = await world.lineage.complete(replace(GIVEN, job_id=""), ADA.principal)
        assert told == Lineage(git_commit="abc", python="3.11")

    play(tmp_path, scenario)


def test_what_is_removed_between_finding_and_reading_is_not_handed_out(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        _, lost = await world.loose()
        await world.running()
        await world.models.care.collect(0.0, dry_run=False)
        with pytest.raises(NotFound, match="removed meanwhile"):
            await world.lineage.read("1", lost, Principal(1000, 1000, "ada", Role.USER))
        assert await world.lineage.pins() == []

    play(tmp_path, scenario)


def test_a_model_that_came_out_the_same_again_is_made_by_that_job_too(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        first = (await world.models.register("1")).version
        await world.models.register("data", "mnist", kind=Kind.DATASET)
        for job_id in ("1", "2"):
            job = await world.running()
            [step async for step in world.models.reader.checkout(Kind.DATASET, "mnist", ADA, job_id=job_id)]
            again = await world.models.register("1", lineage=replace(GIVEN, job_id=job_id))
            assert (again.existed, again.version.id) == (True, first.id)
            assert [use.version for use in await world.models.store.uses([job_id]) if use.role is UseRole.MADE] == [first.id]
            await world.ended(job)
        assert (await world.models.reader.show(Kind.DATASET, "mnist", ADA)).used_by == [f"digits@{first.id[:12]}"]  # once

    play(tmp_path, scenario)


def test_gpu_hours_are_of_all_that_was_held() -> None:
    half = Grant((), 1, (DeviceGrant("GPU-0", "gpu", 0, 500, 0), DeviceGrant("F", "fpga", 0, 1000, 0)))
    spec = JobSpec(name="n", command=("a",), cwd="/", environment=EMPTY, request=Request(1000, 1))
    job = Job(id=(1, -1), spec=spec, owner=Owner(1, 1, "a"), phase=Phase.RUNNING, submitted_at_s=0.0, gpu_s=100.0, run=Run(half, 1000.0, "b"))  # type: ignore[arg-type]
    assert gpu_seconds(job, 1060.0) == 130.0
    assert gpu_seconds(job, 900.0) == 100.0  # the clock went back
    assert gpu_seconds(replace(job, phase=Phase.SUCCEEDED, outcome=Outcome(1010.0)), 5000.0) == 105.0
    assert gpu_seconds(replace(job, run=None), 5000.0) == 100.0
    assert gpu_seconds(replace(job, run=replace(job.run, held_since_s=1050.0)), 1060.0) == 105.0  # type: ignore[type-var]


def test_gpu_hours_outlive_an_attempt() -> None:
    world = Machine(machine(gpus=2))
    request = RequestDraft(devices=(DeviceRequest("gpu", 2000),))
    world.do(Submit([draft("a", request=request, retry=RetryDraft(retries=1))], [EMPTY], ALICE))
    (run,) = world.launched
    world.now = type(world.now)(world.now.wall_s + 50, world.now.steady_s + 50)
    world.do(RunEnded(run.id, run.attempt, Exit(world.now.wall_s, 1)))
    assert world.engine.state.jobs[run.id].gpu_s == 100.0
