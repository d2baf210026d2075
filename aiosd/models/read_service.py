"""What looks at models: finds versions by their references, lists, compares, and hands out what was registered."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeAlias, TypeVar

from aiosd.access.principal import Principal, Role
from aiosd.errors import Denied, FailedPrecondition, InvalidArgument, NotFound, StorageCorrupt
from aiosd.models import diff, permits, references, signing
from aiosd.models.history import SHORT, Graph, Unread
from aiosd.models.manifest import DIGEST_LETTERS, Manifest
from aiosd.models.model import Model, ModelRole, Move, Reference, RefKind, Signature
from aiosd.models.permits import Caller
from aiosd.models.ports import ModelQuery, ModelStore, Node, Reads, Summary
from aiosd.models.references import MAIN, Ref, parse_ref
from aiosd.models.vault_ports import Progress, Source, TensorDiffs, Vault
from aiosd.models.version import Commit, Kind, Schema, Version, VersionState

PAGE = 100
MOST_A_PAGE = 10_000
MOST_USED_BY = 100
MOST_REMEMBERED = 100_000  # versions in the graphs that are kept in memory: some 50 MB
NEWEST = 1000  # versions that are read first: they take some milliseconds

Named: TypeAlias = Collection[tuple[str, str]]  # versions by model and whole id
Picked: TypeAlias = Mapping[tuple[str, str], Version]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ModelView:
    """A model as it is listed; `latest`: of main, else the newest; `found`: what was asked for, where that was a version of a kind."""

    model: Model
    summary: Summary
    latest: Version | None
    found: Version | None = None


@dataclass(frozen=True, slots=True)
class VersionView:
    """A version with what leads to it; `manifest` where it was asked for."""

    version: Version
    references: Sequence[str] = ()
    signatures: Sequence[Signature] = ()
    manifest: Manifest | None = None
    used_by: Sequence[str] = ()  # "digits@0123456789ab": what jobs have made that have read it, newest first


@dataclass(frozen=True, slots=True)
class Found:
    """What a reference led to."""

    model: Model
    version: Version


@dataclass(frozen=True, slots=True)
class Given:
    """Where a version lies, to be read."""

    path: str
    version: Version


async def no_jobs(job_id: str, version: Version, by: Principal) -> None:
    """Where nobody knows of jobs, nothing is remembered of what they read."""


@dataclass(slots=True)
class ModelReader:
    """Whoever may not know of a model is told that there is none."""

    store: ModelStore
    vault: Vault
    tensor_diff: TensorDiffs | None = None
    reads: Reads = no_jobs
    _graphs: dict[tuple[Kind, str], Graph] = field(default_factory=dict)

    # One model or version

    async def model(self, kind: Kind, name: str, by: Caller, least: ModelRole = ModelRole.READER, doing: str = "read it") -> Model:
        """Raises NotFound, Denied."""
        found = await self.store.model(kind, name)
        if found is None:
            raise permits.unknown(kind, name)
        permits.check(found, by, least, doing)
        return found

    async def find(self, kind: Kind, text: str, by: Caller, least: ModelRole = ModelRole.READER, doing: str = "read it") -> Found:
        """The version that `text` names: "digits:prod", "digits@abc123", "digits:main~2", "digits:^1.2"."""
        ref = parse_ref(text, kind)
        model = await self.model(kind, ref.model, by, least, doing)
        return Found(model, await self.version(model, ref))

    async def version(self, model: Model, ref: Ref) -> Version:
        """Raises NotFound with what is there, InvalidArgument for an id that begins several."""
        return await self._version(model, await self._id_of(model, ref))

    async def _id_of(self, model: Model, ref: Ref) -> str:
        """Of the version, or at least how it begins; the record of that need not be sound."""
        refs = await self.store.references(model.kind, model.name)
        needs_newest = not (ref.name or ref.id or ref.range) and all(each.name != MAIN for each in refs)
        summaries = await self.store.summaries(model.kind, [model.name]) if needs_newest else {}
        id_ = references.led_to(ref, refs, summaries.get(model.name, Summary()).newest)
        if not ref.back:
            return id_
        start = id_ if len(id_) == DIGEST_LETTERS else (await self._version(model, id_)).id
        return await self._of_history(model, lambda graph: graph.back(start, ref.back))

    async def _version(self, model: Model, id_: str) -> Version:
        found = await self.store.version(model.kind, model.name, id_)
        if found is None:
            raise NotFound(
                f"{model.name} has no version {id_[:SHORT]}", hint=f"`aiosctl model log --all {model.name}` lists them", model=model.name, version=id_
            )
        return found

    async def _of_history(self, model: Model, ask: Callable[[Graph], T]) -> T:
        """The answer by the newest versions, where they say it and not all are in memory."""
        last = await self.store.last_number(model.kind, model.name)
        if last > NEWEST and (model.kind, model.name) not in self._graphs:
            after = last - NEWEST
            with suppress(Unread):
                return ask(Graph.of(model.name, await self.store.graph(model.kind, model.name, after), after))
        return ask(await self.graph(model))

    async def graph(self, model: Model) -> Graph:
        """From memory where it is as it was; what has come since is added to it."""
        return await self._graph(model.kind, model.name)

    async def _graph(self, kind: Kind, model: str) -> Graph:
        key = kind, model
        count, newest = await self.store.tally(kind, model)
        known = self._graphs.pop(key, None)
        if known is None or known.newest != newest or len(known.nodes) != count:
            known = await self._read_graph(kind, model, known, count)
        if count <= MOST_REMEMBERED:
            self._graphs[key] = known  # the last used is the last
        while sum(len(graph.nodes) for graph in self._graphs.values()) > MOST_REMEMBERED:
            del self._graphs[next(iter(self._graphs))]
        return known

    async def _read_graph(self, kind: Kind, model: str, known: Graph | None, count: int) -> Graph:
        if known is not None and known.last is not None and len(known.nodes) < count:
            grown = known.with_newer(await self.store.graph(kind, model, known.last.number))
            if len(grown.nodes) == count:
                return grown
        return Graph.of(model, await self.store.graph(kind, model))

    async def manifest(self, version: Version) -> Manifest:
        """Raises FailedPrecondition where only its commit is here: a list of that name may be there, and be somebody else's."""
        if version.state is VersionState.ABSENT:
            raise permits.not_here(version)
        found = await self.store.manifest(version.commit.manifest)
        if found is None:
            raise StorageCorrupt(
                f"the list of files of {version.model}@{version.id[:SHORT]} is not in the database", hint="restore a backup", version=version.id
            )
        return found

    # Lists

    async def list(self, query: ModelQuery, by: Caller, after: str, limit: int) -> tuple[Sequence[ModelView], str]:
        """Those that the caller may read, from behind the one named `after`, by name, or with a text by how well it fits; and where the next page begins.

        raises  InvalidArgument (a text of too many words; `after` is not among what was found any more)
        """
        seen: Sequence[Model] = [model for model in await self.store.models(query) if permits.role_of(model, by) >= ModelRole.READER]
        if after:
            seen = _behind(after, seen, by_name=not query.text)
        page = seen[: limit or PAGE]
        return await self._views(query.kind, page, self._readable, query), page[-1].name if len(page) < len(seen) else ""

    async def view(self, kind: Kind, name: str, by: Caller) -> ModelView:
        """Raises StorageCorrupt where it, or its latest version, cannot be read; in a list they say that they are damaged."""
        return (await self._views(kind, [await self.model(kind, name, by)], self.store.picked))[0]

    async def _views(
        self, kind: Kind, models: Sequence[Model], pick: Callable[[Kind, Named], Awaitable[Picked]], query: ModelQuery | None = None
    ) -> Sequence[ModelView]:
        summaries = await self.store.summaries(kind, [model.name for model in models])
        latest = {name: id_ for name, summary in summaries.items() if (id_ := _latest(summary))}
        found = await self.store.matching(query, latest) if query is not None and query.of_versions else {}
        versions = await pick(kind, {*latest.items(), *found.items()})

        def picked(model: str, ids: Mapping[str, str]) -> Version | None:
            return versions.get((model, ids.get(model, "")))

        return [ModelView(one, summaries.get(one.name, Summary()), picked(one.name, latest), picked(one.name, found)) for one in models]

    async def log(self, kind: Kind, text: str, by: Caller, before: int, limit: int, *, everything: bool = False) -> tuple[Sequence[VersionView], int]:
        """Newest first: a version and what came before it, or all of the model; and the number before which the next page begins, 0 at the end."""
        ref, limit = parse_ref(text, kind), min(limit or PAGE, MOST_A_PAGE)
        model = await self.model(kind, ref.model, by)
        tips = () if everything else (await self._known(model, ref),)

        def listed(graph: Graph) -> Sequence[Node]:
            return list(islice(_after(graph.everything() if everything else graph.ancestors(*tips), before), limit + 1))

        page = await self._of_history(model, listed)
        versions = await self._readable(kind, [(model.name, node.id) for node in page[:limit]])
        leading = _leading(await self.store.references(kind, model.name))
        views = [VersionView(versions[model.name, node.id], leading.get(node.id, ())) for node in page[:limit] if (model.name, node.id) in versions]
        return views, page[limit - 1].number if len(page) > limit else 0

    async def _known(self, model: Model, ref: Ref) -> str:
        """The whole id of a version, whose record need not be sound. Raises NotFound."""
        id_ = await self._id_of(model, ref)
        try:
            return (await self._version(model, id_)).id
        except StorageCorrupt:
            if len(id_) < DIGEST_LETTERS:
                raise
            return id_

    async def _readable(self, kind: Kind, wanted: Named) -> Picked:
        """As ModelStore.picked; one whose record is damaged says so."""
        found = dict(await readable(self.store, kind, wanted))
        for name, id_ in set(wanted) - found.keys():
            node = (await self._graph(kind, name)).nodes.get(id_)
            if node is not None:  # or it went meanwhile
                found[name, id_] = _damaged(kind, name, node)
        return found

    async def show(self, kind: Kind, text: str, by: Caller, *, listing: bool = False) -> VersionView:
        found = await self.find(kind, text, by)
        version = found.version
        leading = _leading(await self.store.references(kind, version.model))
        signatures = await self.store.signatures(version.id)
        manifest = await self.manifest(version) if listing and version.state is not VersionState.ABSENT else None
        return VersionView(version, leading.get(version.id, ()), signatures, manifest, await self._used_by(version, by))

    async def _used_by(self, version: Version, by: Caller) -> Sequence[str]:
        """Of what the caller may read, and what is still there, each once: several jobs may have made the same."""
        found: dict[str, None] = {}
        for use in await self.store.made_from(version.id):
            with suppress(StorageCorrupt):  # of one whose record is damaged nobody knows who may read it
                model = await self.store.model(use.kind, use.model)
                if model is not None and permits.role_of(model, by) >= ModelRole.READER and use.version in (await self.graph(model)).nodes:
                    found[f"{use.model}@{use.version[:SHORT]}"] = None
            if len(found) == MOST_USED_BY:
                break
        return list(found)

    async def references(self, kind: Kind, name: str, by: Caller, of: RefKind | None = None) -> Sequence[Reference]:
        model = await self.model(kind, name, by)
        return [each for each in await self.store.references(kind, model.name) if of is None or each.kind is of]

    async def moves(self, kind: Kind, name: str, reference: str, by: Caller, before: int, limit: int) -> tuple[Sequence[Move], int]:
        """Newest first, as `log` has pages; also of references that are no more."""
        model, limit = await self.model(kind, name, by), min(limit or PAGE, MOST_A_PAGE)
        found = await self.store.moves(kind, model.name, reference, before, limit + 1)
        return [move for _, move in found[:limit]], found[limit - 1][0] if len(found) > limit else 0

    async def diff(self, kind: Kind, a: str, b: str, by: Caller, *, tensors: bool = False) -> diff.Diff:
        """`b` against `a`; `b` may leave the model out: ":prod", "@abc123". Where the bytes of one are not here, its files are not compared."""
        left = await self.find(kind, a, by)
        right = await self.find(kind, left.model.name + b if b.startswith((":", "@")) else b, by)
        if VersionState.ABSENT in (left.version.state, right.version.state):
            return diff.unread(left.version, right.version, tensors=tensors)
        files = await self.manifest(left.version), await self.manifest(right.version)
        made = diff.compared(left.version, right.version, *files)
        if not tensors:
            return made
        if self.tensor_diff is None:
            raise InvalidArgument("tensors cannot be compared by this daemon", hint="leave --tensors out", field="tensors")
        return diff.Diff(made.a, made.b, made.changes, made.files, await self.tensor_diff(*files))

    # What was registered

    async def checkout(
        self, kind: Kind, text: str, by: Caller, to: str = "", *, allow_flagged: bool = False, job_id: str = ""
    ) -> AsyncIterator[Progress | Given]:
        """Ends with where it lies. Raises FailedPrecondition for what is flagged or damaged, DataLoss.

        to      a copy of the caller's own there
        job_id  the caller's job that reads it: it stays for as long as that has not ended
        """
        found = await self.find(kind, text, by)
        await self.check_usable(found, by, allow_flagged=allow_flagged)
        if job_id:
            await self.reads(job_id, found.version, by.principal)
        principal = by.principal
        target = Source(to, principal.uid, principal.gid, principal.name)
        async for step in self.vault.give(await self.manifest(found.version), target):
            yield step if isinstance(step, Progress) else Given(step, found.version)

    async def check_usable(self, found: Found, by: Caller, *, allow_flagged: bool = False) -> None:
        """For whatever hands out the content of a version.

        raises  FailedPrecondition for one that is absent, damaged, flagged, or not signed where the model requires it; Denied where the
                caller may not say otherwise
        """
        check_usable(found.version, by, permits.role_of(found.model, by), allow_flagged=allow_flagged)
        if found.model.require_signature and not await self._is_signed(found):
            name = f"{found.model.name}@{found.version.id[:SHORT]}"
            raise FailedPrecondition(
                f"{name} is not signed by a key that {found.model.name} trusts, and it requires that",
                hint=f"whoever has one of these keys ({', '.join(id_[:SHORT] for id_ in found.model.trusted_keys)}): aiosctl model sign {name} --key FILE",
                version=found.version.id,
            )  # fmt: skip

    async def _is_signed(self, found: Found) -> bool:
        trusted, manifest = found.model.trusted_keys, await self.manifest(found.version)
        for one in await self.store.signatures(found.version.id):
            key = bytes.fromhex(trusted.get(one.key_id, ""))
            if not key:
                continue
            if await asyncio.to_thread(signing.is_right, key, one.signature, found.version, manifest):
                return True
        return False


async def readable(store: ModelStore, kind: Kind, wanted: Named) -> Picked:
    """As ModelStore.picked, but for those that are damaged: one of them hides none of the others, and whoever asks for it is told."""
    try:
        return await store.picked(kind, wanted)
    except StorageCorrupt:
        found: dict[tuple[str, str], Version] = {}
        for one in wanted:
            with suppress(StorageCorrupt):
                found |= await store.picked(kind, [one])
        return found


def _damaged(kind: Kind, model: str, node: Node) -> Version:
    """What can be said of a version whose record cannot be read."""
    why = "its record in the database is damaged, see aiosctl admin check"
    commit = Commit(kind=kind, manifest=node.manifest, parents=node.parents, created_at_s=node.created_at_s, schema=Schema(format=""))
    return Version(
        model=model, number=node.number, id=node.id, commit=commit, size=0, files=0, stored_bytes=0, state=VersionState.DAMAGED, reasons=(why,)
    )  # fmt: skip


def check_usable(version: Version, by: Caller, role: ModelRole, *, allow_flagged: bool) -> None:
    """Raises FailedPrecondition for a version that is not to be handed out, Denied where the caller may not say otherwise."""
    name = f"{version.model}@{version.id[:SHORT]}"
    why = "; ".join(version.reasons)
    if version.state is VersionState.ABSENT:
        raise permits.not_here(version)
    if version.state is VersionState.DAMAGED:
        raise FailedPrecondition(f"{name} is damaged: {why}", hint="register or pull the same content again, and it heals", version=version.id)
    if version.state is not VersionState.FLAGGED:
        return
    if not allow_flagged:
        raise FailedPrecondition(f"{name} is flagged: {why}", hint="if you trust it: --allow-pickle, by its owner or an operator", version=version.id)
    if role < ModelRole.OWNER and by.principal.role < Role.OPERATOR:
        raise Denied(f"{by.name} may not use {name}, which is flagged: {why}", hint="ask its owner, or an operator to allow it", version=version.id)


def _after(nodes: Iterable[Node], number: int) -> Iterable[Node]:
    """Those behind the one with this number, 0: all. Where that has gone meanwhile, those with a lower one: mostly these are the same,
    but what came later than what it comes before has a higher number.
    """
    if not number:
        return nodes
    listed = list(nodes)
    at = next((at for at, node in enumerate(listed) if node.number == number), None)
    return listed[at + 1 :] if at is not None else [node for node in listed if node.number < number]


def _behind(after: str, models: Sequence[Model], *, by_name: bool) -> Sequence[Model]:
    if by_name:
        return [model for model in models if model.name > after]
    names = [model.name for model in models]
    if after not in names:
        raise InvalidArgument("what the page before ended with is no longer found", hint="begin with the first page again", field="page_token")
    return models[names.index(after) + 1 :]


def _latest(summary: Summary) -> str:
    return next((each.version for each in summary.references if each.name == MAIN), summary.newest)


def _leading(found: Sequence[Reference]) -> Mapping[str, Sequence[str]]:
    """The names of references by the version that they lead to."""
    leading: dict[str, list[str]] = {}
    for each in found:
        leading.setdefault(each.version, []).append(each.name)
    return leading
