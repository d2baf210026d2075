"""Jobs and models together: what a job reads stays for as long as it does, and what it makes knows where it comes from."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from aiosd.access.principal import Principal
from aiosd.errors import Denied, NotFound
from aiosd.ids import JobId, parse_job_id
from aiosd.jobs.billing import gpu_seconds
from aiosd.jobs.job import Job
from aiosd.models.ports import ModelChanges, ModelStore, Pin, Use, UseRole
from aiosd.models.read_service import readable
from aiosd.models.version import Kind, Lineage, Version


@dataclass(slots=True)
class JobLineage:
    """Its methods are the ports Reads, Lineages and Pins of the models domain. `live`: the jobs that have not ended; `deciding` is the keeper's own."""

    live: Callable[[], Mapping[JobId, Job]]
    store: ModelStore
    wall_s: Callable[[], float]
    deciding: asyncio.Lock
    _pinned: dict[JobId, dict[Pin, str]] = field(default_factory=dict)  # each with the digest of its manifest

    async def start(self) -> None:
        """What was read by jobs that have not ended stays, whoever was told of it by a daemon before. Of a model with a damaged version nothing goes anyway."""
        begun = {str(job_id): job_id for job_id, job in self.live().items() if job.attempt}
        read = [use for use in await self.store.uses(begun) if use.role is UseRole.READ]
        for kind in Kind:
            found = await readable(self.store, kind, {(use.model, use.version) for use in read if use.kind is kind})
            for use in read:
                if use.kind is kind and (use.model, use.version) in found:
                    self._pin(begun[use.job_id], found[use.model, use.version])

    async def read(self, job_id: str, version: Version, by: Principal) -> None:
        """Raises Denied where that is no job of the caller's that runs, NotFound when the version has been removed meanwhile."""
        job = self._mine(job_id, by)
        kind = version.commit.kind
        async with self.deciding:
            if await self.store.version(kind, version.model, version.id) is None:
                raise NotFound(f"{version.model}@{version.id[:12]} has been removed meanwhile", hint="name another version", model=version.model)
            await self.store.commit(ModelChanges(uses=[Use(str(job.id), UseRole.READ, kind, version.model, version.id, self.wall_s())]))
            self._pin(job.id, version)

    async def complete(self, given: Lineage, by: Principal) -> Lineage:
        """What the client says of its surroundings; and of its job, if it says that it is one, what is known of that. Raises Denied."""
        plain = replace(given, job_id="", command=(), models=(), datasets=(), gpu_hours=0.0)
        return await self.of_job(self._mine(given.job_id, by), plain) if given.job_id else plain

    async def of_job(self, job: Job, given: Lineage) -> Lineage:
        """With what all of its runs have read and held so far."""
        read = [use for use in await self.uses(job.id) if use.role is UseRole.READ]
        models, datasets = (tuple(f"{use.model}@{use.version}" for use in read if use.kind is kind) for kind in (Kind.MODEL, Kind.DATASET))
        return replace(
            given,
            job_id=str(job.id),
            command=(job.spec.name, *job.spec.command) if job.spec.script else job.spec.command,
            cwd=given.cwd or job.spec.cwd,
            models=models,
            datasets=datasets,
            gpu_hours=gpu_seconds(job, self.wall_s()) / 3600,
        )

    async def uses(self, job_id: JobId) -> Sequence[Use]:
        """What it has read and made, oldest first."""
        return await self.store.uses([str(job_id)])

    async def pins(self) -> Sequence[Pin]:
        return [pin for pins in self._of_live_jobs().values() for pin in pins]

    def manifests(self) -> Collection[str]:
        """Whose checkouts are in use."""
        return {manifest for pins in self._of_live_jobs().values() for manifest in pins.values()}

    def _of_live_jobs(self) -> Mapping[JobId, Mapping[Pin, str]]:
        live = self.live()
        for job_id in [job_id for job_id in self._pinned if job_id not in live]:
            del self._pinned[job_id]
        return self._pinned

    def _pin(self, job_id: JobId, version: Version) -> None:
        pin = Pin(version.commit.kind, version.model, version.id, f"job {job_id}")
        self._pinned.setdefault(job_id, {})[pin] = version.commit.manifest

    def _mine(self, named: str, by: Principal) -> Job:
        """Nobody makes or reads anything in the name of somebody else's job, or of one that is over."""
        job_id = parse_job_id(named)
        job = self.live().get(job_id) if job_id is not None else None
        if job is None or job.owner.uid != by.uid or not job.phase.active:
            raise Denied(
                f"job {named[:40]} is no job of {by.name} that runs now",
                hint="outside of a job, unset AIOS_JOB_ID and AIOS_RUN_KEY",
                job=named[:40],
                user=by.name,
            )
        return job
