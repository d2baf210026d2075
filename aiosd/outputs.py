"""What jobs leave as models (`--model-output`): registered by the daemon when they have succeeded, once each, whatever happens in between.

What is due is a row that the end of the job is committed with. It goes when the version is there, which the key of the registration makes certain.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from functools import partial
from math import inf, isfinite
from shlex import join

import msgspec

from aiosd import logs
from aiosd.errors import AiosError, DiskFull, FailedPrecondition, StorageUnwritable, Unavailable
from aiosd.host.provenance import Provenance
from aiosd.ids import JobId
from aiosd.jobs.job import Job, ModelOutput, Owner, Phase
from aiosd.jobs.ports import DueOutput, Launched, LauncherEvent, OutputBook
from aiosd.jobs.service import JobService
from aiosd.lineage import JobLineage
from aiosd.models.draft import MOST_HEADLINE, Draft
from aiosd.models.permits import Caller
from aiosd.models.service import ModelService
from aiosd.models.version import Lineage
from aiosd.watch import Waiters

NOT_REGISTERED = "not registered: "
PAUSE_S = 2.0  # between tries when nothing can be written
SAME_S = 5.0  # so long a directory that was asked says the same
_TROUBLE = (DiskFull, StorageUnwritable, Unavailable)

log = logs.logger("aiosd.outputs")


@dataclass(slots=True)
class ModelOutputs:
    """`look` and `expanded` are the host's: what a job's directory says (it blocks), and %j, %a, %A in a text. One user's outputs go one after another."""

    jobs: JobService
    book: OutputBook
    models: ModelService
    lineage: JobLineage
    caller_of: Callable[[Owner, str], Caller]
    look: Callable[[Job], Provenance]
    metrics_of: Callable[[Job], Awaitable[Mapping[str, float]]]
    expanded: Callable[[str, Job], str]
    reached: Callable[[str], None]
    _open: set[JobId] = field(default_factory=set)
    _arrived: "asyncio.Queue[Callable[[], Coroutine[None, None, None]]]" = field(default_factory=asyncio.Queue)
    _settled: Waiters[JobId] = field(default_factory=Waiters)
    _turns: dict[int, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))
    _looking: dict[int, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))
    _seen: dict[Hashable, tuple[float, str]] = field(default_factory=dict)

    async def start(self) -> None:
        """Take up what a daemon before has left."""
        for job_id in dict.fromkeys(due.job_id for due in await self.book.due() if not due.error):
            self._add(job_id)

    def left(self, job: Job) -> None:
        """A job has ended, and that is committed."""
        if job.phase is Phase.SUCCEEDED and job.array is None:
            self._add(job.id)

    def _add(self, job_id: JobId) -> None:
        self._open.add(job_id)
        self._arrived.put_nowait(partial(self._settle, job_id))

    def on_event(self, event: LauncherEvent) -> None:
        """Listens to the launcher: a run's directory is asked when it begins, since it may be changed while that runs."""
        job = self.jobs.state.jobs.get(event.job_id)
        if isinstance(event, Launched) and job is not None and job.spec.model_outputs and job.attempt == event.attempt:
            self._arrived.put_nowait(partial(self._note, job))

    async def settled(self, job: Job) -> None:
        """Wait until all that it has left is registered, or known not to be; of an array, what its elements have."""
        while self.registering(job):
            await self._settled.next(job.id.whole)

    def registering(self, job: Job) -> bool:
        """Whether anything that it has left is not settled yet."""
        if not job.spec.model_outputs or (job.phase is not Phase.SUCCEEDED and job.array is None):
            return False
        return any(one == job.id or (one.whole == job.id and one.is_element) for one in self._open)

    async def again(self, job: Job) -> Sequence[str]:
        """Try once more what could not be registered: why it still cannot. Raises FailedPrecondition."""
        if not job.spec.model_outputs or job.phase is not Phase.SUCCEEDED:
            raise FailedPrecondition(f"job {job.id} has no model outputs, or has not succeeded", hint=f"see `aiosctl show {job.id}`", job=job.id)
        await self.settled(job)
        return await self._register_all(job)

    async def run(self) -> None:
        """Until it is cancelled."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                work = await self._arrived.get()
                tasks.create_task(work(), name="outputs of a job")

    async def _note(self, job: Job) -> None:
        try:
            await self._source(job)
        except Exception as error:  # it is asked again when the job has ended, and nothing of a user's directory may end the daemon
            log.warning("what a job was started from is not known", job=str(job.id), exc_info=error)

    async def _source(self, job: Job) -> Provenance:
        """As it was when the run began, or at the first time that somebody asks. Elements of an array that begin together are asked about once."""
        async with self._looking[job.owner.uid]:
            noted = await self.book.source(job.id, job.attempt)
            if not noted:
                noted = await self._look(job)
                await self.book.note(job.id, job.attempt, noted)
        return msgspec.json.decode(noted, type=Provenance)

    async def _look(self, job: Job) -> str:
        spec, now_s = job.spec, self.lineage.wall_s()
        key = job.owner, spec.cwd, spec.command[:1], spec.environment.digest
        at_s, seen = self._seen.pop(key, (-inf, ""))
        if not 0 <= now_s - at_s < SAME_S:
            at_s, seen = now_s, msgspec.json.encode(await asyncio.to_thread(self.look, job)).decode()
        self._seen = {other: kept for other, kept in self._seen.items() if 0 <= now_s - kept[0] < SAME_S} | {key: (at_s, seen)}
        return seen

    async def _settle(self, job_id: JobId) -> None:
        while True:
            try:
                await self._register_all(await self.jobs.get(str(job_id)))
                break
            except _TROUBLE:  # what came of it cannot be written at present
                await asyncio.sleep(PAUSE_S)
            except AiosError as error:  # as of a job that a repair of the database has lost: the next daemon looks again
                log.error("what a job has left stays as it is", job=str(job_id), error=str(error))
                break
        self._open.discard(job_id)
        self._settled.tell(job_id.whole)

    async def _register_all(self, job: Job) -> Sequence[str]:
        """What is wrong is the job's reason before it is settled, so that it is told even by who is killed in between."""
        failed: list[DueOutput] = []
        async with self._turns[job.owner.uid]:
            for due in await self.book.due(job.id):
                self.reached("outputs.1-due")
                problem = await self._problem(job, due)
                if problem:
                    failed.append(replace(due, error=problem))
                    continue
                self.reached("outputs.2-registered")
                await self.book.settle(replace(due, error=""))
                self.reached("outputs.3-settled")
            problems = [due.error for due in failed]
            if problems or job.reason.startswith(NOT_REGISTERED):
                await self.jobs.amend(job, NOT_REGISTERED + "; ".join(problems) if problems else "")
                self.reached("outputs.4-told")
            for due in failed:
                await self.book.settle(due)
        return problems

    async def _problem(self, job: Job, due: DueOutput) -> str:
        """ "": it is registered."""
        output = job.spec.model_outputs[due.place]
        try:
            await self._register(job, output, f"job {job.id} output {due.place}")
            return ""
        except AiosError as error:
            problem = str(error)
        except Exception as error:  # one job's output must not end the daemon, which would meet it again at every start
            problem = "it failed in a way that was not foreseen; the daemon's log has more"
            log.error("an output could not be registered", job=str(job.id), exc_info=error)
        log.warning("an output is not registered", job=str(job.id), model=output.model, why=problem)
        return f"{output.path} as {output.model}: {problem}"

    async def _register(self, job: Job, output: ModelOutput, key: str) -> None:
        seen = await self._source(job)
        given = Lineage(
            cwd=job.spec.cwd, git_commit=seen.git_commit, git_branch=seen.git_branch, git_remote=seen.git_remote, git_dirty=seen.git_dirty,
            python=seen.python, packages=seen.packages, host=seen.host,
        )  # fmt: skip
        draft = Draft(
            model=self.expanded(output.model, job),
            branch=self.expanded(output.branch, job),
            message=f"job {job.id}: {join(job.spec.command) or job.spec.name}"[:MOST_HEADLINE],
            metrics={name: value for name, value in (await self.metrics_of(job)).items() if name and isfinite(value)},
            labels=job.spec.labels,
            lineage=await self.lineage.of_job(job, given),
            key=key,
        )
        path = self.expanded(output.path, job)
        steps = self.models.register(
            draft, path if path.startswith("/") else f"{job.spec.cwd}/{path}", self.caller_of(job.owner, f"job {job.id}"), vouched=True
        )
        async with aclosing(steps):  # type: ignore[type-var]  # it is a generator
            async for _ in steps:
                continue
