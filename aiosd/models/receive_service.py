"""The receiver of versions from other stores, whichever way they come: looked at, compared, and committed as they are, ids and all."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import structlog

from aiosd.errors import Conflict, FailedPrecondition, StorageCorrupt
from aiosd.models.care_service import ModelCare
from aiosd.models.draft import version_of
from aiosd.models.history import SHORT
from aiosd.models.manifest import Manifest
from aiosd.models.model import Model, Move, Reference, RefKind, Signature
from aiosd.models.parcel import MOST_ANCESTRY_BYTES, MOST_VERSIONS, Opened, Parcel, chunks_of, opened
from aiosd.models.permits import Caller
from aiosd.models.ports import ModelChanges, RefChange
from aiosd.models.references import MAIN
from aiosd.models.service import ModelService, closing, within
from aiosd.models.vault_ports import Delivery, Examined, Progress, Received, Source, Stored, new_bytes
from aiosd.models.version import Version, VersionState, decode_commit

_AT_ONCE = 50  # commits in one transaction: some 30 ms

log = structlog.get_logger("models")


@dataclass(frozen=True, slots=True)
class Landed:
    """The versions that came, in their order; `new`: the ids of those that were not here."""

    versions: Sequence[Version]
    new: frozenset[str]


async def ancestry(ids: Iterable[str], read: Callable[[str], Awaitable[bytes]]) -> tuple[bytes, ...]:
    """The commits of these, the first ones first, as many as go along; without those that are damaged, which keep nothing else from going."""
    bodies, left = list[bytes](), MOST_ANCESTRY_BYTES
    for id_ in islice(ids, MOST_VERSIONS):
        try:
            body = await read(id_)
        except StorageCorrupt:
            continue
        left -= len(body)
        if left < 0:
            break
        bodies.append(body)
    return tuple(bodies)


@dataclass(slots=True)
class ModelReceiver:
    """Reads and commits under `care.deciding`, as ModelService does."""

    models: ModelService

    @property
    def care(self) -> ModelCare:
        return self.models.care

    async def receive(
        self, parcel: Parcel, by: Caller, *, branch: str = "", bundle: str = "", head: str = "",
        feed: AsyncIterator[tuple[str, bytes]] | None = None, had: Collection[str] | None = None,
    ) -> AsyncIterator[Progress | Landed]:  # fmt: skip
        """Take all of `parcel`, with its chunks from the file `bundle` or from `feed`, and lead the branch and tags to it; ends with Landed.

        Chunks may be left out that its base has, or a parent that is here: a chunk of anybody else's model is no chunk that came.

        had     the chunks that do not come, where the caller is known to have a right to them already
        branch  where the last of its versions goes; "": where each says that it goes
        raises  InvalidArgument (what is damaged, or made to do harm), Conflict (the branch or tag has gone another way), Denied, Exhausted,
                FailedPrecondition (the base is not here), and what Vault.receive does
        """
        came = await asyncio.to_thread(opened, parcel)
        if branch:
            came = _redirected(came, branch)
        model = await self._model_for(came, by)
        versions, _, before = await self._decided(came, model, by)
        if had is None:
            had = chunks_of(await self._had(came, model))
        delivery = Delivery(
            list(came.manifests.values()), sorted(version.commit.manifest for version in versions), sorted(had), parcel.parts, head, feed
        )  # fmt: skip
        source = Source(bundle, by.principal.uid, by.principal.gid, by.name)
        self.care.reached("import.1-before")
        quota = await self.models.quota(model)
        async with closing(within(quota, self.care.vault.receive(source, delivery), _size(before))) as steps:
            async for step in steps:
                if isinstance(step, Progress):
                    yield step
                else:  # before the iterator is closed: until then nothing that came can be swept
                    self.care.reached("import.2-received")
                    yield await self._commit(came, step, by)

    async def here(self, parcel: Parcel, by: Caller) -> Sequence[Manifest]:
        """Of what may be left out: the lists of files of its base and of its parents that are here. Raises FailedPrecondition for a base that is not."""
        came = await asyncio.to_thread(opened, parcel)
        return await self._had(came, await self._model_for(came, by))

    async def _model_for(self, came: Opened, by: Caller) -> Model:
        return await self.models.model_for(came.draft(next(iter(came.commits)), MAIN), by)

    async def _had(self, came: Opened, model: Model) -> Sequence[Manifest]:
        """Of versions of this model alone: whoever may write to it may read them."""
        store, parcel = self.care.store, came.parcel
        named = {*came.commits, *parcel.base, *(parent for commit in came.commits.values() for parent in commit.parents)}
        picked = await store.picked(parcel.kind, [(model.name, id_) for id_ in named])
        there = {id_: version for (_, id_), version in picked.items() if version.state is not VersionState.ABSENT}
        lacking = [id_ for id_ in parcel.base if id_ not in there]
        if lacking:
            raise FailedPrecondition(
                f"it holds only what {model.name}@{lacking[0][:SHORT]} lacks, and that version is not here",
                hint="bring that one first, or have this one exported without --base; with --as it must be under the same name", base=lacking[0],
            )  # fmt: skip
        return list((await store.manifests({version.commit.manifest for version in there.values()})).values())

    async def _decided(self, came: Opened, model: Model, by: Caller) -> tuple[list[Version], list[RefChange], Mapping[str, bytes]]:
        """The versions that are new here, or absent, without what is found in them; where references go; and the commits before them
        that are not here, whose numbers come first. Raises Conflict.
        """
        store, kind = self.care.store, came.parcel.kind
        picked = await store.picked(kind, [(model.name, id_) for id_ in came.commits])
        there = {each.name: each for each in await store.references(kind, model.name)}
        graph = {node.id: node.parents for node in (await self.models.reader.graph(model)).nodes.values()}
        before, versions, changes, now_s = came.lacking(graph), list[Version](), list[RefChange](), self.care.wall_s()
        last = await store.last_number(kind, model.name) + len(before)
        for id_, commit in came.commits.items():
            known = picked.get((model.name, id_))
            if known is None or known.state is VersionState.ABSENT:
                at = known.number - 1 if known is not None else last
                last += known is None
                versions.append(version_of(model, at, commit, came.manifests[commit.manifest], 0, came.sent[id_].flags))
            for move in _moves(came, model.name, id_, there, graph):
                there[move.reference] = Reference(move.reference, move.kind, id_, now_s, by.name)
                changes.append(RefChange(kind, model.name, replace(move, who=by.name, at_s=now_s), move.source))
        return versions, changes, before

    async def _commit(self, came: Opened, received: Received, by: Caller) -> Landed:
        store, kind = self.care.store, came.parcel.kind
        async with self.care.deciding:
            model = await self._model_for(came, by)
            versions, changes, before = await self._decided(came, model, by)
            last = await store.last_number(kind, model.name)
            if unseen := [version for version in versions if version.commit.manifest not in received.examined]:
                raise Conflict(
                    f"{model.name}@{unseen[0].id[:SHORT]} was here when it came, and was removed meanwhile: nobody has looked into it", hint="send it again",
                    model=model.name, version=unseen[0].id,
                )  # fmt: skip
            new = _counted([_flagged(version, received.examined) for version in versions], came.manifests, received.chunks)
            signed, absent = await self._signed(came, by), await store.absent(kind, model.name)
            await store.commit(ModelChanges(
                models=[] if await store.model(kind, model.name) else [model], filled=[version for version in new if version.id in absent],
                versions=[(version, came.sent[version.id].commit) for version in new if version.id not in absent], chunks=received.chunks,
                manifests={version.commit.manifest: came.manifests[version.commit.manifest].encode() for version in new},
                tensors={manifest: found.tensors for manifest, found in received.examined.items()}, references=changes, signatures=signed,
            ))  # fmt: skip
            self.care.reached("import.3-committed")
            await self._remember(model, last, list(before.values()))
        log.info("received", model=model.name, kind=kind, versions=[version.id for version in new], bytes=received.stored_bytes, by=by.name)
        await self.care.heal([chunk.digest for chunk in received.chunks])
        found = await store.picked(kind, [(model.name, id_) for id_ in came.commits])
        return Landed([found[model.name, id_] for id_ in came.commits], frozenset(version.id for version in new))

    async def _remember(self, model: Model, last: int, commits: Sequence[bytes]) -> None:
        """What comes before, without its bytes, as absent versions from the number behind `last` on. A few in a transaction, since those of the
        scheduler wait behind it; who is killed between has a history that ends where any may end, until the same comes once more.
        """
        for at in range(0, len(commits), _AT_ONCE):
            some = commits[at : at + _AT_ONCE]
            versions = await asyncio.to_thread(_absent, model, last + at, some)
            await self.care.store.commit(ModelChanges(versions=list(zip(versions, some, strict=True))))

    async def _signed(self, came: Opened, by: Caller) -> list[Signature]:
        """Those that are not here. Nobody can check what comes without its key, so it takes the place of none: the same version may be in other models."""
        signed = list[Signature]()
        for id_, sent in came.sent.items():
            there = {one.key_id for one in await self.care.store.signatures(id_)} if sent.signatures else set[str]()
            signed += [replace(one, signed_by=by.name, version=id_) for one in sent.signatures if one.key_id not in there]
        return signed


def _size(commits: Mapping[str, bytes]) -> int:
    return sum(map(len, commits.values()))


def _absent(model: Model, last: int, commits: Sequence[bytes]) -> list[Version]:
    """Each takes no more than its commit."""
    decoded = map(decode_commit, commits)
    return [
        Version(model=model.name, number=number, id=commit.id, commit=commit, size=0, files=0, stored_bytes=len(body), state=VersionState.ABSENT)
        for number, (commit, body) in enumerate(zip(decoded, commits, strict=True), last + 1)
    ]  # fmt: skip


def _redirected(came: Opened, branch: str) -> Opened:
    """The last version goes to `branch`, and none to another."""
    last = list(came.sent)[-1]
    sent = {id_: replace(one, branch=branch if id_ == last else "") for id_, one in came.sent.items()}
    made = replace(came, sent=sent)
    made.draft(last, branch)
    return made


def _moves(came: Opened, model: str, id_: str, there: Mapping[str, Reference], graph: Mapping[str, Sequence[str]]) -> list[Move]:
    """Where this version is led to: a branch goes forward, a tag is made; both may be there already. Raises Conflict."""
    sent, moves = came.sent[id_], list[Move]()
    for name, kind in ((sent.branch, RefKind.BRANCH), *((tag, RefKind.TAG) for tag in sent.tags)):
        at = there.get(name)
        if not name or (at is not None and at.version == id_):
            continue
        if at is not None and at.kind is RefKind.BRANCH and kind is RefKind.BRANCH and came.leads_to(id_, at.version, graph):
            continue  # the branch is further already
        forward = at is None or (at.kind is RefKind.BRANCH and kind is RefKind.BRANCH and came.leads_to(at.version, id_, graph))
        if not forward:
            assert at is not None
            raise Conflict(
                f"the {at.kind} {model}:{name} is at {at.version[:SHORT]} here, and what came would have it at {id_[:SHORT]}, which does not come after that",
                hint="bring it to a branch of its own: --branch NAME; then `merge` or `branch --force` as you choose",
                model=model, reference=name, expected=id_, there=at.version,
            )  # fmt: skip
        moves.append(Move(name, kind, at.version if at else "", id_, "", 0.0, "received"))
    return moves


def _flagged(version: Version, examined: Mapping[str, Examined]) -> Version:
    """What is flagged where it comes from stays so, and what is found in it here is added; nobody's permission travels."""
    reasons = dict.fromkeys((*version.reasons, *examined[version.commit.manifest].findings))
    return replace(version, reasons=tuple(reasons), state=VersionState.FLAGGED if reasons else VersionState.REGISTERED)


def _counted(versions: Sequence[Version], manifests: Mapping[str, Manifest], chunks: Sequence[Stored]) -> list[Version]:
    """With what each added to the store: a chunk counts for the first version that has it."""
    left = {chunk.digest: chunk for chunk in chunks}
    counted = []
    for version in versions:
        own = [left.pop(digest) for digest in chunks_of([manifests[version.commit.manifest]]) if digest in left]
        counted.append(replace(version, stored_bytes=new_bytes(own)))
    return counted
