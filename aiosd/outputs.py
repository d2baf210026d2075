"""What jobs leave as models (`--model-output`): registered by the daemon when they have succeeded, once each, whatever happens in between.

What is due is a row that the end of the job is committed with. It goes when the version is there, which the key of the registration makes certain.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from math import isfinite
from shlex import join

from aiosd import logs
from aiosd.errors import AiosError, DiskFull, FailedPrecondition, NotFound, StorageUnwritable, Unavailable
from aiosd.host.provenance import Provenance
from aiosd.ids import JobId
from aiosd.jobs.job import Job, ModelOutput, Owner, Phase
from aiosd.jobs.ports import DueOutput, OutputBook
from aiosd.jobs.service import JobService
from aiosd.lineage import JobLineage
from aiosd.models.draft import MOST_HEADLINE, Draft
from aiosd.models.permits import Caller
from aiosd.models.service import ModelService
from aiosd.models.version import Lineage
from aiosd.watch import Waiters

NOT_REGISTERED = "not registered: "
PAUSE_S = 2.0  # between tries when nothing can be written
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
    _arrived: "asyncio.Queue[JobId]" = field(default_factory=asyncio.Queue)
    _settled: Waiters[JobId] = field(default_factory=Waiters)
    _turns: dict[int, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))

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
        self._arrived.put_nowait(job_id)

    async def settled(self, job: Job) -> None:
        """Wait until all that it has left is registered, or known not to be; of an array, what its elements have."""
        while any(one == job.id or (one.whole == job.id and one.is_element) for one in self._open):
            await self._settled.next(job.id.whole)

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
                job_id = await self._arrived.get()
                tasks.create_task(self._settle(job_id), name=f"outputs of job {job_id}")

    async def _settle(self, job_id: JobId) -> None:
        while True:
            try:
                await self._register_all(await self.jobs.get(str(job_id)))
                break
            except _TROUBLE:  # what came of it cannot be written at present
                await asyncio.sleep(PAUSE_S)
            except NotFound:  # a repaired database
                log.warning("a job whose outputs were to be registered is gone", job=str(job_id))
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
        except Exception as error:
            problem = "it failed in a way that was not foreseen; the daemon's log has more"
            log.error("an output could not be registered", job=str(job.id), exc_info=error)
        log.warning("an output is not registered", job=str(job.id), model=output.model, why=problem)
        return f"{output.path} as {output.model}: {problem}"

    async def _register(self, job: Job, output: ModelOutput, key: str) -> None:
        seen = await asyncio.to_thread(self.look, job)
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
