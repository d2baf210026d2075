"""The memory of models in the database: one transaction a change, in which references are compared before they are set."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import cache

from sqlalchemy import Connection, Insert, Table, and_, bindparam, delete, exists, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from aiosd.errors import Conflict
from aiosd.models.history import conflict
from aiosd.models.manifest import Manifest
from aiosd.models.model import Model, Move, Reference, Signature
from aiosd.models.ports import Holding, ModelChanges, ModelQuery, Node, RefChange, Registered, Summary, Use
from aiosd.models.version import Kind, Version, VersionState
from aiosd.storage import chunks, jobs, model_heirs, model_rows, model_text, schema
from aiosd.storage import model_questions as questions
from aiosd.storage.chunks import Connections

REQUESTS_S = 2 * 86_400.0  # how long the key of a registration is remembered
_CHUNK = 500  # values in one statement
_AT_ONCE = 250  # chunks in one transaction: some 6 ms


class SqlModels:
    """The port ModelStore. `at_once`: chunks in one transaction."""

    def __init__(self, connections: Connections, reached: Callable[[str], None] = lambda step: None, at_once: int = _AT_ONCE) -> None:
        self._connections, self._reached, self._at_once = connections, reached, at_once

    async def commit(self, changes: ModelChanges) -> None:
        """One transaction. Of very many new chunks most come before it, a few at a time, for the transactions of the scheduler wait behind it.

        Rows that are left when somebody is killed between are of what no version has: the sweep finds them as it finds the bytes.
        """
        early, rest = changes.chunks[: -self._at_once], changes.chunks[-self._at_once :]
        for start in range(0, len(early), self._at_once):
            await self._connections.write(chunks.save, early[start : start + self._at_once])
            self._reached("rows.1-some")
        await self._connections.write(save, replace(changes, chunks=rest))

    async def models(self, query: ModelQuery) -> Sequence[Model]:
        return await self._connections.read(questions.models, query)

    async def matching(self, query: ModelQuery, latest: Mapping[str, str]) -> Mapping[str, str]:
        return await self._connections.read(questions.matching, query, latest)

    async def model(self, kind: Kind, name: str) -> Model | None:
        return await self._connections.read(questions.model, kind, name)

    async def version(self, kind: Kind, model: str, version_id: str) -> Version | None:
        return await self._connections.read(questions.version, kind, model, version_id)

    async def picked(self, kind: Kind, wanted: Collection[tuple[str, str]]) -> Mapping[tuple[str, str], Version]:
        return await self._connections.read(questions.picked, kind, wanted)

    async def graph(self, kind: Kind, model: str, after: int = 0) -> Sequence[Node]:
        return await self._connections.read(questions.graph, kind, model, after)

    async def last_number(self, kind: Kind, model: str) -> int:
        return await self._connections.read(questions.last_number, kind, model)

    async def tally(self, kind: Kind, model: str) -> tuple[int, str]:
        return await self._connections.read(questions.tally, kind, model)

    async def summaries(self, kind: Kind, models: Collection[str]) -> Mapping[str, Summary]:
        return await self._connections.read(questions.summaries, kind, models)

    async def holdings(self) -> Mapping[int, Holding]:
        return await self._connections.read(questions.holdings)

    async def registered(self, uid: int, key: str) -> Registered | None:
        return await self._connections.read(questions.registered, uid, key)

    async def in_state(self, state: VersionState) -> Sequence[Version]:
        return await self._connections.read(questions.in_state, state)

    async def absent(self, kind: Kind, model: str) -> Collection[str]:
        return await self._connections.read(questions.absent, kind, model)

    async def manifest_digests(self) -> Sequence[str]:
        return await self._connections.read(questions.manifest_digests)

    async def stored_bytes(self) -> int:
        return await self._connections.read(questions.stored_bytes)

    async def versions(self, kind: Kind, model: str, before: int, limit: int) -> Sequence[Version]:
        return await self._connections.read(questions.versions, kind, model, before, limit)

    async def versions_with(self, manifest: str) -> Sequence[Version]:
        return await self._connections.read(questions.versions_with, manifest)

    async def commit_bytes(self, version_id: str) -> bytes | None:
        return await self._connections.read(questions.commit_bytes, version_id)

    async def references(self, kind: Kind, model: str) -> Sequence[Reference]:
        return await self._connections.read(questions.references, kind, model)

    async def moves(self, kind: Kind, model: str, reference: str, before: int, limit: int) -> Sequence[tuple[int, Move]]:
        return await self._connections.read(questions.moves, kind, model, reference, before, limit)

    async def targets(self, kind: Kind, model: str, reference: str) -> Sequence[str]:
        return await self._connections.read(questions.targets, kind, model, reference)

    async def manifest(self, digest: str) -> Manifest | None:
        return await self._connections.read(questions.manifest, digest)

    async def manifests(self, digests: Collection[str]) -> Mapping[str, Manifest]:
        return await self._connections.read(questions.manifests, digests)

    async def signatures(self, version_id: str) -> Sequence[Signature]:
        return await self._connections.read(questions.signatures, version_id)

    async def uses(self, job_ids: Collection[str]) -> Sequence[Use]:
        return await self._connections.read(questions.uses, job_ids)

    async def made_from(self, version_id: str) -> Sequence[Use]:
        return await self._connections.read(questions.made_from, version_id)


def save(tx: Connection, changes: ModelChanges) -> None:
    """The enclosing transaction makes it one fact."""
    dialect = tx.dialect.name
    for table, rows in (
        (schema.model, [model_rows.model_row(model) for model in changes.models]),
        (schema.model_signature, [model_rows.signature_row(one) for one in changes.signatures]),
        (schema.model_request, [model_rows.request_row(one) for one in changes.requests]),
    ):
        if rows:  # an empty executemany is not a no-op
            tx.execute(jobs.upsert(dialect, table), rows)
    model_text.put_models(tx, changes.models)
    model_text.put_tensors(tx, changes.tensors)
    chunks.save(tx, changes.chunks)
    if changes.manifests:
        tx.execute(_new(dialect, schema.manifest), model_rows.manifest_rows(changes.manifests))
    _save_versions(tx, changes)
    for change in changes.references:
        _move(tx, change)
    _remove(tx, changes)
    if changes.uses:
        tx.execute(_new(dialect, schema.model_use), [model_rows.use_row(one) for one in changes.uses])
    if changes.requests:
        oldest_s = changes.requests[0].at_s - REQUESTS_S
        tx.execute(delete(schema.model_request).where(schema.model_request.c.at_s < oldest_s))


@cache
def _new(dialect: str, table: Table) -> Insert:
    """Insert, or leave the row that has the same key."""
    statement = sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)
    return statement.on_conflict_do_nothing()


def _save_versions(tx: Connection, changes: ModelChanges) -> None:
    if changes.versions:
        tx.execute(insert(schema.model_version), [model_rows.version_row(version, body) for version, body in changes.versions])
    for table, rows in (
        (schema.model_metric, [row for version, _ in changes.versions for row in model_rows.metric_rows(version)]),
        (schema.model_label, [row for version, _ in changes.versions for row in model_rows.label_rows(version)]),
    ):
        if rows:  # the same version may be there in another model
            tx.execute(_new(tx.dialect.name, table), rows)
    model_text.put_versions(tx, [version for version, _ in changes.versions])
    for kind, model in {(version.commit.kind, version.model) for version, _ in changes.versions}:
        numbers = [version.number for version, _ in changes.versions if (version.commit.kind, version.model) == (kind, model)]
        last = max(questions.last_number(tx, kind, model), *numbers)
        tx.execute(jobs.upsert(tx.dialect.name, schema.model_number), {"kind": kind, "model": model, "last": last})
    if changes.filled:
        sizes = ({"new_size": one.size, "new_files": one.files, "new_stored_bytes": one.stored_bytes} for one in changes.filled)
        tx.execute(_FILL, [_state(one) | more for one, more in zip(changes.filled, sizes, strict=True)])
    if changes.states:
        tx.execute(_SET_STATE, list(map(_state, changes.states)))


def _state(one: Version) -> model_rows.ModelRow:
    return {"of_kind": one.commit.kind, "of_model": one.model, "of_id": one.id, "new_state": one.state, "new_reasons": json.dumps(one.reasons)}


_row = schema.model_version.c
_SET_STATE = (
    update(schema.model_version)
    .where(_row.kind == bindparam("of_kind"), _row.model == bindparam("of_model"), _row.id == bindparam("of_id"))
    .values(state=bindparam("new_state"), reasons=bindparam("new_reasons"))
)
_FILL = _SET_STATE.where(_row.state == VersionState.ABSENT).values(
    size=bindparam("new_size"), files=bindparam("new_files"), stored_bytes=bindparam("new_stored_bytes")
)


def _move(tx: Connection, change: RefChange) -> None:
    """Compare and set, and remember that it moved. Raises Conflict."""
    table, move = schema.model_reference, change.move
    this = and_(table.c.kind == change.kind, table.c.model == change.model, table.c.name == move.reference)
    there = tx.scalar(select(table.c.version).where(this)) or ""
    if change.expected is not None and change.expected != there:
        raise conflict(change.model, move.reference, expected=change.expected, there=there)
    if not move.target:
        tx.execute(delete(table).where(this))
    elif not tx.scalar(select(exists().where(_row.id == move.target, _row.kind == change.kind, _row.model == change.model, model_rows.IS_HERE))):
        raise Conflict(f"{change.model}@{move.target[:12]} has been removed meanwhile", hint="choose another version", model=change.model, version=move.target)
    else:
        tx.execute(jobs.upsert(tx.dialect.name, table), model_rows.reference_row(change))
    tx.execute(insert(schema.model_move), model_rows.move_row(change, there))


def _remove(tx: Connection, changes: ModelChanges) -> None:
    for kind, model, version_id in changes.gone_versions:
        _check_unreferenced(tx, kind, model, version_id)
        model_heirs.hand_over(tx, kind, model, version_id)
        tx.execute(delete(schema.model_version).where(_row.kind == kind, _row.model == model, _row.id == version_id))
        _forget_versions(tx, [version_id])
        model_text.forget(tx, kind, model, [version_id])
    for kind, name in changes.gone_models:
        _remove_model(tx, kind, name)
    for start in range(0, len(changes.gone_manifests), _CHUNK):
        table, some = schema.manifest, changes.gone_manifests[start : start + _CHUNK]
        tx.execute(delete(table).where(table.c.digest.in_(some), ~exists().where(_row.manifest == table.c.digest, model_rows.IS_HERE)))
    if changes.gone_manifests:
        model_text.drop_unused(tx)


def _check_unreferenced(tx: Connection, kind: Kind, model: str, version_id: str) -> None:
    table = schema.model_reference
    name = tx.scalar(select(table.c.name).where(table.c.kind == kind, table.c.model == model, table.c.version == version_id).limit(1))
    if name is not None:
        raise Conflict(f"{model}@{version_id[:12]} cannot go: {name} leads to it", hint="move or remove that reference first", model=model, reference=name)


def _remove_model(tx: Connection, kind: Kind, name: str) -> None:
    """With its references, their moves, and its versions."""
    ids = list(tx.scalars(select(_row.id).where(_row.kind == kind, _row.model == name)))
    for table in (schema.model_reference, schema.model_move, schema.model_version, schema.model_request, schema.model_number):
        tx.execute(delete(table).where(table.c.kind == kind, table.c.model == name))
    tx.execute(delete(schema.model).where(schema.model.c.kind == kind, schema.model.c.name == name))
    model_text.forget(tx, kind, name)
    _forget_versions(tx, ids)


def _forget_versions(tx: Connection, ids: Sequence[str]) -> None:
    """What is kept beside versions, unless the same version is in another model, too."""
    for start in range(0, len(ids), _CHUNK):
        some = ids[start : start + _CHUNK]
        for table in (schema.model_metric, schema.model_label, schema.model_signature):
            elsewhere = exists().where(_row.id == table.c.version)
            tx.execute(delete(table).where(table.c.version.in_(some), ~elsewhere))
