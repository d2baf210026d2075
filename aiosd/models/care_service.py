"""What looks after what is stored: reads it back, marks what is damaged, and removes what nobody needs any more."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from dataclasses import dataclass, field

import structlog

from aiosd.access.principal import Role
from aiosd.errors import AiosError, Conflict, Denied
from aiosd.models import damage, retention
from aiosd.models.damage import Damage
from aiosd.models.history import SHORT, Graph
from aiosd.models.model import Model
from aiosd.models.permits import Caller
from aiosd.models.ports import Holding, ModelChanges, ModelQuery, ModelStore, Pin, Pins, Progress, Vault
from aiosd.models.read_service import ModelReader
from aiosd.models.version import Kind, Version, VersionState

GRACE_S = 14 * 86_400.0  # what is younger is not swept
SCRUB_EVERY_S = 3600.0
ALL = 1000  # of a thousand
AT_ONCE = 100  # manifests that are read together
MOST_MOVES = MOST_VERSIONS = 1_000_000

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

    grace_s     what is younger stays, where nothing else is said; seconds
    scrub_days  all is read back once in so many; 0: never
    """

    store: ModelStore
    vault: Vault
    reader: ModelReader
    wall_s: Callable[[], float]
    limit_of: Callable[[str], int]
    free_bytes: Callable[[], int]
    reached: Callable[[str], None]
    grace_s: float = GRACE_S
    scrub_days: float = 0.0
    pins: list[Pins] = field(default_factory=list)
    deciding: asyncio.Lock = field(default_factory=asyncio.Lock)  # held by whoever reads what is there, and commits what follows from it

    # Garbage

    async def collect(self, grace_s: float, *, dry_run: bool) -> Collected:
        """Remove the versions that nothing keeps, and the bytes that no version needs and that are older than `grace_s`.

        Versions go first, in one transaction a model; bytes after them. Cut off anywhere, it leaves garbage that the next one finds.
        """
        removed: list[str] = []
        because: list[str] = []
        survivors: set[str] = set()
        for model in await self._all_models():
            async with self.deciding:
                graph, found = await self._kept(model)
                gone = set(found.dead) if dry_run or await self._remove(model, found.dead) else set[str]()
            because += retention.summary(model, found)
            removed += [f"{model.name}@{id_[:SHORT]}" for id_ in found.dead if id_ in gone]
            survivors |= {node.manifest for node in graph.nodes.values() if node.id not in gone}
        self.reached("gc.1-versions")
        if not dry_run:
            unused = [digest for digest in await self.store.manifest_digests() if digest not in survivors]
            await self.store.commit(ModelChanges(gone_manifests=unused))
            self.reached("gc.2-manifests")
        swept = await self.vault.sweep(self._live(survivors if dry_run else None), grace_s, dry_run=dry_run)
        self.reached("gc.3-swept")
        if not dry_run:
            log.info("garbage", versions=len(removed), chunks=swept.chunks, bytes=swept.bytes, strays=swept.strays)
        return Collected(removed, swept.chunks, swept.bytes, because)

    async def pinned(self) -> Sequence[Pin]:
        return [pin for ask in self.pins for pin in await ask()]

    async def _kept(self, model: Model) -> tuple[Graph, retention.Kept]:
        moves = [move for _, move in await self.store.moves(model.kind, model.name, "", 0, MOST_MOVES)]
        graph, references = await self.reader.graph(model), await self.store.references(model.kind, model.name)
        return graph, retention.kept(model, graph, references, moves, await self.pinned(), self.wall_s())

    async def _remove(self, model: Model, dead: Sequence[str]) -> bool:
        if not dead:
            return False
        try:
            await self.store.commit(ModelChanges(gone_versions=[(model.kind, model.name, id_) for id_ in dead]))
        except Conflict as error:  # a reference leads to one of them; the next sweep looks again
            log.info("versions stay", model=model.name, why=str(error))
            return False
        return True

    async def _live(self, survivors: Collection[str] | None) -> AsyncIterator[Collection[str]]:
        """The chunks of all manifests there are when the sweep has begun to read; or of these only."""
        digests = await self.store.manifest_digests() if survivors is None else sorted(survivors)
        for start in range(0, len(digests), AT_ONCE):
            manifests = await self.store.manifests(digests[start : start + AT_ONCE])
            yield {piece.digest for manifest in manifests.values() for piece in manifest.chunks()}

    async def _all_models(self) -> Sequence[Model]:
        return [model for kind in Kind for model in await self.store.models(ModelQuery(kind))]

    # Damage

    async def verify(self, kind: Kind, ref: str, permille: int, by: Caller, *, everything: bool = False) -> AsyncIterator[Progress | Verified]:
        """Read one version back, or all there is; so many of a thousand chunks, 0: all. Ends with what is damaged, and what is whole again."""
        if everything and by.principal.role < Role.OPERATOR:
            raise Denied("verifying everything takes the role operator", hint="name a version", user=by.name)
        looked_at = await self._all_versions() if everything else [(await self.reader.find(kind, ref, by)).version]
        manifests = {version.commit.manifest: await self.reader.manifest(version) for version in looked_at}
        bad: Sequence[str] = ()
        async for step in self.vault.verify(list(manifests.values()), permille or ALL):
            if isinstance(step, Progress):
                yield step
            else:
                bad = step
        found = await self.mark(bad)
        if permille in (0, ALL):
            whole = {chunk.digest for manifest in manifests.values() for chunk in manifest.chunks()} - set(bad)
            found = [*found, *await self.heal(whole)]
        chunks = {chunk.digest for manifest in manifests.values() for chunk in manifest.chunks()}
        yield Verified(found, len(chunks) * (permille or ALL) // ALL)

    async def mark(self, digests: Collection[str]) -> Sequence[Damage]:
        """These chunks do not read back: the versions that have one are damaged, and say so."""
        if not digests:
            return ()
        touched: dict[str, set[str]] = defaultdict(set)
        changed: list[Version] = []
        wanted = set(digests)
        for version in await self._all_versions():
            manifest = await self.reader.manifest(version)
            for digest in wanted & {chunk.digest for chunk in manifest.chunks()}:
                touched[digest].add(f"{version.model}@{version.id[:SHORT]}")
            marked = damage.damaged(version, manifest, wanted)
            if marked is not version:
                changed.append(marked)
        if changed:
            await self.store.commit(ModelChanges(states=changed))
        log.error("damaged chunks", chunks=sorted(wanted), versions=sorted(set().union(*touched.values())))
        return damage.damages(wanted, touched)

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
            log.info("healed chunks", chunks=sorted(touched))
        return damage.damages(touched, touched, healed=True)

    async def _all_versions(self) -> Sequence[Version]:
        return [version for model in await self._all_models() for version in await self.store.versions(model.kind, model.name, 0, MOST_VERSIONS)]

    async def run(self) -> None:
        """Read all that is stored back once in `scrub_days`, a part each hour, and mark what is damaged."""
        while True:
            await asyncio.sleep(SCRUB_EVERY_S)
            if not self.scrub_days:
                continue
            try:
                await self.scrub(min(1.0, SCRUB_EVERY_S / (self.scrub_days * 86_400)))
            except AiosError as error:  # as on a full disk: the next hour tries again
                log.warning("the scrub of stored models failed", error=str(error))

    async def scrub(self, share: float) -> Sequence[Damage]:
        """The next part, 0 to 1, of all that is stored."""
        return await self.mark(await self.vault.scrub(share))

    # Use

    async def usage(self, by: Caller) -> Usage:
        """Of everybody for an operator, else the caller's own."""
        holdings = dict(await self.store.holdings())
        names = {model.owner_uid: model.owner for model in await self._all_models()} | {by.principal.uid: by.name}
        if by.principal.role < Role.OPERATOR:
            holdings = {by.principal.uid: holdings.get(by.principal.uid, Holding())}
        users = [UserHolding(names.get(uid, str(uid)), holding, self.limit_of(names.get(uid, ""))) for uid, holding in holdings.items()]
        return Usage(sorted(users, key=lambda one: one.user), await self.store.stored_bytes(), self.free_bytes())
