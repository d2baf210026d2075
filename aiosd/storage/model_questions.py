"""What is asked of the models in the database; every answer is checked against the digest that it goes by."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, exists, func, or_, select

from aiosd.errors import InvalidArgument, StorageCorrupt
from aiosd.models.manifest import DIGEST_LETTERS, Manifest, digest_of
from aiosd.models.model import Model, Move, Reference, Signature
from aiosd.models.ports import Holding, ModelQuery, Node, Registered, Summary, Use, UseRole
from aiosd.models.searching import terms
from aiosd.models.version import Kind, Version, VersionState
from aiosd.storage import model_rows, model_text, schema

_CHUNK = 500  # values in one question
_MOST_SHOWN = 5
_row = schema.model_version.c
_use = schema.model_use.c
_read_well = _use.role.in_(list(UseRole)) & _use.kind.in_(list(Kind))  # a row that is damaged must not keep the daemon from starting


def models(tx: Connection, query: ModelQuery) -> list[Model]:
    """Sorted here: the pages of a list are cut by the names, and a database sorts by its own alphabet."""
    table = schema.model.c
    question = select(schema.model).where(table.kind == query.kind)
    wanted = list(_of_version(tx, query))
    if wanted:  # all of them of one and the same version
        question = question.where(exists().where(_row.kind == table.kind, _row.model == table.name, *wanted))
    if not query.text:
        return sorted((model_rows.model_or_damage(row) for row in tx.execute(question).mappings()), key=lambda model: model.name)
    ranks = model_text.ranks(tx, query.kind, terms(query.text))
    names = sorted(ranks)
    parts = (names[start : start + _CHUNK] for start in range(0, len(names), _CHUNK))
    found = [model_rows.model_or_damage(row) for part in parts for row in tx.execute(question.where(table.name.in_(part))).mappings()]
    return sorted(found, key=lambda model: (ranks[model.name], model.name))


def matching(tx: Connection, query: ModelQuery, latest: Mapping[str, str]) -> dict[str, str]:
    names, found = sorted(latest), dict[str, str]()
    for start in range(0, len(names), _CHUNK):
        found |= _matching(tx, query, {name: latest[name] for name in names[start : start + _CHUNK]})
    return found


def _matching(tx: Connection, query: ModelQuery, latest: Mapping[str, str]) -> dict[str, str]:
    fits = [_row.kind == query.kind, _row.model.in_(list(latest)), *_of_version(tx, query)]
    rows = tx.execute(select(_row.model, _row.id).where(*fits, _row.id.in_(list(latest.values()))))
    found: dict[str, str] = {row.model: row.id for row in rows if latest[row.model] == row.id}  # others may have it too, as an older one
    place = func.row_number().over(partition_by=_row.model, order_by=_row.number.desc()).label("place")
    ranked = select(_row.model, _row.id, place).where(*fits, _row.model.not_in(list(found))).subquery()
    return found | {row.model: row.id for row in tx.execute(select(ranked).where(ranked.c.place == 1))}


def _of_version(tx: Connection, query: ModelQuery) -> Iterator[ColumnElement[bool]]:
    for column, value in ((_row.format, query.format), (_row.author, query.author)):
        if value:
            yield column == value
    if query.job_id:  # by what jobs of this machine have made: what came from another one names a job of that
        yield _row.id.in_(select(_use.version).where(_use.job_id == query.job_id, _use.role == UseRole.MADE, _use.kind == query.kind))
    labels, metrics = schema.model_label.c, schema.model_metric.c
    for name, text in query.labels.items():
        yield _row.id.in_(select(labels.version).where(labels.name == name, labels.value == text))
    for name, operator, number in query.metrics:
        yield _row.id.in_(select(metrics.version).where(metrics.name == name, _compared(metrics.value, operator, number)))
    if query.tensor:
        yield model_text.with_tensor(tx, query.tensor)


def _compared(column: ColumnElement[float], operator: str, number: float) -> ColumnElement[bool]:
    choices = {">": column > number, ">=": column >= number, "<": column < number, "<=": column <= number, "=": column == number, "!=": column != number}
    return choices[operator]


def model(tx: Connection, kind: Kind, name: str) -> Model | None:
    row = tx.execute(select(schema.model).where(schema.model.c.kind == kind, schema.model.c.name == name)).mappings().first()
    return model_rows.model(row) if row is not None else None


def version(tx: Connection, kind: Kind, model: str, version_id: str) -> Version | None:
    """By a prefix of its id, which ranges as text does: "g" comes after all hexadecimal digits."""
    this = (_row.kind == kind, _row.model == model)
    if len(version_id) == DIGEST_LETTERS:
        row = tx.execute(select(schema.model_version).where(*this, _row.id == version_id)).mappings().first()
        return model_rows.version(row) if row is not None else None
    question = select(schema.model_version).where(*this, _row.id >= version_id, _row.id < version_id + "g").limit(_MOST_SHOWN)
    rows = tx.execute(question).mappings().all()
    if len(rows) > 1:
        shown = ", ".join(row["id"][: len(version_id) + 4] for row in rows)
        raise InvalidArgument(f"{model}@{version_id} may be {shown}", hint="give more letters of the id", model=model, given=version_id)
    return model_rows.version(rows[0]) if rows else None


def picked(tx: Connection, kind: Kind, wanted: Collection[tuple[str, str]]) -> dict[tuple[str, str], Version]:
    """By id alone, for which there is an index: SQLite walks the table for pairs."""
    pairs, found = set(wanted), dict[tuple[str, str], Version]()
    ids = sorted({id_ for _, id_ in pairs})
    for start in range(0, len(ids), _CHUNK):
        question = select(schema.model_version).where(_row.kind == kind, _row.id.in_(ids[start : start + _CHUNK]))
        for row in tx.execute(question).mappings():
            if (row["model"], row["id"]) in pairs:
                found[row["model"], row["id"]] = model_rows.version(row)
    return found


def graph(tx: Connection, kind: Kind, model: str, after: int = 0) -> list[Node]:
    question = select(_row.number, _row.id, _row.parents, _row.manifest, _row.created_at_s).where(_row.number > after)
    return [model_rows.node(row) for row in tx.execute(_of(question, kind, model).order_by(_row.number.desc()))]


def last_number(tx: Connection, kind: Kind, model: str) -> int:
    table = schema.model_number.c
    return tx.scalar(select(table.last).where(table.kind == kind, table.model == model)) or 0


def tally(tx: Connection, kind: Kind, model: str) -> tuple[int, str]:
    count = tx.scalar(_of(select(func.count()), kind, model)) or 0
    return count, tx.scalar(_of(select(_row.id), kind, model).order_by(_row.number.desc()).limit(1)) or ""


def _of(question: Select[Any], kind: Kind, model: str) -> Select[Any]:
    return question.where(_row.kind == kind, _row.model == model)


def versions(tx: Connection, kind: Kind, model: str, before: int, limit: int) -> list[Version]:
    question = _of(select(schema.model_version), kind, model).order_by(_row.number.desc()).limit(limit)
    if before:
        question = question.where(_row.number < before)
    return [model_rows.version(row) for row in tx.execute(question).mappings()]


def versions_with(tx: Connection, manifest: str) -> list[Version]:
    return _readable(tx, (_row.manifest == manifest) & model_rows.IS_HERE)


def absent(tx: Connection, kind: Kind, model: str) -> set[str]:
    return set(tx.scalars(_of(select(_row.id).where(_row.state == VersionState.ABSENT), kind, model)))


def in_state(tx: Connection, state: VersionState) -> list[Version]:
    return _readable(tx, _row.state == state)


def _readable(tx: Connection, condition: ColumnElement[bool]) -> list[Version]:
    """A damaged row must not keep the others from being looked after; whoever asks for its version is told."""
    found: list[Version] = []
    for row in tx.execute(select(schema.model_version).where(condition)).mappings():
        with suppress(StorageCorrupt):
            found.append(model_rows.version(row))
    return found


def manifest_digests(tx: Connection) -> list[str]:
    return list(tx.scalars(select(schema.manifest.c.digest)))


def stored_bytes(tx: Connection) -> int:
    """A file that is whole counts once, and not its chunks again."""
    table = schema.chunk.c
    counts = or_(~table.place.like("whole/%"), table.place == "whole/" + table.digest)
    return int(tx.scalar(select(func.coalesce(func.sum(table.stored_size), 0)).where(counts)) or 0)


def summaries(tx: Connection, kind: Kind, models: Collection[str]) -> dict[str, Summary]:
    names = sorted(models)
    found: dict[str, Summary] = {}
    for start in range(0, len(names), _CHUNK):
        found.update(_summaries(tx, kind, names[start : start + _CHUNK]))
    return found


def _summaries(tx: Connection, kind: Kind, names: Sequence[str]) -> dict[str, Summary]:
    references: dict[str, list[Reference]] = defaultdict(list)
    table = schema.model_reference
    for row in tx.execute(select(table).where(table.c.kind == kind, table.c.model.in_(names)).order_by(table.c.name)).mappings():
        with suppress(StorageCorrupt):  # whoever asks for this one is told
            references[row["model"]].append(model_rows.reference(row))
    columns = (_row.model, func.count(), func.sum(_row.size), func.sum(_row.stored_bytes))
    counted = tx.execute(select(*columns).where(_row.kind == kind, _row.model.in_(names)).group_by(_row.model)).all()
    one = schema.model.c
    newest = select(_row.id).where(_row.kind == one.kind, _row.model == one.name).order_by(_row.number.desc()).limit(1)
    of_those_here = newest.where(model_rows.IS_HERE).scalar_subquery()  # what is absent may have come later, and be older; mostly it is the first row
    asked = select(one.name, func.coalesce(of_those_here, newest.scalar_subquery())).where(one.kind == kind, one.name.in_(names))
    newest_of: dict[str, str] = {row[0]: row[1] for row in tx.execute(asked)}
    found = {name: Summary(references=references[name]) for name in newest_of}
    for name, count, size, stored_bytes in counted:
        found[name] = Summary(count, int(size), int(stored_bytes), newest_of[name], references[name])
    return found


def holdings(tx: Connection) -> dict[int, Holding]:
    table = schema.model.c
    owned: dict[int, int] = {row[0]: row[1] for row in tx.execute(select(table.owner_uid, func.count()).group_by(table.owner_uid))}
    columns = (table.owner_uid, func.count(), func.sum(_row.size), func.sum(_row.stored_bytes))
    joined = schema.model.join(schema.model_version, (table.kind == _row.kind) & (table.name == _row.model))
    found = {uid: Holding(models=count) for uid, count in owned.items()}
    for uid, count, size, stored_bytes in tx.execute(select(*columns).select_from(joined).group_by(table.owner_uid)):
        found[uid] = Holding(owned[uid], count, int(size), int(stored_bytes))
    return found


def registered(tx: Connection, uid: int, key: str) -> Registered | None:
    table = schema.model_request
    row = tx.execute(select(table).where(table.c.uid == uid, table.c.key == key)).mappings().first()
    return model_rows.request(row) if row is not None else None


def commit_bytes(tx: Connection, version_id: str) -> bytes | None:
    """Of several models that have it one that is sound is enough."""
    bodies = tx.scalars(select(_row.commit_body).where(_row.id == version_id)).all()
    sound = next((body for body in bodies if digest_of(body) == version_id), None)
    if bodies and sound is None:
        raise StorageCorrupt(f"the commit of version {version_id[:12]} does not match its id: it was changed, or is damaged", version=version_id)
    return sound


def references(tx: Connection, kind: Kind, model: str) -> list[Reference]:
    table = schema.model_reference
    rows = tx.execute(select(table).where(table.c.kind == kind, table.c.model == model).order_by(table.c.name)).mappings()
    return [model_rows.reference(row) for row in rows]


def moves(tx: Connection, kind: Kind, model: str, reference: str, before: int, limit: int) -> list[tuple[int, Move]]:
    table = schema.model_move
    question = select(table).where(table.c.kind == kind, table.c.model == model).order_by(table.c.number.desc()).limit(limit)
    if reference:
        question = question.where(table.c.reference == reference)
    if before:
        question = question.where(table.c.number < before)
    return [(row["number"], model_rows.move(row)) for row in tx.execute(question).mappings()]


def targets(tx: Connection, kind: Kind, model: str, reference: str) -> list[str]:
    table = schema.model_move.c
    this = (table.kind == kind, table.model == model, table.reference == reference)
    return list(tx.scalars(select(table.target).where(*this).order_by(table.number)))


def manifest(tx: Connection, digest: str) -> Manifest | None:
    body = tx.scalar(select(schema.manifest.c.body).where(schema.manifest.c.digest == digest))
    return model_rows.manifest(digest, body) if body is not None else None


def manifests(tx: Connection, digests: Collection[str]) -> dict[str, Manifest]:
    wanted, found = list(digests), dict[str, Manifest]()
    for start in range(0, len(wanted), _CHUNK):
        rows = tx.execute(select(schema.manifest).where(schema.manifest.c.digest.in_(wanted[start : start + _CHUNK]))).mappings()
        found.update((row["digest"], model_rows.manifest(row["digest"], row["body"])) for row in rows)
    return found


def signatures(tx: Connection, version_id: str) -> list[Signature]:
    table = schema.model_signature
    return [model_rows.signature(row) for row in tx.execute(select(table).where(table.c.version == version_id).order_by(table.c.key_id)).mappings()]


def uses(tx: Connection, job_ids: Collection[str]) -> list[Use]:
    wanted, found = sorted(set(job_ids)), list[Use]()
    for start in range(0, len(wanted), _CHUNK):
        question = select(schema.model_use).where(_use.job_id.in_(wanted[start : start + _CHUNK]), _read_well)
        found += map(model_rows.use, tx.execute(question.order_by(_use.at_s, _use.model, _use.version)).mappings())
    return found


def made_from(tx: Connection, version_id: str) -> list[Use]:
    read = schema.model_use.alias().c
    before = (read.version == version_id) & (read.role == UseRole.READ) & (read.job_id == _use.job_id) & (read.at_s <= _use.at_s)
    question = (
        select(schema.model_use).where(_use.role == UseRole.MADE, _read_well, exists().where(before)).order_by(_use.at_s.desc(), _use.model, _use.version)
    )
    return [model_rows.use(row) for row in tx.execute(question).mappings()]
