"""A model store in memory, which passes tests/contract/test_model_store.py, and a vault of whole files in a directory."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from aiosd.errors import AiosError, AlreadyExists, Conflict, DataLoss, InvalidArgument, NotFound
from aiosd.models import searching
from aiosd.models.findings import ScanFinding
from aiosd.models.history import conflict
from aiosd.models.manifest import Chunk, FileEntry, Manifest, decode_manifest, digest_of
from aiosd.models.model import Model, Move, Reference, Signature
from aiosd.models.ports import Holding, ModelChanges, ModelQuery, Node, RefChange, Registered, Summary, Use, UseRole
from aiosd.models.vault_ports import Looked, Progress, Source, Stored, Swept, Taken
from aiosd.models.version import Kind, Schema, Version, VersionState, decode_commit

Named = tuple[Kind, str]


class FakeModelStore:
    """`failure` is raised by every commit while it is set; `on_commit` is called before each."""

    def __init__(self) -> None:
        self.named: dict[Named, Model] = {}
        self.all: dict[Named, dict[str, tuple[Version, bytes]]] = {}
        self.refs: dict[Named, dict[str, Reference]] = {}
        self.log: list[tuple[Named, Move]] = []
        self.bodies: dict[str, bytes] = {}
        self.tensors: dict[str, Sequence[str]] = {}
        self.last: dict[Named, int] = {}
        self.signed: dict[tuple[str, str], Signature] = {}
        self.requests: dict[tuple[int, str], Registered] = {}
        self.chunks: dict[str, Stored] = {}
        self.used: dict[tuple[str, str, str, str, str], Use] = {}
        self.commits = 0
        self.failure: AiosError | None = None
        self.on_commit: Callable[[ModelChanges], None] = lambda changes: None

    async def commit(self, changes: ModelChanges) -> None:
        self.on_commit(changes)
        if self.failure is not None:
            raise self.failure
        before = dict(self.named), {key: dict(value) for key, value in self.all.items()}, {key: dict(value) for key, value in self.refs.items()}
        rest = list(self.log), dict(self.bodies), dict(self.signed), dict(self.requests), dict(self.chunks), dict(self.used)
        try:
            self._apply(changes)
        except BaseException:
            self.named, self.all, self.refs = before
            self.log, self.bodies, self.signed, self.requests, self.chunks, self.used = rest
            raise
        self.commits += 1

    def _apply(self, changes: ModelChanges) -> None:
        self.named.update({(model.kind, model.name): model for model in changes.models})
        for version, body in changes.versions:
            versions = self.all.setdefault((version.commit.kind, version.model), {})
            if (version.commit.kind, version.model) not in self.named or any(one.number == version.number for one, _ in versions.values()):
                raise AlreadyExists("the store refused a change")
            versions[version.id] = version, body
            named = version.commit.kind, version.model
            self.last[named] = max(self.last.get(named, 0), version.number)
        self.chunks.update({chunk.digest: chunk for chunk in changes.chunks if chunk.digest not in self.chunks})
        self.bodies.update(changes.manifests)
        self.tensors.update({manifest: names for manifest, names in changes.tensors.items() if names})
        self.requests.update({(one.uid, one.key): one for one in changes.requests})
        for use in changes.uses:
            self.used.setdefault((use.job_id, use.role, use.kind, use.model, use.version), use)
        self.signed.update({(one.version, one.key_id): one for one in changes.signatures})
        for version in changes.filled:
            there = self.all[version.commit.kind, version.model]
            if there[version.id][0].state is VersionState.ABSENT:
                there[version.id] = replace(version, number=there[version.id][0].number), there[version.id][1]
        for version in changes.states:
            there = self.all[version.commit.kind, version.model]
            there[version.id] = replace(there[version.id][0], state=version.state, reasons=version.reasons), there[version.id][1]
        for change in changes.references:
            self._move(change)
        for kind, model, id_ in changes.gone_versions:
            leading = [name for name, reference in self.refs.get((kind, model), {}).items() if reference.version == id_]
            if leading:
                raise Conflict(f"{leading[0]} leads to it")
            self.all.get((kind, model), {}).pop(id_, None)
        for named in changes.gone_models:
            for table in (self.named, self.all, self.refs, self.last):
                table.pop(named, None)
            self.log = [each for each in self.log if each[0] != named]
            self.requests = {key: one for key, one in self.requests.items() if (one.kind, one.model) != named}
        used = {version.commit.manifest for versions in self.all.values() for version, _ in versions.values() if version.state is not VersionState.ABSENT}
        for digest in changes.gone_manifests:
            if digest not in used:
                self.bodies.pop(digest, None)
        present = {id_ for versions in self.all.values() for id_ in versions}
        self.signed = {key: one for key, one in self.signed.items() if key[0] in present or not (changes.gone_versions or changes.gone_models)}

    def _move(self, change: RefChange) -> None:
        named, move = (change.kind, change.model), change.move
        refs = self.refs.setdefault(named, {})
        there = refs[move.reference].version if move.reference in refs else ""
        if change.expected is not None and change.expected != there:
            raise conflict(change.model, move.reference, expected=change.expected, there=there)
        if not move.target:
            refs.pop(move.reference, None)
        elif move.target not in self.all.get(named, {}) or self.all[named][move.target][0].state is VersionState.ABSENT:
            raise Conflict("that version has been removed")
        else:
            refs[move.reference] = Reference(move.reference, move.kind, move.target, move.at_s, move.who)
        self.log.append((named, replace(move, source=there)))

    async def models(self, query: ModelQuery) -> Sequence[Model]:
        found = [model for (kind, name), model in sorted(self.named.items()) if kind is query.kind and self._matches(model, query)]
        wanted = searching.terms(query.text)
        ranked = [(self._rank(model, wanted) if query.text else 0, model.name, model) for model in found]
        return [model for rank, _, model in sorted(ranked, key=lambda one: (one[0] or 0, one[1])) if rank is not None]

    async def matching(self, query: ModelQuery, latest: Mapping[str, str]) -> Mapping[str, str]:
        found = {name: self._matching(query, name) for name in latest}
        return {name: latest[name] if latest[name] in ids else ids[0] for name, ids in found.items() if ids}

    def _matches(self, model: Model, query: ModelQuery) -> bool:
        return not query.of_versions or bool(self._matching(query, model.name))

    def _matching(self, query: ModelQuery, model: str) -> list[str]:
        versions = self._versions(query.kind, model)
        like = searching.tensor_matcher(query.tensor)
        if query.job_id:
            made = {use.version for use in self.used.values() if (use.job_id, use.role) == (query.job_id, UseRole.MADE)}
            versions = [version for version in versions if version.id in made]
        return [version.id for version in versions if _fits(version, query) and (not query.tensor or like(self._tensors(version)))]

    def _tensors(self, version: Version) -> Sequence[str]:
        return self.tensors.get(version.commit.manifest, ()) if version.state is not VersionState.ABSENT else ()

    def _rank(self, model: Model, wanted: Sequence[str]) -> int | None:
        versions = self._versions(model.kind, model.name)
        texts = [searching.entry_of_model(model), *(searching.entry_of_version(version.commit) for version in versions)]
        texts += [searching.entry_of_tensors(self._tensors(version)) for version in versions]
        words = {word for text in texts for word in text.split()}
        total = 0
        for term in wanted:
            fits = (n for n, level in enumerate(searching.LEVELS) if any(_word_fits(word, level.mark + term, whole=level.whole) for word in words))
            rank = next(fits, None)
            if rank is None:
                return None
            total += rank
        return total if wanted else None

    async def model(self, kind: Kind, name: str) -> Model | None:
        return self.named.get((kind, name))

    def _versions(self, kind: Kind, model: str) -> list[Version]:
        return sorted((version for version, _ in self.all.get((kind, model), {}).values()), key=lambda version: -version.number)

    async def version(self, kind: Kind, model: str, version_id: str) -> Version | None:
        found = [version for version in self._versions(kind, model) if version.id.startswith(version_id)]
        if len(found) > 1:
            raise InvalidArgument(f"{model}@{version_id} may be several")
        return found[0] if found else None

    async def picked(self, kind: Kind, wanted: Collection[tuple[str, str]]) -> Mapping[tuple[str, str], Version]:
        return {(model, id_): self.all[kind, model][id_][0] for model, id_ in wanted if id_ in self.all.get((kind, model), {})}

    async def graph(self, kind: Kind, model: str, after: int = 0) -> Sequence[Node]:
        newer = [one for one in self._versions(kind, model) if one.number > after]
        return [Node(one.number, one.id, one.commit.parents, one.commit.manifest, one.commit.created_at_s) for one in newer]

    async def last_number(self, kind: Kind, model: str) -> int:
        return self.last.get((kind, model), 0)

    async def tally(self, kind: Kind, model: str) -> tuple[int, str]:
        versions = self._versions(kind, model)
        return len(versions), versions[0].id if versions else ""

    async def summaries(self, kind: Kind, models: Collection[str]) -> Mapping[str, Summary]:
        return {name: await self._summary(kind, name) for name in models if (kind, name) in self.named}

    async def _summary(self, kind: Kind, name: str) -> Summary:
        versions = self._versions(kind, name)
        sizes = sum(one.size for one in versions), sum(one.stored_bytes for one in versions)
        newest = max(versions, key=lambda one: (one.state is not VersionState.ABSENT, one.number), default=None)
        return Summary(len(versions), *sizes, newest.id if newest else "", await self.references(kind, name))

    async def holdings(self) -> Mapping[int, Holding]:
        found: dict[int, Holding] = {}
        for (kind, name), model in self.named.items():
            versions = self._versions(kind, name)
            was = found.get(model.owner_uid, Holding())
            size, stored = sum(one.size for one in versions), sum(one.stored_bytes for one in versions)
            found[model.owner_uid] = Holding(was.models + 1, was.versions + len(versions), was.size + size, was.stored_bytes + stored)
        return found

    async def registered(self, uid: int, key: str) -> Registered | None:
        return self.requests.get((uid, key))

    async def in_state(self, state: VersionState) -> Sequence[Version]:
        return [version for versions in self.all.values() for version, _ in versions.values() if version.state is state]

    async def absent(self, kind: Kind, model: str) -> Collection[str]:
        return {version.id for version in self._versions(kind, model) if version.state is VersionState.ABSENT}

    async def manifest_digests(self) -> Sequence[str]:
        return list(self.bodies)

    async def stored_bytes(self) -> int:
        return sum(chunk.stored_size for chunk in self.chunks.values())

    async def versions(self, kind: Kind, model: str, before: int, limit: int) -> Sequence[Version]:
        return [version for version in self._versions(kind, model) if not before or version.number < before][:limit]

    async def versions_with(self, manifest: str) -> Sequence[Version]:
        every = (version for versions in self.all.values() for version, _ in versions.values())
        return [version for version in every if version.commit.manifest == manifest and version.state is not VersionState.ABSENT]

    async def commit_bytes(self, version_id: str) -> bytes | None:
        found = (versions[version_id][1] for versions in self.all.values() if version_id in versions)
        body = next(found, None)
        assert body is None or decode_commit(body).id == version_id
        return body

    async def references(self, kind: Kind, model: str) -> Sequence[Reference]:
        return [reference for _, reference in sorted(self.refs.get((kind, model), {}).items())]

    async def moves(self, kind: Kind, model: str, reference: str, before: int, limit: int) -> Sequence[tuple[int, Move]]:
        found = [(number, move) for number, (named, move) in enumerate(self.log, 1) if named == (kind, model) and reference in ("", move.reference)]
        return [each for each in reversed(found) if not before or each[0] < before][:limit]

    async def targets(self, kind: Kind, model: str, reference: str) -> Sequence[str]:
        return [move.target for named, move in self.log if named == (kind, model) and move.reference == reference]

    async def manifest(self, digest: str) -> Manifest | None:
        body = self.bodies.get(digest)
        return decode_manifest(body) if body is not None else None

    async def manifests(self, digests: Collection[str]) -> Mapping[str, Manifest]:
        return {digest: decode_manifest(self.bodies[digest]) for digest in digests if digest in self.bodies}

    async def signatures(self, version_id: str) -> Sequence[Signature]:
        return [one for (version, _), one in sorted(self.signed.items()) if version == version_id]

    async def uses(self, job_ids: Collection[str]) -> Sequence[Use]:
        return sorted((use for use in self.used.values() if use.job_id in job_ids), key=lambda use: (use.at_s, use.model, use.version))

    async def made_from(self, version_id: str) -> Sequence[Use]:
        read = {use.job_id: use.at_s for use in self.used.values() if use.version == version_id and use.role is UseRole.READ}
        made = [use for use in self.used.values() if use.role is UseRole.MADE and use.at_s >= read.get(use.job_id, float("inf"))]
        return sorted(made, key=lambda use: (-use.at_s, use.model, use.version))


def _word_fits(word: str, wanted: str, *, whole: bool) -> bool:
    return word == wanted if whole else word.startswith(wanted)


def _fits(version: Version, query: ModelQuery) -> bool:
    commit = version.commit
    compared: dict[str, Callable[[float, float], bool]] = {
        ">": float.__gt__, ">=": float.__ge__, "<": float.__lt__, "<=": float.__le__, "=": float.__eq__, "!=": float.__ne__,
    }  # fmt: skip
    return (
        query.format in ("", commit.schema.format)
        and query.author in ("", commit.author)
        and all(commit.labels.get(name) == value for name, value in query.labels.items())
        and all(name in commit.metrics and compared[operator](float(commit.metrics[name]), value) for name, operator, value in query.metrics)
    )


class FakeVault:
    """Whole files by their digest in `root`. `held` keeps a take from ending until it is set; `taking` counts those under way."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.held: asyncio.Event | None = None
        self.findings: tuple[str, ...] = ()
        self.schema = Schema("other")
        self.scanned: list[ScanFinding] = []
        self.taking: list[set[str]] = []
        self.swept = 0

    def _place(self, digest: str) -> Path:
        return self.root / digest

    async def take(self, source: Source, base: Manifest | None) -> AsyncIterator[Progress | Taken]:
        path = Path(source.path)
        self.root.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            raise NotFound(f"there is no {path}", hint="name a file or directory", path=path)
        files = [path] if path.is_file() else sorted(each for each in path.rglob("*") if each.is_file())
        total, done, new, entries = sum(each.stat().st_size for each in files), 0, list[Stored](), list[FileEntry]()
        names: set[str] = set()
        self.taking.append(names)
        try:
            for file in files:
                data = file.read_bytes()
                digest = digest_of(data)
                names.add(digest)
                if data and (not self._place(digest).exists() or digest_of(self._place(digest).read_bytes()) != digest):
                    self._place(digest).write_bytes(data)
                    new.append(Stored(digest, len(data), digest, 0, len(data), "raw"))
                relative = file.name if path.is_file() else str(file.relative_to(path))
                entries.append(FileEntry(relative, len(data), digest, (Chunk(digest, len(data)),) if data else ()))
                done += len(data)
                yield Progress(done, total, sum(one.stored_size for one in new), relative)
            if self.held is not None:
                await self.held.wait()
            yield Taken(Manifest(tuple(entries), single=path.is_file()), new, self.schema, self.findings)
        finally:
            self.taking.remove(names)

    async def give(self, manifest: Manifest, to: Source) -> AsyncIterator[Progress | str]:
        target = Path(to.path or str(self.root / "out" / manifest.digest))
        for entry in manifest.files:
            data = self._read(entry)
            file = target if manifest.single else target / entry.path
            file.parent.mkdir(parents=True, exist_ok=True)
            if not file.exists():
                file.write_bytes(data)
            yield Progress(entry.size, manifest.size)
        yield str(target)

    def _read(self, entry: FileEntry) -> bytes:
        if not entry.chunks:
            return b""
        place = self._place(entry.digest)
        data = place.read_bytes() if place.exists() else b""
        if digest_of(data) != entry.digest:
            raise DataLoss(f"{entry.path} does not read back", digest=entry.digest)
        return data

    async def chunks(self, wanted: Sequence[tuple[Chunk, int]]) -> AsyncIterator[tuple[Chunk, int, bytes]]:
        for chunk, offset in wanted:
            yield chunk, offset, self._place(chunk.digest).read_bytes()[offset:]

    async def there(self, digests: Collection[str]) -> Mapping[str, str]:
        return {digest: "" for digest in digests if self._place(digest).exists()}

    async def verify_all(self, permille: int) -> AsyncIterator[Progress | Looked]:
        yield Looked(len([path for path in self.root.glob("*") if path.is_file()]), await self.scrub(1.0))

    async def verify(self, manifests: Sequence[Manifest], permille: int) -> AsyncIterator[Progress | Looked]:
        bad: set[str] = set()
        for manifest in manifests:
            for entry in manifest.files:
                try:
                    self._read(entry)
                except DataLoss:
                    bad.add(entry.digest)
            yield Progress(manifest.size, manifest.size)
        yield Looked(len({chunk.digest for manifest in manifests for chunk in manifest.chunks()}), sorted(bad))

    async def examine(self, manifest: Manifest) -> Sequence[ScanFinding]:
        return self.scanned

    async def scrub(self, share: float) -> Sequence[str]:
        return [path.name for path in self.root.glob("*") if path.is_file() and digest_of(path.read_bytes()) != path.name]

    async def missing(self, manifest: Manifest) -> Sequence[str]:
        return [entry.digest for entry in manifest.files if entry.chunks and not self._place(entry.digest).exists()]

    async def sweep(self, live: AsyncIterator[Collection[str]], grace_s: float, *, dry_run: bool) -> Swept:
        alive = {digest async for some in live for digest in some}.union(*self.taking)
        dead = [each for each in self.root.glob("*") if each.is_file() and each.name not in alive]
        size = sum(each.stat().st_size for each in dead)
        if not dry_run:
            for each in dead:
                each.unlink()
            self.swept += len(dead)
        return Swept(len(dead), size)
