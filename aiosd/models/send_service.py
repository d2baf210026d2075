"""The sender of versions to where no daemon answers: bundles, with all that another store needs to have the same versions."""

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, replace

from aiosd.errors import InvalidArgument
from aiosd.models import permits
from aiosd.models.draft import Draft
from aiosd.models.history import SHORT, Graph
from aiosd.models.layouts import Form
from aiosd.models.manifest import digest_of
from aiosd.models.model import Model, Reference, RefKind
from aiosd.models.parcel import MOST_VERSIONS, Parcel, Sent, chunks_of, packed, unpacked
from aiosd.models.permits import Caller
from aiosd.models.read_service import Found, ModelReader, check_usable
from aiosd.models.receive_service import Landed, ModelReceiver, ancestry
from aiosd.models.references import MAIN, parse_ref
from aiosd.models.service import closing
from aiosd.models.vault_ports import Progress, Source
from aiosd.models.version import Kind, Version, VersionState


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """What is to go, and where. `base`: a version that the other side has; `history`: with all that comes before, back to the base."""

    kind: Kind
    refs: tuple[str, ...]
    path: str
    form: Form = Form.BUNDLE
    base: str = ""
    history: bool = False
    replace: bool = False
    allow_flagged: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """`model`: what it becomes; "": as the bundle says. `branch` "": as the bundle says, else main."""

    kind: Kind
    path: str
    form: Form = Form.BUNDLE
    model: str = ""
    branch: str = ""


@dataclass(frozen=True, slots=True)
class Exported:
    path: str
    versions: Sequence[Version]


@dataclass(slots=True)
class ModelSender:
    reader: ModelReader
    receiver: ModelReceiver

    async def export(self, wish: Export, by: Caller) -> AsyncIterator[Progress | Exported]:
        """Write a file or directory, as the caller; ends with what is in it. Raises what a checkout does."""
        found = await self._found(wish, by)
        if wish.form is not Form.BUNDLE:
            async with closing(self._lay(wish, found, by)) as laid:
                async for made in laid:
                    yield made
            return
        model = found[0].model
        graph, references = await self.reader.graph(model), await self.reader.store.references(model.kind, model.name)
        base = (await self.reader.find(wish.kind, wish.base, by)).version if wish.base else None
        if base is not None and base.model != model.name:
            raise InvalidArgument(f"{wish.base} is no version of {model.name}", hint="the base is a version of the same model", field="base")
        versions = await self._with_history(found, graph, base) if wish.history else [one.version for one in found]
        versions = sorted({version.id: version for version in versions}.values(), key=lambda version: version.number)
        for one in found:
            await self.reader.check_usable(one, by, allow_flagged=wish.allow_flagged)
        for version in versions:  # of those before them no signature is asked, as nobody is told to use them
            check_usable(version, by, permits.role_of(model, by), allow_flagged=wish.allow_flagged)
        branches = {one.version.id: _branch(text, references) for text, one in zip(wish.refs, found, strict=True)}
        manifests = [await self.reader.manifest(version) for version in versions]
        of_base = [await self.reader.manifest(base)] if base is not None else []
        parts = await self.reader.vault.parts(manifests, of_base)
        parcel = replace(await self._parcel(model, versions, branches, references, graph, base), parts=tuple(parts))
        had = [*chunks_of(of_base), *(part.digest for part in parts)]
        async with closing(self.reader.vault.bundle(_source(wish.path, by), packed(parcel), manifests, had, replace=wish.replace)) as steps:
            async for step in steps:
                yield step if isinstance(step, Progress) else Exported(step, versions)

    async def _lay(self, wish: Export, found: Sequence[Found], by: Caller) -> AsyncIterator[Progress | Exported]:
        if len(found) > 1 or wish.base or wish.history:
            raise InvalidArgument(
                f"the format {wish.form} holds one version, as it is", hint="a bundle holds several, a history, or a difference", field="format"
            )
        version = found[0].version
        await self.reader.check_usable(found[0], by, allow_flagged=wish.allow_flagged)
        tag = parse_ref(wish.refs[0]).name or version.id[:SHORT]
        to = _source(wish.path, by, wish.form)
        async with closing(self.reader.vault.lay(to, version, await self.reader.manifest(version), tag.replace("/", "-"), replace=wish.replace)) as steps:
            async for step in steps:
                yield step if isinstance(step, Progress) else Exported(step, [version])

    async def import_(self, wish: Import, by: Caller) -> AsyncIterator[Progress | Landed]:
        """Take what lies at the path: a bundle as ModelReceiver.receive does, anything else as ModelService.register, as the next version of a branch."""
        taking = self._import_bundle(wish, by) if wish.form is Form.BUNDLE else self._import_files(wish, by)
        async with closing(taking) as steps:
            async for step in steps:
                yield step

    async def _import_bundle(self, wish: Import, by: Caller) -> AsyncIterator[Progress | Landed]:
        head = await self.reader.vault.head(_source(wish.path, by))
        parcel = unpacked(head)
        if parcel.kind is not wish.kind:
            command = "data" if parcel.kind is Kind.DATASET else "model"
            raise InvalidArgument(f"{wish.path} holds a {parcel.kind}", hint=f"aiosctl {command} import {wish.path}", path=wish.path)
        parcel = replace(parcel, model=wish.model or parcel.model)
        async with closing(self.receiver.receive(parcel, by, branch=wish.branch, bundle=wish.path, head=digest_of(head))) as steps:
            async for step in steps:
                yield step

    async def _import_files(self, wish: Import, by: Caller) -> AsyncIterator[Progress | Landed]:
        if not wish.model:
            raise InvalidArgument(f"what lies at {wish.path} does not say what it is to be called here", hint="name the model: --as NAME", field="model")
        draft = Draft(model=wish.model, kind=wish.kind, branch=wish.branch or MAIN, message=f"imported from {wish.path.rpartition('/')[2]}")
        async with closing(self.receiver.models.register(draft, _source(wish.path, by, wish.form), by)) as steps:
            async for step in steps:
                made = step if isinstance(step, Progress) else Landed([step.version], frozenset() if step.existed else frozenset({step.version.id}))
                yield made

    async def _found(self, wish: Export, by: Caller) -> list[Found]:
        found = [await self.reader.find(wish.kind, ref, by) for ref in wish.refs]
        if not found or len({one.model.name for one in found}) > 1:
            raise InvalidArgument("versions of one model go into one file", hint="export each model by itself", field="refs")
        return found

    async def _with_history(self, found: Sequence[Found], graph: Graph, base: Version | None) -> list[Version]:
        """All that come before; what is damaged, or absent, is left out, unless it was named."""
        before_base = {node.id for node in graph.ancestors(base.id)} if base is not None else set[str]()
        wanted = [node.id for node in graph.ancestors(*(one.version.id for one in found)) if node.id not in before_base]
        if len(wanted) > MOST_VERSIONS:
            raise InvalidArgument(f"that is {len(wanted)} versions, and {MOST_VERSIONS} go into a bundle", hint="name a later base", field="base")
        model = found[0].model
        picked = await self.reader.store.picked(model.kind, [(model.name, id_) for id_ in wanted])
        return [*(version for version in picked.values() if version.state not in (VersionState.DAMAGED, VersionState.ABSENT)), *(one.version for one in found)]

    async def _parcel(
        self, model: Model, versions: Sequence[Version], branches: dict[str, str], references: Sequence[Reference], graph: Graph, base: Version | None
    ) -> Parcel:
        sent, manifests = list[Sent](), dict[str, bytes]()
        for version in versions:
            tags = tuple(each.name for each in references if each.kind is RefKind.TAG and each.version == version.id)
            signatures = tuple(await self.reader.store.signatures(version.id))
            sent.append(Sent(await self._commit(version.id), branches.get(version.id, ""), tags, version.reasons, signatures))
            manifests.setdefault(version.commit.manifest, (await self.reader.manifest(version)).encode())
        before = await ancestry(_between(versions, graph, base), self._commit)
        return Parcel(
            model=model.name, kind=model.kind, description=model.description, versions=tuple(sent), manifests=tuple(manifests.values()),
            base=(base.id,) if base is not None else (), ancestry=before,
        )  # fmt: skip

    async def _commit(self, id_: str) -> bytes:
        body = await self.reader.store.commit_bytes(id_)
        assert body is not None, f"the version {id_[:SHORT]} went while it was exported"
        return body


def _source(path: str, by: Caller, form: str = "") -> Source:
    return Source(path, by.principal.uid, by.principal.gid, by.name, form)


def _between(versions: Sequence[Version], graph: Graph, base: Version | None) -> Iterator[str]:
    """Those that come before, as far as the base where there is one."""
    own, until = {version.id for version in versions}, base.number if base is not None else 0
    return (node.id for node in graph.ancestors(*own) if node.id not in own and node.number > until)


def _branch(text: str, references: Sequence[Reference]) -> str:
    """The one that was named, else main: an alias is what somebody decides where it comes to."""
    name = parse_ref(text).name
    return name if any(each.name == name and each.kind is RefKind.BRANCH for each in references) else MAIN
