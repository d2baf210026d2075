"""The writer of versions: takes what lies somewhere into the store, and commits it as the next version of a branch."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TypeVar

import structlog

from aiosd.access.principal import Principal
from aiosd.errors import AlreadyExists, Exhausted, FailedPrecondition, NotFound
from aiosd.models import permits
from aiosd.models.care_service import ModelCare
from aiosd.models.draft import Draft, commit_of, encoded, headline, new_model, version_of
from aiosd.models.history import SHORT, conflict, same_version
from aiosd.models.layouts import completed
from aiosd.models.manifest import Manifest, contents_of
from aiosd.models.model import Model, ModelRole, Move, RefKind
from aiosd.models.permits import Caller
from aiosd.models.ports import Lineages, ModelChanges, RefChange, Registered, Use, UseRole
from aiosd.models.read_service import ModelReader
from aiosd.models.references import parse_inside
from aiosd.models.vault_ports import Progress, Received, Source, Taken
from aiosd.models.version import Kind, Lineage, Version, VersionState
from aiosd.units import format_bytes

Step = TypeVar("Step")
Came = TypeVar("Came", Taken, Received)
_AT_REGISTRATION = "when it was registered"

log = structlog.get_logger("models")


@dataclass(frozen=True, slots=True)
class Registration:
    """`existed`: the branch was at just this already, or this call was answered before."""

    version: Version
    existed: bool


async def given_lineage(given: Lineage, by: Principal) -> Lineage:
    """Where nobody knows more than the client: without what only the daemon can say."""
    return replace(given, job_id="", command=(), models=(), datasets=(), gpu_hours=0.0)


@dataclass(slots=True)
class ModelService:
    """Reads and commits under `care.deciding`, so that nothing comes between; the store compares references once more."""

    care: ModelCare
    lineage: Lineages = given_lineage

    @property
    def reader(self) -> ModelReader:
        return self.care.reader

    # Registration

    async def register(
        self, draft: Draft, what: str | Source, by: Caller, contents: str = "", *, vouched: bool = False
    ) -> AsyncIterator[Progress | Registration]:
        """Take what lies at the path `what`, and commit it as the next version of a branch; ends with the Registration.

        contents  what it must consist of, see `contents_of`; "": whatever it does
        vouched   the lineage is the daemon's own, and complete
        raises  Denied, Conflict (somebody else moved the branch meanwhile), Exhausted (quota), AlreadyExists (a tag), and what Vault.take does
        """
        answered = await self.answered(draft, by)
        if answered is not None:
            yield answered
            return
        if draft.allow_flagged:
            permits.check_allows(by)
        if not vouched:
            draft = replace(draft, lineage=await self.lineage(draft.lineage, by.principal))
        await self.care.check_people((), draft.group, by)
        model = await self.model_for(draft, by)
        tip = await self._tip(draft)
        if not same_version(draft.expected or tip, tip):
            raise conflict(draft.model, draft.branch, expected=draft.expected, there=tip)
        parents = await self._parents(draft, tip, model)
        base = await self.reader.manifest(parents[0]) if parents and parents[0].state is not VersionState.ABSENT else None
        source = what if isinstance(what, Source) else Source(what, by.principal.uid, by.principal.gid, by.name)
        quota = await self.quota(model)
        self.care.reached("register.1-before")
        async with closing(within(quota, self.care.vault.take(replace(source, room=quota.room), base))) as steps:
            async for step in steps:
                if isinstance(step, Progress):
                    yield step
                else:  # before the iterator is closed: until then nothing that was taken can be swept
                    self.care.reached("register.2-taken")
                    _check_contents(step.manifest, contents)
                    yield await self._commit_taken(completed(draft, step.said), step, tip, [parent.id for parent in parents], by)

    async def answered(self, draft: Draft, by: Caller) -> Registration | None:
        """What a call with this key was answered before."""
        before = await self.care.store.registered(by.principal.uid, draft.key) if draft.key else None
        if before is None:
            return None
        if (before.kind, before.model) != (draft.kind, draft.model):
            raise AlreadyExists(f"the key of this call was used for {before.model}", hint="use another idempotency_key", key=draft.key)
        found = await self.care.store.version(before.kind, before.model, before.version)
        return Registration(found, existed=True) if found is not None else None

    async def model_for(self, draft: Draft, by: Caller) -> Model:
        """The one that is there, or a new one that is not yet remembered."""
        found = await self.care.store.model(draft.kind, draft.model)
        if found is None:
            return new_model(draft, by, self.care.wall_s())
        if permits.role_of(found, by) is ModelRole.NONE:  # no more than that it is taken
            raise AlreadyExists(
                f"the name {draft.model} is taken", hint=f"choose another, such as {by.name}/{draft.model.rpartition('/')[2]}", model=draft.model
            )
        permits.check(found, by, ModelRole.WRITER, "register versions of it")
        return found

    async def _tip(self, draft: Draft) -> str:
        references = {each.name: each for each in await self.care.store.references(draft.kind, draft.model)}
        for tag in draft.tags:
            if tag in references:
                raise AlreadyExists(f"{draft.model}:{tag} is there already", hint="choose another tag, or move it: aiosctl model tag --force", reference=tag)
        branch = references.get(draft.branch)
        if branch is not None and branch.kind is not RefKind.BRANCH:
            raise FailedPrecondition(f"{draft.model}:{draft.branch} is no branch: its kind is {branch.kind}", hint="name a branch", reference=draft.branch)
        return branch.version if branch is not None else ""

    async def _parents(self, draft: Draft, tip: str, model: Model) -> Sequence[Version]:
        """What the branch is at, then what else it was made from; each once."""
        found = [await self._version(draft.kind, draft.model, tip)] if tip else []
        found += [await self.reader.version(model, parse_inside(text, model.name, model.kind)) for text in draft.parents]
        return list({version.id: version for version in found}.values())

    async def quota(self, model: Model) -> "Quota":
        limit = self.care.limit_of(model.owner)
        holding = (await self.care.store.holdings()).get(model.owner_uid) if limit else None
        return Quota(model.owner, limit, holding.stored_bytes if holding is not None else 0)

    async def _commit_taken(self, draft: Draft, taken: Taken, tip: str, parents: Sequence[str], by: Caller) -> Registration:
        store = self.care.store
        async with self.care.deciding:
            if (answered := await self.answered(draft, by)) is not None:  # the same call came twice, and the other was faster
                return answered
            model = await self.model_for(draft, by)
            there = await self._tip(draft)
            if there != tip:
                raise conflict(draft.model, draft.branch, expected=tip, there=there)
            now_s = self.care.wall_s()
            parent = await self._version(draft.kind, draft.model, tip) if tip else None
            if parent is not None and not draft.adds_to(parent, taken.manifest.digest):
                await self._again(draft, parent, taken, by, now_s)
                return Registration(await self._version(draft.kind, draft.model, tip), existed=True)
            commit = commit_of(draft, taken.manifest, taken.schema, tuple(parents), by.name, now_s)
            last = await store.last_number(model.kind, model.name)
            version = version_of(model, last, commit, taken.manifest, taken.stored_bytes, taken.findings)
            if draft.allow_flagged and version.state is VersionState.FLAGGED:
                version = permits.allowed(version, by, _AT_REGISTRATION)
            who = permits.mover(by, draft.lineage.job_id)
            moves = [RefChange(model.kind, model.name, Move(draft.branch, RefKind.BRANCH, tip, version.id, who, now_s, headline(draft.message)), tip)]
            moves += _tags(draft, version, by, now_s)
            await store.commit(ModelChanges(
                models=[model] if not await store.model(model.kind, model.name) else [], versions=[(version, encoded(commit))], chunks=taken.chunks,
                manifests={commit.manifest: taken.manifest.encode()}, tensors={commit.manifest: taken.tensors}, references=moves,
                requests=self._request(draft, version, by, now_s), uses=made_by(draft.lineage.job_id, version, now_s),
            ))  # fmt: skip
        self.care.reached("register.3-committed")
        log.info("registered", model=model.name, kind=model.kind, version=version.id, branch=draft.branch, size=version.size, by=by.name)
        await self.care.heal([chunk.digest for chunk in taken.chunks])
        return Registration(version, existed=False)

    async def _again(self, draft: Draft, parent: Version, taken: Taken, by: Caller, now_s: float) -> None:
        """The same content once more, maybe with a tag: what of it was lost is there again."""
        changes = ModelChanges(
            chunks=taken.chunks, tensors={parent.commit.manifest: taken.tensors}, references=_tags(draft, parent, by, now_s),
            requests=self._request(draft, parent, by, now_s), uses=made_by(draft.lineage.job_id, parent, now_s),
            states=[permits.allowed(parent, by, _AT_REGISTRATION)] if draft.allow_flagged and parent.state is VersionState.FLAGGED else [],
        )  # fmt: skip
        await self.care.store.commit(changes)
        await self.care.heal([chunk.digest for chunk in taken.chunks])

    def _request(self, draft: Draft, version: Version, by: Caller, now_s: float) -> Sequence[Registered]:
        return [Registered(by.principal.uid, draft.key, draft.kind, draft.model, version.id, now_s)] if draft.key else []

    async def _version(self, kind: Kind, model: str, id_: str) -> Version:
        found = await self.care.store.version(kind, model, id_)
        if found is None:
            raise NotFound(f"{model} has no version {id_[:SHORT]}", hint=f"`aiosctl model log --all {model}` lists them", model=model, version=id_)
        return found


@dataclass(frozen=True, slots=True)
class Quota:
    """The bytes that the models of `owner` may take as stored, 0: without limit, and those that they do."""

    owner: str
    limit: int
    used: int

    @property
    def room(self) -> int | None:
        return max(0, self.limit - self.used) if self.limit else None


async def within(quota: Quota, taking: AsyncIterator[Progress | Came], beside: int = 0) -> AsyncIterator[Progress | Came]:
    """Watches the quota, so that nobody fills the disk first and is told afterwards. `beside`: what it takes in the database."""
    async with closing(taking) as steps:
        async for step in steps:
            new = beside + (step.stored if isinstance(step, Progress) else step.stored_bytes)
            if quota.room is not None and new > quota.room:
                raise Exhausted(
                    f"the models of {quota.owner} may take {format_bytes(quota.limit)}, have {format_bytes(quota.used)}, and this needs at least "
                    f"{format_bytes(new)} more",
                    hint="remove versions (aiosctl model rm, model gc), or ask an admin for more: aiosctl admin user set --max-model-bytes",
                    user=quota.owner, limit=quota.limit, used=quota.used, needed=new,
                )  # fmt: skip
            yield step


def _tags(draft: Draft, version: Version, by: Caller, now_s: float) -> list[RefChange]:
    who = permits.mover(by, draft.lineage.job_id)
    return [RefChange(draft.kind, draft.model, Move(tag, RefKind.TAG, "", version.id, who, now_s, "registered"), "") for tag in draft.tags]


def made_by(job_id: str, version: Version, now_s: float) -> Sequence[Use]:
    """That this job has made it; it may have been there before, if what the job made is just that."""
    return [Use(job_id, UseRole.MADE, version.commit.kind, version.model, version.id, now_s)] if job_id else []


def _check_contents(manifest: Manifest, contents: str) -> None:
    if contents and contents_of(manifest) != contents:
        raise FailedPrecondition(
            "what arrived is not what was sent; nothing was registered", hint="send all of it again; does somebody write to it?", contents=contents
        )


@asynccontextmanager
async def closing(steps: AsyncIterator[Step]) -> AsyncIterator[AsyncIterator[Step]]:
    """Closed at the end of the block, and not when the garbage collector finds it."""
    try:
        yield steps
    finally:
        if isinstance(steps, AsyncGenerator):
            await steps.aclose()
