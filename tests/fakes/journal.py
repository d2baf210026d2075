"""A journal in memory with the semantics of the real one; passes tests/contract/test_journal.py; can be told to fail."""

from collections.abc import Callable, Mapping, Sequence

from aiosd.clock import Clock
from aiosd.errors import AiosError, AlreadyExists
from aiosd.ids import JobId
from aiosd.jobs.job import Job, Phase
from aiosd.jobs.ports import Changes, JobFilter, Loaded, Submission

_DAY_S = 86_400.0


def matches(job: Job, wanted: JobFilter) -> bool:
    """Whether `job` is one of those that `wanted` asks for; `include_ended` is the caller's to decide."""
    return (
        _named_by_id(job, wanted)
        and (not wanted.phases or job.phase in wanted.phases)
        and (not wanted.users or job.owner.name in wanted.users)
        and (not wanted.queues or job.spec.queue in wanted.queues)
        and (not wanted.name or job.spec.name == wanted.name)
        and wanted.labels.items() <= job.spec.labels.items()
    )


def _named_by_id(job: Job, wanted: JobFilter) -> bool:
    if not wanted.ids:
        return wanted.include_elements or not job.id.is_element
    return job.id in wanted.ids or (wanted.include_elements and job.id.whole in wanted.ids)


class FakeJournal:
    """`commits` is every Changes that was committed, in order; `fail_next` is raised by the next commit, which changes nothing."""

    def __init__(self, *, clock: Clock | None = None, reached: Callable[[str], None] = lambda step: None) -> None:
        self.live: dict[JobId, Job] = {}
        self.ended: dict[JobId, Job] = {}
        self.submissions: dict[tuple[int, str], Submission] = {}
        self.settings: dict[str, str] = {}
        self.commits: list[Changes] = []
        self.fail_next: AiosError | None = None
        self._clock = clock  # without one, submissions are never too old
        self._reached = reached
        self._highest_number = 0
        self._highest_revision = 0

    async def load(self) -> Loaded:
        since_s = self._clock.now().wall_s - _DAY_S if self._clock else float("-inf")
        self.submissions = {key: s for key, s in self.submissions.items() if s.at_s >= since_s}
        return Loaded(
            jobs=[self.live[job_id] for job_id in sorted(self.live)],
            submissions=list(self.submissions.values()),
            settings=dict(self.settings),
            next_number=self._highest_number + 1,
            revision=self._highest_revision,
        )

    async def commit(self, changes: Changes) -> None:
        self._reached("commit.1-before")
        if self.fail_next is not None:
            error, self.fail_next = self.fail_next, None
            raise error
        if any(job.id in self.ended for job in changes.ended) or len({job.id for job in changes.ended}) < len(changes.ended):
            raise AlreadyExists("a job cannot end twice")
        self._reached("commit.2-written")
        self._apply(changes)
        self._reached("commit.3-committed")

    def _apply(self, changes: Changes) -> None:
        self.live.update((job.id, job) for job in changes.saved)
        self.ended.update((job.id, job) for job in (*changes.ended, *changes.amended))
        for job_id in (*(job.id for job in changes.ended), *changes.withdrawn):
            self.live.pop(job_id, None)
        self.submissions.update(((s.uid, s.key), s) for s in changes.submissions)
        self.settings.update(changes.settings)
        for job in (*changes.saved, *changes.ended, *changes.amended):
            self._highest_number = max(self._highest_number, job.id.number)
            self._highest_revision = max(self._highest_revision, job.revision)
        for s in changes.submissions:
            self._highest_number = max(self._highest_number, s.first + s.count - 1)
        self.commits.append(changes)

    async def get(self, job_id: JobId) -> Job | None:
        return self.ended.get(job_id)

    async def ended_phases(self, ids: Sequence[JobId]) -> Mapping[JobId, Phase]:
        return {job_id: self.ended[job_id].phase for job_id in ids if job_id in self.ended}

    async def history(self, job_filter: JobFilter, before: JobId | None, limit: int) -> Sequence[Job]:
        newest_first = sorted(self.ended, reverse=True)
        found = (self.ended[i] for i in newest_first if before is None or i < before)
        return [job for job in found if matches(job, job_filter)][:limit]

    async def changed_since(self, revision: int, job_filter: JobFilter, limit: int) -> Sequence[Job]:
        by_revision = sorted(self.ended.values(), key=lambda job: (job.revision, job.id))
        return [job for job in by_revision if job.revision > revision and matches(job, job_filter)][:limit]

    async def close(self) -> None:
        """Nothing to close; the real one has threads and a file."""
