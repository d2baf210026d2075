"""The writer of references: makes, moves and removes them, merges and reverts; and what is set for a model, or removed with it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import structlog

from aiosd.errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound
from aiosd.models import history, permits
from aiosd.models.care_service import ModelCare
from aiosd.models.draft import MOST_HEADLINE, encoded, version_of
from aiosd.models.history import SHORT, How, Strategy, conflict, same_version
from aiosd.models.manifest import Manifest
from aiosd.models.model import Model, ModelRole, Move, Reference, RefKind
from aiosd.models.names import check_reference_name
from aiosd.models.permits import Caller
from aiosd.models.ports import Lineages, ModelChanges, RefChange
from aiosd.models.read_service import ModelReader
from aiosd.models.references import MAIN, parse_inside, parse_ref
from aiosd.models.service import given_lineage, made_by
from aiosd.models.settings import ModelChange
from aiosd.models.version import Commit, Kind, Lineage, Schema, Version, VersionState

BEFORE = "-"  # as in `cd -`: where a reference was before it came to where it is

log = structlog.get_logger("models")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """Where a reference is to be. `to` "": removed, "-": where it was before. `expected` None: wherever it is; "": it must not exist.

    job_id  the caller's job that moves it
    """

    kind: Kind
    model: str
    name: str
    of: RefKind | None = None  # None: what it is already
    to: str = ""
    expected: str | None = None
    why: str = ""
    force: bool = False
    job_id: str = ""


@dataclass(frozen=True, slots=True)
class Merged:
    version: Version
    how: How


@dataclass(slots=True)
class ModelMoves:
    """Reads and commits under `care.deciding`, so that nothing comes between; the store compares references once more.

    Where a job of the caller's does it (`job_id`), the history says so; Denied, where that is none that runs.
    """

    care: ModelCare
    lineage: Lineages = given_lineage

    @property
    def reader(self) -> ModelReader:
        return self.care.reader

    # References

    async def move(self, wish: Wish, by: Caller) -> Reference:
        """Make, move or remove a reference; answers it as it is, or was.

        raises  Conflict (it is not where it was expected), AlreadyExists (a tag stays), FailedPrecondition (a branch would lose versions), NotFound
        """
        check_reference_name(wish.name)
        who = permits.mover(by, (await self._lineage(wish.job_id, by)).job_id)
        async with self.care.deciding:
            model = await self.reader.model(wish.kind, wish.model, by, ModelRole.WRITER, "move references of it")
            there = await self._reference(model, wish.name)
            at = there.version if there is not None else ""
            if wish.expected is not None and not same_version(wish.expected, at):
                raise conflict(model.name, wish.name, expected=wish.expected, there=at)
            if not wish.to:
                return await self._remove_reference(model, there, wish, who)
            to = await self._target(model, wish)
            if to.state is VersionState.ABSENT:
                raise permits.not_here(to)
            target = to.id
            kind = _kind_of(model, wish, there)
            if there is not None and target == at:
                return there
            if there is not None and not wish.force:
                await self._check_move(model, there, target)
            move = Move(wish.name, kind, at, target, who, self.care.wall_s(), wish.why)
            await self._commit_move(model, move)
        return Reference(move.reference, move.kind, move.target, move.at_s, move.who)

    async def _lineage(self, job_id: str, by: Caller) -> Lineage:
        """Of what a job of the caller's does here: what only the daemon knows of that. Raises Denied."""
        return await self.lineage(Lineage(job_id=job_id), by.principal)

    async def _commit_move(self, model: Model, move: Move) -> None:
        self.care.reached("move.1-before")
        await self.care.store.commit(ModelChanges(references=[RefChange(model.kind, model.name, move, move.source)]))
        self.care.reached("move.2-committed")
        said = {"reference": move.reference, "source": move.source, "target": move.target, "by": move.who, "why": move.why}
        log.info("moved", model=model.name, kind=model.kind, **said)

    async def _reference(self, model: Model, name: str) -> Reference | None:
        return next((each for each in await self.care.store.references(model.kind, model.name) if each.name == name), None)

    async def _target(self, model: Model, wish: Wish) -> Version:
        if wish.to == BEFORE:
            before = history.previous(await self.care.store.targets(model.kind, model.name, wish.name))
            if not before:
                raise NotFound(
                    f"{model.name}:{wish.name} was nowhere before", hint=f"`aiosctl model log --refs {model.name}` lists its moves", model=model.name
                )
            return await self.reader.version(model, parse_ref(f"{model.name}@{before}", model.kind))
        return await self.reader.version(model, parse_inside(wish.to, model.name, model.kind))

    async def _check_move(self, model: Model, there: Reference, target: str) -> None:
        """What a tag or a branch does only by force."""
        if there.kind is RefKind.TAG:
            raise AlreadyExists(
                f"the tag {model.name}:{there.name} is at {there.version[:SHORT]} already", hint="tags stay; move it with --force if you must", model=model.name
            )
        if there.kind is RefKind.BRANCH and not (await self.reader.graph(model)).is_ancestor(target, there.version):
            raise FailedPrecondition(
                f"{model.name}:{there.name} is at {there.version[:SHORT]}, which does not come before {target[:SHORT]}: versions would be left behind",
                hint=f"merge it, or go back on purpose: aiosctl model rollback {model.name}:{there.name} --to {target[:SHORT]}",
                model=model.name, reference=there.name,
            )  # fmt: skip

    async def _remove_reference(self, model: Model, there: Reference | None, wish: Wish, who: str) -> Reference:
        if there is None:
            raise NotFound(f"{model.name} has no branch, tag or alias {wish.name!r}", hint=f"`aiosctl model show {model.name}` lists them", model=model.name)
        if wish.of not in (None, there.kind):
            raise InvalidArgument(
                f"{model.name}:{wish.name} is no {wish.of}: its kind is {there.kind}",
                hint=f"remove it with `{there.kind} --delete`",
                reference=wish.name,
            )
        if there.name == MAIN and not wish.force:
            raise FailedPrecondition(
                f"{model.name}:{MAIN} is what the name {model.name} stands for", hint="remove it with --force if you must", model=model.name
            )
        await self._commit_move(model, Move(there.name, there.kind, there.version, "", who, self.care.wall_s(), wish.why))
        return there

    # New versions of what is there

    async def merge(
        self, kind: Kind, name: str, into: str, source: str, strategy: Strategy, message: str, expected: str, by: Caller, job_id: str = ""
    ) -> Merged:
        """Bring the version `source` into the branch `into`. Raises FailedPrecondition where somebody has to choose a side."""
        lineage = await self._lineage(job_id, by)
        async with self.care.deciding:
            model = await self.reader.model(kind, name, by, ModelRole.WRITER, "merge in it")
            branch = await self._branch(model, into or MAIN, expected)
            ours = await self.reader.version(model, parse_ref(f"{name}@{branch.version}", kind))
            theirs = await self.reader.version(model, parse_inside(source, name, kind))
            how = history.merged(await self.reader.graph(model), ours.id, theirs.id, strategy)
            if how is How.ALREADY:
                return Merged(ours, how)
            why = message or f"merge {source}"
            if how is How.FAST_FORWARD:
                if theirs.state is VersionState.ABSENT:
                    raise permits.not_here(theirs)
                await self._commit_move(model, Move(branch.name, branch.kind, ours.id, theirs.id, permits.mover(by, lineage.job_id), self.care.wall_s(), why))
                return Merged(theirs, how)
            kept = ours if strategy is Strategy.OURS else theirs
            return Merged(await self._commit_like(model, branch, kept, (ours.id, theirs.id), why, by, lineage), how)

    async def revert(self, kind: Kind, ref: str, onto: str, message: str, expected: str, by: Caller, job_id: str = "") -> Version:
        """Undo on a branch what one version changed, as a new version. Raises Conflict where that was changed again since."""
        lineage = await self._lineage(job_id, by)
        async with self.care.deciding:
            found = await self.reader.find(kind, ref, by, ModelRole.WRITER, "revert versions of it")
            model, undone = found.model, found.version
            branch = await self._branch(model, onto or MAIN, expected)
            tip = await self.reader.version(model, parse_ref(f"{model.name}@{branch.version}", kind))
            if not undone.commit.parents:
                raise FailedPrecondition(f"{model.name}@{undone.id[:SHORT]} is the first version: there is nothing before it", version=undone.id)
            before = await self.reader.version(model, parse_ref(f"{model.name}@{undone.commit.parents[0]}", kind))
            manifests = [await self.reader.manifest(version) for version in (tip, undone, before)]
            content = history.reverted(manifests[0], manifests[1], manifests[2])
            why = message or f'revert {undone.id[:SHORT]} "{undone.commit.message.partition(chr(10))[0][:MOST_HEADLINE]}"'
            if content == manifests[2]:
                return await self._commit_like(model, branch, before, (tip.id,), why, by, lineage)
            mixed = Schema(format=tip.commit.schema.format, framework=tip.commit.schema.framework, notes=("files of several versions: not read again",))
            return await self._commit_like(model, branch, _warier(tip, before), (tip.id,), why, by, lineage, content, mixed)

    async def _branch(self, model: Model, name: str, expected: str) -> Reference:
        branch = await self._reference(model, name)
        if branch is None or branch.kind is not RefKind.BRANCH:
            names = [each.name for each in await self.care.store.references(model.kind, model.name) if each.kind is RefKind.BRANCH]
            raise NotFound(f"{model.name} has no branch {name!r}", hint=f"it has {', '.join(names[:10]) or 'none'}", model=model.name, reference=name)
        if expected and not same_version(expected, branch.version):
            raise conflict(model.name, name, expected=expected, there=branch.version)
        return branch

    async def _commit_like(
        self, model: Model, branch: Reference, like: Version, parents: tuple[str, ...], message: str, by: Caller, lineage: Lineage,
        content: Manifest | None = None, schema: Schema | None = None,
    ) -> Version:  # fmt: skip
        """A version on `branch` with what `like` says and has; with other `content` it says nothing of what was measured."""
        was, manifest, now_s = like.commit, content or await self.reader.manifest(like), self.care.wall_s()
        commit = Commit(
            kind=model.kind, manifest=manifest.digest, parents=parents, author=by.name, created_at_s=now_s, message=message,
            metrics=was.metrics if content is None else {}, labels=was.labels, licence=was.licence, card=was.card, schema=schema or was.schema,
            lineage=lineage,
        )  # fmt: skip
        last = await self.care.store.last_number(model.kind, model.name)
        version = replace(version_of(model, last, commit, manifest), state=like.state, reasons=like.reasons)
        move = Move(branch.name, branch.kind, branch.version, version.id, permits.mover(by, lineage.job_id), now_s, message)
        self.care.reached("move.1-before")
        await self.care.store.commit(ModelChanges(
            versions=[(version, encoded(commit))], manifests={manifest.digest: manifest.encode()},
            references=[RefChange(model.kind, model.name, move, branch.version)], uses=made_by(lineage.job_id, version, now_s),
        ))  # fmt: skip
        self.care.reached("move.2-committed")
        log.info("committed", model=model.name, kind=model.kind, version=version.id, branch=branch.name, by=by.name, why=message)
        return version

    # Models themselves

    async def set(self, kind: Kind, name: str, change: ModelChange, by: Caller) -> Model:
        """Change what is named; whoever may write may describe, all else takes the owner."""
        least = ModelRole.WRITER if change.describes_only else ModelRole.OWNER
        await self.care.check_people([who for who, role in change.roles.items() if role is not ModelRole.NONE], change.group or "", by)
        async with self.care.deciding:
            model = change.applied_to(await self.reader.model(kind, name, by, least, "change what is set for it"))
            await self.care.store.commit(ModelChanges(models=[model]))
        log.info("set", model=name, kind=kind, by=by.name)
        return model

    async def remove(self, kind: Kind, ref: str, by: Caller, *, force: bool = False) -> Sequence[str]:
        """A whole model by its name, or one version: what has gone. Bytes go with the next sweep. Raises FailedPrecondition for what is used."""
        named = parse_ref(ref, kind)
        async with self.care.deciding:
            model = await self.reader.model(kind, named.model, by, ModelRole.OWNER, "remove it")
            pins = [pin for pin in await self.care.pinned() if (pin.kind, pin.model) == (kind, model.name)]
            if ref == model.name:
                gone = await self._remove_model(model, [f"{pin.why} uses it" for pin in pins], force=force)
            else:
                version = await self.reader.version(model, named)
                gone = await self._remove_version(model, version, [pin.why for pin in pins if pin.version == version.id], force=force)
        if self.care.warnings():
            await self.care.recount()
        log.info("removed", model=model.name, kind=kind, what=list(gone)[:10], by=by.name)
        return gone

    async def _remove_model(self, model: Model, used: Sequence[str], *, force: bool) -> Sequence[str]:
        summary = (await self.care.store.summaries(model.kind, [model.name]))[model.name]
        if used:
            raise FailedPrecondition(f"{model.name} cannot go: {used[0]}", hint="end what uses it first", model=model.name)
        if summary.versions and not force:
            raise FailedPrecondition(
                f"{model.name} would be gone for good, with all of its versions ({summary.versions}) and references ({len(summary.references)})",
                hint="repeat it with --force if that is what you want", model=model.name, versions=summary.versions,
            )  # fmt: skip
        await self.care.store.commit(ModelChanges(gone_models=[(model.kind, model.name)]))
        return [model.name]

    async def _remove_version(self, model: Model, version: Version, used: Sequence[str], *, force: bool) -> Sequence[str]:
        name = f"{model.name}@{version.id[:SHORT]}"
        references = await self.care.store.references(model.kind, model.name)
        leading = [each.name for each in references if each.version == version.id]
        if used or leading:
            raise FailedPrecondition(f"{name} cannot go: {(used or [f'{leading[0]} leads to it'])[0]}", hint="move or end that first", version=version.id)
        graph = await self.reader.graph(model)
        if not force and any(graph.is_ancestor(each.version, version.id) for each in references):
            raise FailedPrecondition(f"{name} is part of a history", hint="--force leaves a gap in it", version=version.id)
        await self.care.store.commit(ModelChanges(gone_versions=[(model.kind, model.name, version.id)]))
        return [name]


def _warier(one: Version, other: Version) -> Version:
    """The first, as suspect as either of them: what comes out has files of both."""
    if VersionState.FLAGGED not in (one.state, other.state):
        return replace(one, state=other.state, reasons=other.reasons) if one.state is VersionState.REGISTERED else one
    return replace(one, state=VersionState.FLAGGED, reasons=tuple(dict.fromkeys((*one.reasons, *other.reasons))))


def _kind_of(model: Model, wish: Wish, there: Reference | None) -> RefKind:
    if there is None:
        return wish.of or RefKind.BRANCH
    if wish.of not in (None, there.kind):
        raise AlreadyExists(f"{model.name}:{wish.name} is taken: its kind is {there.kind}", hint=f"choose another name for the {wish.of}", reference=wish.name)
    return there.kind
