"""What looks after what is stored: reads it back, marks what is damaged, and removes what nobody needs any more."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from dataclasses import dataclass, field, replace

import structlog

from aiosd.access.principal import Role
from aiosd.errors import Conflict, Denied, StorageCorrupt
from aiosd.models import damage, permits, retention
from aiosd.models.damage import Damage
from aiosd.models.history import SHORT, Graph
from aiosd.models.manifest import Manifest
from aiosd.models.model import Model, ModelRole
from aiosd.models.permits import Caller
from aiosd.models.ports import Holding, ModelChanges, ModelQuery, ModelStore, Pin, Pins
from aiosd.models.read_service import ModelReader
from aiosd.models.vault_ports import Looked, Progress, Vault
from aiosd.models.version import Kind, Version, VersionState

GRACE_S = 14 * 86_400.0  # what is younger is not swept
ALL = 1000  # of a thousand
MOST_MOVES = MOST_VERSIONS = 1_000_000
MOST_NAMED = 20  # versions in a line of the log

log = structlog.get_logger("models")


@dataclass(frozen=True, slots=True)
class Collected:
    """What went, or would go: versions as "digits@0123456789ab", and why the others stay."""

    removed: Sequence[str]
    chunks: int
    bytes: int
    kept_because: Sequence[str]


@dataclass(frozen=True, slots=True)
class Verified:
    """How a look at stored chunks ended."""

    damaged: Sequence[Damage]
    chunks: int  # that were looked at


@dataclass(frozen=True, slots=True)
class UserHolding:
    user: str
    holding: Holding
    limit_bytes: int  # 0: none


@dataclass(frozen=True, slots=True)
class Usage:
    users: Sequence[UserHolding]
    store_bytes: int
    free_bytes: int


@dataclass(slots=True)
class ModelCare:
    """`limit_of`: the bytes that a user's models may take, 0 without limit; `free_bytes`: room on the store's disk.

    grace_s  what is younger stays, where nothing else is said; seconds
    """

    store: ModelStore
    vault: Vault
    reader: ModelReader
    wall_s: Callable[[], float]
    limit_of: Callable[[str], int]
    free_bytes: Callable[[], int]
    reached: Callable[[str], None]
    grace_s: float = GRACE_S
    strange: permits.Strange = lambda who: None
    pins: list[Pins] = field(default_factory=list)
    deciding: asyncio.Lock = field(default_factory=asyncio.Lock)  # held by whoever reads what is there, and commits what follows from it
    _damaged: int = 0

    async def check_people(self, names: Collection[str], group: str, by: Caller) -> None:
        """As permits.check_people, on a thread."""
        if names or group:
            await asyncio.to_thread(permits.check_people, names, group, by, self.strange)

    # Garbage

    async def collect(self, grace_s: float, *, dry_run: bool) -> Collected:
        """Remove the versions that nothing keeps, and the bytes that no version needs and that are older than `grace_s`.

        What is damaged in the database might make it take what is needed for garbage: then nothing more goes. Raises StorageCorrupt.
        Versions go first, in one transaction a model; bytes after them. Cut off anywhere, it leaves garbage that the next one finds.
        """
        removed: list[str] = []
        because: list[str] = []
        survivors: set[str] = set()
        for model in await self._all_models():
            async with self.deciding:
                graph, absent, found = await self._kept(model)
                gone = set(found.dead) if dry_run or await self._remove(model, found.dead) else set[str]()
            because += retention.summary(model, found)
            removed += [f"{model.name}@{id_[:SHORT]}" for id_ in found.dead if id_ in gone]
            survivors |= {node.manifest for node in graph.nodes.values() if node.id not in gone and node.id not in absent}
        self.reached("gc.1-versions")
        if lost := survivors.difference(await self.store.manifest_digests()):
            raise _untrue(f"{len(lost)} lists of files are not there, such as {sorted(lost)[0][:SHORT]}")
        if not dry_run:
            unused = [digest for digest in await self.store.manifest_digests() if digest not in survivors]
            await self.store.commit(ModelChanges(gone_manifests=unused))
            self.reached("gc.2-manifests")
        swept = await self.vault.sweep(self._live(survivors if dry_run else None), grace_s, dry_run=dry_run)
        self.reached("gc.3-swept")
        if not dry_run:
            for at in range(0, len(removed), MOST_NAMED):
                log.info("versions that nothing keeps are gone", versions=removed[at : at + MOST_NAMED])
            log.info("garbage", versions=len(removed), chunks=swept.chunks, bytes=swept.bytes, strays=swept.strays)
        return Collected(removed, swept.chunks, swept.bytes, because)

    async def pinned(self) -> Sequence[Pin]:
        return [pin for ask in self.pins for pin in await ask()]

    async def _kept(self, model: Model) -> tuple[Graph, Collection[str], retention.Kept]:
        moves = [move for _, move in await self.store.moves(model.kind, model.name, "", 0, MOST_MOVES)]
        graph, references = await self.reader.graph(model), await self.store.references(model.kind, model.name)
        if {each.name: each.version for each in references} != retention.led_to(moves):
            raise _untrue(f"the references of {model.name} are not where their moves led them")
        absent = await self.store.absent(model.kind, model.name)
        return graph, absent, retention.kept(model, graph, references, moves, await self.pinned(), self.wall_s(), absent)

    async def _remove(self, model: Model, dead: Sequence[str]) -> bool:
        if not dead:
            return False
        await self.store.versions(model.kind, model.name, 0, MOST_VERSIONS)  # raises, where what the graph was made of is not what the commits say
        try:
            await self.store.commit(ModelChanges(gone_versions=[(model.kind, model.name, id_) for id_ in dead]))
        except Conflict as error:  # a reference leads to one of them; the next sweep looks again
            log.info("versions stay", model=model.name, why=str(error))
            return False
        return True

    async def _live(self, survivors: Collection[str] | None) -> AsyncIterator[Collection[str]]:
        """The chunks of all manifests there are when the sweep has begun to read; or of these only."""
        digests = await self.store.manifest_digests() if survivors is None else sorted(survivors)
        known = await self._suspects()
        for digest in digests:  # one at a time: that of 100,000 files takes 50 MB
            manifest = await self.store.manifest(digest)
            if manifest is None:
                continue
            if lost := set(await self.vault.missing(manifest)) - known:
                raise _untrue(f"{len(lost)} chunks that versions have are not in the store, such as {sorted(lost)[0][:SHORT]}")
            yield await asyncio.to_thread(manifest.digests)

    async def _all_models(self) -> Sequence[Model]:
        return [model for kind in Kind for model in await self.store.models(ModelQuery(kind))]

    # Damage

    async def verify(self, kind: Kind, ref: str, permille: int, by: Caller, *, everything: bool = False) -> AsyncIterator[Progress | Verified]:
        """Read one version back, or all there is; so many of a thousand chunks, 0: all. Ends with what is damaged, and what is whole again."""
        if everything and by.principal.role < Role.OPERATOR:
            raise Denied("verifying everything takes the role operator", hint="name a version", user=by.name)
        permille, chunks, suspects = permille or ALL, 0, await self._suspects()
        if everything:
            found, bad = await self._lost()
            steps = self.vault.verify_all(permille)
        else:
            found, bad = list[Damage](), set[str]()
            manifest = await self.reader.manifest((await self.reader.find(kind, ref, by)).version)
            suspects &= await asyncio.to_thread(manifest.digests)
            steps = self.vault.verify([manifest], permille)
        async for step in steps:
            if isinstance(step, Looked):
                chunks += step.chunks
                bad.update(step.damaged)
            else:
                yield step
        found += await self.mark(bad)
        if permille == ALL:
            found += await self.heal((await self.vault.there(suspects)).keys() - bad)
        yield Verified(await self._told(found, by), chunks)

    async def _suspects(self) -> set[str]:
        """The chunks by which versions are damaged at present."""
        return {digest for version in await self.store.in_state(VersionState.DAMAGED) for digest in damage.chunks_in(version.reasons)}

    async def _lost(self) -> tuple[list[Damage], set[str]]:
        """What is damaged without a look at the bytes: lists of files, and the chunks that others have and the store has not."""
        damaged, lost = list[str](), set[str]()
        async for digest, manifest in self._manifests(await self.store.manifest_digests()):
            if manifest is None:
                damaged.append(digest)
            else:
                lost.update(await self.vault.missing(manifest))
        return await self._unlisted(damaged), lost

    async def _told(self, found: Sequence[Damage], by: Caller) -> Sequence[Damage]:
        """Without the names of what the caller may not read, which may have the same chunks."""
        if by.principal.role >= Role.OPERATOR or not found:
            return found
        hidden = {model.name for model in await self._all_models() if permits.role_of(model, by) < ModelRole.READER}
        return [replace(one, versions=tuple(name for name in one.versions if name.partition("@")[0] not in hidden)) for one in found]

    async def mark(self, digests: Collection[str]) -> Sequence[Damage]:
        """These chunks do not read back: the versions that have one are damaged, and say so."""
        if not digests:
            return ()
        touched: dict[str, set[str]] = defaultdict(set)
        changed: list[Version] = []
        wanted = set(digests)
        async for listed, manifest in self._manifests(await self.store.manifest_digests()):
            hit = wanted & await asyncio.to_thread(manifest.digests) if manifest is not None else set[str]()
            for version in await self.store.versions_with(listed) if hit else ():
                assert manifest is not None
                for digest in hit:
                    touched[digest].add(f"{version.model}@{version.id[:SHORT]}")
                marked = damage.damaged(version, manifest, wanted)
                if marked is not version:
                    changed.append(marked)
        if changed:
            await self.store.commit(ModelChanges(states=changed))
            await self.recount()
        log.error("damaged chunks", chunks=sorted(wanted), versions=sorted(set().union(*touched.values())))
        return damage.damages(wanted, touched)

    async def _unlisted(self, digests: Sequence[str]) -> list[Damage]:
        """Of lists of files that are damaged: what nobody can say the chunks of is handed out to nobody."""
        touched = {digest: [f"{version.model}@{version.id[:SHORT]}" for version in await self.store.versions_with(digest)] for digest in digests}
        return [Damage(digest, "its list of files in the database is damaged", tuple(sorted(names))) for digest, names in touched.items()]

    async def heal(self, digests: Collection[str]) -> Sequence[Damage]:
        """These chunks are whole: versions that were damaged by one of them only are usable again."""
        touched: dict[str, set[str]] = defaultdict(set)
        changed: list[Version] = []
        for version in await self.store.in_state(VersionState.DAMAGED):
            for digest in damage.chunks_in(version.reasons) & set(digests):
                touched[digest].add(f"{version.model}@{version.id[:SHORT]}")
            better = damage.healed(version, digests)
            if better is not version:
                changed.append(better)
        if changed:
            await self.store.commit(ModelChanges(states=changed))
            await self.recount()
            log.info("healed chunks", chunks=sorted(touched))
        return damage.damages(touched, touched, healed=True)

    async def recount(self) -> None:
        """For `warnings`, which are asked for often."""
        self._damaged = len(await self.store.in_state(VersionState.DAMAGED))

    def warnings(self) -> tuple[str, ...]:
        """For whoever looks at the machine: that something is damaged at present. Who may not read a model is not told its name."""
        if not self._damaged:
            return ()
        what = f"{self._damaged} stored version{'s are' if self._damaged > 1 else ' is'} damaged"
        return (f"{what}: register or pull the same again; an operator learns which by `aiosctl model verify --all`",)

    async def _manifests(self, digests: Sequence[str]) -> AsyncIterator[tuple[str, Manifest | None]]:
        """Each with its digest; None: it is damaged itself."""
        for digest in digests:
            try:
                manifest = await self.store.manifest(digest)
            except StorageCorrupt as error:
                log.error("a list of files is damaged", manifest=digest, error=str(error))
                manifest = None
            yield digest, manifest

    # Use

    async def usage(self, by: Caller) -> Usage:
        """Of everybody for an operator, else the caller's own."""
        holdings = dict(await self.store.holdings())
        names = {model.owner_uid: model.owner for model in await self._all_models() if model.owner} | {by.principal.uid: by.name}
        if by.principal.role < Role.OPERATOR:
            holdings = {by.principal.uid: holdings.get(by.principal.uid, Holding())}
        users = [UserHolding(names.get(uid, str(uid)), holding, self.limit_of(names.get(uid, ""))) for uid, holding in holdings.items()]
        return Usage(sorted(users, key=lambda one: one.user), await self.store.stored_bytes(), self.free_bytes())


def _untrue(what: str) -> StorageCorrupt:
    return StorageCorrupt(f"{what}; nothing more is removed", hint="aiosctl admin check says what is wrong; aiosctl admin check --repair")
