"""Secrets between a submission and the end of its job: kept before anything is decided, dropped when nothing needs them any more."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from aiosd.errors import AiosError, DiskFull, FailedPrecondition, StorageUnwritable
from aiosd.jobs.confine import check_secrets
from aiosd.jobs.draft import JobDraft
from aiosd.jobs.job import Job
from aiosd.jobs.ports import SecretKeeper


@dataclass(frozen=True, slots=True)
class Secrets:
    """What is acknowledged has its secrets, and no record ever holds a value. Without a keeper no job has any."""

    keeper: SecretKeeper | None = None

    async def kept(self, drafts: Sequence[JobDraft]) -> Sequence[JobDraft]:
        """The drafts with the places of what is kept now, durably. Raises InvalidArgument, DiskFull or StorageUnwritable."""
        if not any(draft.secrets for draft in drafts):
            return drafts
        if self.keeper is None:
            raise FailedPrecondition("this daemon keeps no secrets", hint="submit without them")
        for draft in drafts:
            check_secrets(draft.secrets)
        return [replace(draft, secrets_at=await self.keeper.keep(draft.secrets)) if draft.secrets else draft for draft in drafts]

    def refused(self, drafts: Sequence[JobDraft], error: AiosError | None = None) -> None:
        """These drafts have become no jobs. After trouble with the disk only the next start can see that, and sweeps."""
        for draft in drafts:
            if draft.secrets_at and self.keeper is not None and not isinstance(error, DiskFull | StorageUnwritable):
                self.keeper.drop(draft.secrets_at)

    def ended(self, job: Job) -> None:
        """The job, or the whole array, is over."""
        if job.spec.secrets_at and self.keeper is not None and not job.id.is_element:
            self.keeper.drop(job.spec.secrets_at)

    def sweep(self, live: Iterable[Job]) -> None:
        """Drop what belongs to none of these: a daemon that died may have left it."""
        if self.keeper is not None:
            self.keeper.sweep({job.spec.secrets_at for job in live})
