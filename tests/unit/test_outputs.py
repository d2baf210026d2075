"""What jobs leave is registered once, in the name of their users; what cannot be is told, and tried again by hand."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from aiosd.errors import DiskFull, FailedPrecondition
from aiosd.host.launch import expanded
from aiosd.host.provenance import Provenance
from aiosd.ids import JobId
from aiosd.jobs.job import Job, Owner, Phase
from aiosd.jobs.ports import DueOutput
from aiosd.lineage import JobLineage
from aiosd.models.permits import Caller
from aiosd.models.version import Kind, Version
from aiosd.outputs import NOT_REGISTERED, ModelOutputs
from tests.fakes.model_world import ADA, ModelWorld
from tests.unit.jobs.serving import Bench, draft, serving


class Killed(BaseException):
    """The end of the process, at a step."""


@dataclass
class FakeBook:
    """`world` tells what has ended; `failure` is raised once by the next settling."""

    rows: dict[tuple[JobId, int], DueOutput] = field(default_factory=dict)
    failure: Exception | None = None
    noted: dict[tuple[JobId, int], str] = field(default_factory=dict)

    async def source(self, job_id: JobId, attempt: int) -> str:
        return self.noted.get((job_id, attempt), "")

    async def note(self, job_id: JobId, attempt: int, source: str) -> None:
        self.noted[job_id, attempt] = source

    def ended(self, job: Job) -> None:
        self.rows.update({(job.id, place): DueOutput(job.id, place) for place in range(len(job.spec.model_outputs))})

    async def due(self, job_id: JobId | None = None) -> Sequence[DueOutput]:
        return [due for (owner, _), due in sorted(self.rows.items()) if job_id in (None, owner)]

    async def settle(self, due: DueOutput) -> None:
        if self.failure is not None:
            failure, self.failure = self.failure, None
            raise failure
        if due.error:
            self.rows[due.job_id, due.place] = due
        else:
            self.rows.pop((due.job_id, due.place), None)


@dataclass
class World:
    bench: Bench
    models: ModelWorld
    directory: Path
    book: FakeBook = field(default_factory=FakeBook)
    steps: Counter[str] = field(default_factory=Counter)
    die_at: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    commit: str = "c0de"  # of the directory, as it is now
    looks: int = 0

    def __post_init__(self) -> None:
        self.wire()

    def wire(self) -> ModelOutputs:
        """The outputs as a daemon that begins has them."""
        lineage = JobLineage(lambda: self.bench.service.state.jobs, self.models.store, lambda: 5.0, self.models.care.deciding)
        self.models.models.lineage = lineage.complete
        self.outputs = ModelOutputs(
            self.bench.service, self.book, self.models.models, lineage, self.caller_of, self.look,
            self.metrics_of, expanded, self.reached,
        )  # fmt: skip
        self.bench.service.left_models = self.left
        self.bench.reader.settled = self.outputs.settled
        self.bench.launcher.subscribe(self.outputs.on_event)
        return self.outputs

    def look(self, job: Job) -> Provenance:
        self.looks += 1
        return Provenance(self.commit, "main", "", True, "3.11", {"a": "1"})

    def left(self, job: Job) -> None:
        if job.phase is Phase.SUCCEEDED and job.array is None:
            self.book.ended(job)
        self.outputs.left(job)

    def reached(self, step: str) -> None:
        self.steps[step] += 1
        if step == self.die_at:
            raise Killed

    def caller_of(self, owner: Owner, origin: str) -> Caller:
        assert origin.startswith("job ")
        return ADA

    async def metrics_of(self, job: Job) -> Mapping[str, float]:
        return self.metrics

    async def job(self, *outputs: tuple[str, str, str], exit_code: int = 0, wait: bool = True, **fields: Any) -> Job:
        """One that has ended, and whose outputs are settled."""
        made = await self.bench.submit(replace(draft("python", "train.py", model_outputs=outputs, **fields), cwd=str(self.directory)))
        await self.bench.settled()
        launched = self.bench.launcher.launches[-1]
        self.bench.launcher.started(launched)
        self.bench.launcher.ended(launched, self.bench.launcher.exit(exit_code))
        return await self.bench.reader.wait(str(made.id), 0.0) if wait else await self.bench.until(made.id, Phase.SUCCEEDED)

    def write(self, name: str, text: str) -> None:
        (self.directory / name).write_text(text)

    async def log(self, model: str) -> Sequence[Version]:
        return await self.models.store.versions(Kind.MODEL, model, 0, 100)


def play(tmp_path: Path, scenario: Callable[[World], Awaitable[None]], *, serve: bool = True) -> None:
    async def run() -> None:
        async with asyncio.timeout(30), serving() as bench:
            world = World(bench, ModelWorld(tmp_path / "models"), tmp_path / "work")
            for made in (world.models.directory, world.directory):
                made.mkdir(exist_ok=True)
            async with running(world) if serve else nullcontext():
                await scenario(world)

    asyncio.run(run())


@asynccontextmanager
async def running(world: World) -> AsyncIterator[None]:
    """The outputs' own task, as long as the block."""
    task = asyncio.ensure_future(world.outputs.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def test_what_has_succeeded_is_registered_with_all_that_is_known_of_it(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        world.write("m.onnx", "weights")
        world.metrics = {"accuracy": 0.97, "odd": float("nan")}
        job = await world.job(("digits", "try", "m.onnx"), labels={"team": "vision"})
        (version,) = await world.log("digits")
        commit, lineage = version.commit, version.commit.lineage
        assert (job.phase, job.reason, await world.book.due()) == (Phase.SUCCEEDED, "", [])
        assert (commit.author, commit.message, dict(commit.metrics), dict(commit.labels)) == (
            "ada", "job 1: python train.py", {"accuracy": 0.97}, {"team": "vision"},
        )  # fmt: skip
        assert (lineage.job_id, lineage.command, lineage.git_commit, lineage.git_dirty, lineage.python) == ("1", ("python", "train.py"), "c0de", True, "3.11")
        assert lineage.cwd == str(world.directory)
        assert await world.models.at("try") == version.id
        assert [use.version for use in await world.models.store.uses(["1"])] == [version.id]

    play(tmp_path, scenario)


def test_the_code_is_that_of_the_beginning_also_for_the_next_daemon(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        world.write("m", "weights")
        job = await world.bench.submit(replace(draft("python", model_outputs=(("digits", "main", "m"),)), cwd=str(world.directory)))
        await world.bench.settled()
        launched = world.bench.launcher.launches[-1]
        async with running(world):
            world.bench.launcher.started(launched)
            while not world.book.noted:
                await asyncio.sleep(0)
        world.commit = "later"
        world.wire()
        async with running(world):
            world.bench.launcher.ended(launched, world.bench.launcher.exit(0))
            await world.bench.reader.wait(str(job.id), 0.0)
        assert (await world.log("digits"))[0].commit.lineage.git_commit == "c0de"

    play(tmp_path, scenario, serve=False)


def test_who_has_not_succeeded_leaves_nothing(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        world.write("m", "weights")
        assert (await world.job(("digits", "main", "m"), exit_code=3)).phase is Phase.FAILED
        assert await world.log("digits") == []
        with pytest.raises(FailedPrecondition, match="has not succeeded"):
            await world.outputs.again(await world.bench.service.get("1"))
        with pytest.raises(FailedPrecondition, match="no model outputs"):
            await world.outputs.again(await world.job())

    play(tmp_path, scenario)


def test_what_is_missing_is_told_and_tried_again_by_hand(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        world.write("m", "weights")
        job = await world.job(("gone", "main", "out/gone"), ("digits", "main", "m"))
        assert job.phase is Phase.SUCCEEDED
        assert job.reason.startswith(NOT_REGISTERED + "out/gone as gone: there is no ")
        assert job.outcome is not None and job.outcome.reason == job.reason
        assert len(await world.log("digits")) == 1
        assert [due.place for due in await world.book.due()] == [0]
        assert len(await world.outputs.again(job)) == 1
        (world.directory / "out").mkdir()
        world.write("out/gone", "late")
        assert await world.outputs.again(await world.bench.service.get("1")) == []
        assert (await world.bench.service.get("1")).reason == ""
        assert (await world.book.due(), len(await world.log("gone")), len(await world.log("digits"))) == ([], 1, 1)
        assert await world.outputs.again(await world.bench.service.get("1")) == []

    play(tmp_path, scenario)


def test_those_who_watch_hear_of_a_failure(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        before = world.bench.service.feed.revision
        await world.job(("gone", "main", "gone"))
        seen = [job.reason async for _, job in _until_amended(world, before) if job.phase is Phase.SUCCEEDED]
        assert [bool(reason) for reason in seen] == [False, True]

    play(tmp_path, scenario)


async def _until_amended(world: World, revision: int) -> AsyncIterator[tuple[int, Job]]:
    async for seen in world.bench.service.feed.follow(revision):
        yield seen
        if seen[1].reason.startswith(NOT_REGISTERED):
            return


def test_a_quota_a_name_that_is_taken_and_a_branch_that_moves_meanwhile_are_told(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        world.write("m", "weights")
        world.models.limits["ada"] = 3
        assert "may take 3 B" in (await world.job(("digits", "main", "m"))).reason
        world.models.limits.clear()
        world.models.vault.held = asyncio.Event()
        job = await world.job(("digits", "main", "m"), wait=False)
        while not world.models.vault.taking:
            await asyncio.sleep(0)
        assert world.outputs.registering(job)
        assert (await world.bench.reader.wait(str(job.id), 0.01)).phase is Phase.SUCCEEDED  # as it is when the time is over
        held, world.models.vault.held = world.models.vault.held, None
        await world.models.register("others", "digits")
        held.set()
        told = await world.bench.reader.wait(str(job.id), 0.0)
        assert not world.outputs.registering(told)
        assert "is at" in told.reason or "moved" in told.reason
        assert await world.outputs.again(told) == []  # on top of it, by hand

    play(tmp_path, scenario)


def test_elements_of_an_array_each_leave_their_own_one_after_another(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        for index in range(3):
            world.write(f"m-{index}", f"weights {index}")
        spec = draft("python", array="0-2", model_outputs=(("digits", "main", "m-%a"), ("one-%j-%a", "try-%A", "m-%a")))
        array = await world.bench.submit(replace(spec, cwd=str(world.directory)))
        await world.bench.settled()
        for job in list(world.bench.launcher.launches):
            world.bench.launcher.started(job)
            world.bench.launcher.ended(job, world.bench.launcher.exit(0))
        assert (await world.bench.reader.wait(str(array.id), 0.0)).phase is Phase.SUCCEEDED
        assert {version.commit.lineage.job_id for version in await world.log("digits")} == {"1.0", "1.1", "1.2"}
        assert world.looks == 1
        assert await world.models.at("try-1", "one-1-2") == (await world.log("one-1-2"))[0].id

    play(tmp_path, scenario)


@pytest.mark.parametrize("step", ["outputs.1-due", "outputs.2-registered", "outputs.3-settled", "register.3-committed", "outputs.4-told"])
def test_killed_anywhere_the_next_daemon_goes_on_and_nothing_is_made_twice(tmp_path: Path, step: str) -> None:
    async def scenario(world: World) -> None:
        world.write("m", "weights")
        world.write("n", "others")
        world.die_at = step
        world.models.care.reached = world.reached
        job = await world.job(("digits", "main", "m"), ("gone", "main", "gone"), ("letters", "main", "n"), wait=False)
        with pytest.raises(Killed):
            await world.outputs._settle(job.id)
        world.die_at = ""
        await world.wire().start()
        async with running(world):
            told = await world.bench.reader.wait(str(job.id), 0.0)
        assert [len(await world.log(name)) for name in ("digits", "letters", "gone")] == [1, 1, 0]
        assert told.reason.startswith(NOT_REGISTERED + "gone as gone")
        assert [(due.place, bool(due.error)) for due in await world.book.due()] == [(1, True)]

    play(tmp_path, scenario, serve=False)


def test_what_cannot_be_written_at_present_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aiosd.outputs.PAUSE_S", 0.01)

    async def scenario(world: World) -> None:
        world.write("m", "weights")
        world.book.failure = DiskFull("no room", hint="make some")
        assert (await world.job(("digits", "main", "m"))).reason == ""
        assert (len(await world.log("digits")), await world.book.due()) == (1, [])

    play(tmp_path, scenario)


def test_a_failure_that_nobody_foresaw_is_told_and_the_daemon_lives(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        world.write("m", "weights")
        world.metrics = {"accuracy": "much"}  # type: ignore[dict-item]
        with capture_logs() as logged:
            assert "not foreseen" in (await world.job(("digits", "main", "m"))).reason
        assert any("exc_info" in line for line in logged)
        world.metrics = {}
        assert (await world.job(("digits", "main", "m"))).reason == ""

    play(tmp_path, scenario)


def test_a_row_of_a_job_that_is_not_there_holds_nobody_up(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        world.write("m", "weights")
        world.book.rows[JobId(99), 0] = DueOutput(JobId(99), 0)
        await world.wire().start()
        async with running(world):
            assert (await world.job(("digits", "main", "m"))).reason == ""
            await world.outputs.settled(await world.bench.service.get("1"))
        assert [due.job_id for due in await world.book.due()] == [JobId(99)]

    play(tmp_path, scenario, serve=False)
