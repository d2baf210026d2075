"""The index of words in the database, kept in the transaction of what it is about: FTS5 of SQLite, or the text search of PostgreSQL, reads it.

SQLite's own triggers carry each entry over to FTS5 (see the migration of search); PostgreSQL has an index over the same words.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TypeAlias, TypeVar

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, Table, TextClause, delete, exists, insert, select, text

from aiosd.errors import StorageCorrupt
from aiosd.findings import Finding
from aiosd.models import searching
from aiosd.models.manifest import digest_of
from aiosd.models.model import Model
from aiosd.models.searching import Level
from aiosd.models.version import Kind, Version
from aiosd.storage import model_rows, schema

T = TypeVar("T")
Name: TypeAlias = tuple[str, str, str]  # kind, model and version of an entry, as in its row
TENSORS = "tensors"  # the kind of an entry of a list of these, beside the two that models have
SUBJECT = "the search index"
_CHUNK = 500
_entry = schema.model_text.c
_version = schema.model_version.c

# The plus keeps SQLite from walking all entries of a kind.
_MATCHES = {
    "sqlite": "+model_text.kind = :kind AND model_text.id IN (SELECT rowid FROM model_text_index WHERE model_text_index MATCH :wanted)",
    "postgresql": "model_text.kind = :kind AND array_to_tsvector(string_to_array(model_text.words, ' ')) @@ CAST(:wanted AS tsquery)",
}
_QUOTED = {"sqlite": ('"{}"', '"{}"*'), "postgresql": ("'{}'", "'{}':*")}  # a whole word, and the beginning of one


# Written


def put_models(tx: Connection, models: Sequence[Model]) -> None:
    """What was set anew most often is not what they are found by."""
    for model in models:
        words = searching.entry_of_model(model)
        this = _entry.kind == model.kind, _entry.model == model.name, _entry.version == ""
        if tx.scalar(select(_entry.words).where(*this)) != words:
            tx.execute(delete(schema.model_text).where(*this))
            _put(tx, {(model.kind.value, model.name, ""): words})


def put_versions(tx: Connection, versions: Sequence[Version]) -> None:
    _put(tx, {(one.commit.kind.value, one.model, one.id): searching.entry_of_version(one.commit) for one in versions})


def forget(tx: Connection, kind: str, model: str, versions: Sequence[str] | None = None) -> None:
    """All of a model, or these versions of it."""
    this = _entry.kind == kind, _entry.model == model
    if versions is None:
        tx.execute(delete(schema.model_text).where(*this))
    for part in _parts(versions or ()):
        tx.execute(delete(schema.model_text).where(*this, _entry.version.in_(part)))


def _put(tx: Connection, entries: Mapping[Name, str]) -> None:
    if entries:
        rows = [{"kind": kind, "model": model, "version": version, "words": words} for (kind, model, version), words in entries.items()]
        tx.execute(insert(schema.model_text), rows)


def put_tensors(tx: Connection, tensors: Mapping[str, Sequence[str]]) -> None:
    """The names of tensors by manifest; equal lists are kept once."""
    lists = {manifest: "\n".join(names) for manifest, names in tensors.items() if names}
    bodies = {digest_of(body.encode()): body for body in lists.values()}
    there = set(tx.scalars(select(schema.tensor_names.c.digest).where(schema.tensor_names.c.digest.in_(bodies))))
    if new := {digest: body for digest, body in bodies.items() if digest not in there}:
        tx.execute(insert(schema.tensor_names), [{"digest": digest, "body": model_rows.squeezed(body.encode())} for digest, body in new.items()])
        _put(tx, {(TENSORS, "", digest): searching.entry_of_tensors(body.split("\n")) for digest, body in new.items()})
    for manifest, body in lists.items():
        tx.execute(delete(schema.model_tensors).where(schema.model_tensors.c.manifest == manifest))
        tx.execute(insert(schema.model_tensors), {"manifest": manifest, "names": digest_of(body.encode())})


def drop_unused(tx: Connection) -> None:
    """Tensors of manifests that are gone, and lists that no manifest has any more."""
    tensors, names, kept = schema.model_tensors, schema.tensor_names, schema.manifest
    tx.execute(delete(tensors).where(~exists().where(kept.c.digest == tensors.c.manifest)))
    gone = list(tx.scalars(select(names.c.digest).where(~exists().where(tensors.c.names == names.c.digest))))
    forget(tx, TENSORS, "", gone)
    for part in _parts(gone):
        tx.execute(delete(names).where(names.c.digest.in_(part)))


# Asked


def ranks(tx: Connection, kind: Kind, terms: Sequence[str]) -> dict[str, int]:
    """The models in which every word stands, wherever; the less, the better it fits."""
    total: dict[str, int] | None = None
    for term in terms:
        found: dict[str, int] = {}
        for rank, level in enumerate(searching.LEVELS):
            for name in _having(tx, kind, level, term):
                found.setdefault(name, rank)
        total = found if total is None else {name: total[name] + found[name] for name in total.keys() & found.keys()}
        if not total:
            break
    return total or {}


def _having(tx: Connection, kind: Kind, level: Level, term: str) -> Iterable[str]:
    if level.mark != searching.OF_TENSORS:
        return tx.scalars(select(_entry.model).where(_matching(tx, kind, level, term)).distinct())
    lists = list(tx.scalars(select(_entry.version).where(_matching(tx, TENSORS, level, term))))
    return tx.scalars(_models_with(lists).where(_version.kind == kind)) if lists else ()


def _matching(tx: Connection, kind: str, level: Level, term: str) -> TextClause:
    """The words are ours: there is no quote in them."""
    whole, beginning = _QUOTED[tx.dialect.name]
    return text(_MATCHES[tx.dialect.name]).bindparams(kind=str(kind), wanted=(whole if level.whole else beginning).format(level.mark + term))


def _models_with(lists: Sequence[str]) -> Select[tuple[str]]:
    tensors = schema.model_tensors.c
    joined = schema.model_tensors.join(schema.model_version, _version.manifest == tensors.manifest)
    return select(_version.model).select_from(joined).where(tensors.names.in_(lists), model_rows.IS_HERE).distinct()


def with_tensor(tx: Connection, pattern: str) -> ColumnElement[bool]:
    """The condition that a version has a tensor whose name is like the pattern."""
    fits = searching.tensor_matcher(pattern)
    rows = _readable(tx, schema.tensor_names, lambda row: (row["digest"], model_rows.tensor_names(row)), at_once=10)
    lists = [digest for digest, names in rows if fits(names)]
    return model_rows.IS_HERE & _version.manifest.in_(select(schema.model_tensors.c.manifest).where(schema.model_tensors.c.names.in_(lists)))


# Looked after


def rebuild(tx: Connection) -> None:
    """All of it again, from what it is about. What FTS5 is to forget it must have."""
    if tx.dialect.name == "sqlite":
        tx.execute(text("INSERT INTO model_text_index (model_text_index) VALUES ('rebuild')"))
    tx.execute(delete(schema.model_text))
    entries = _expected(tx)
    while some := dict(islice(entries, _CHUNK)):
        _put(tx, some)


def problems(tx: Connection) -> Iterator[Finding]:
    """Whether it says what `rebuild` would make it say."""
    expected = {name: hash(words) for name, words in _expected(tx)}
    wrong, indexed = 0, dict[int, int]()
    for row in tx.execute(select(schema.model_text).execution_options(yield_per=_CHUNK)):
        wrong += expected.pop((row.kind, row.model, row.version), None) != hash(row.words)
        indexed[row.id] = _sum(row.words.split())
    if tx.dialect.name == "sqlite" and not wrong and not expected:
        wrong = len(indexed.items() ^ _indexed(tx).items())
    if wrong or expected:
        yield Finding(SUBJECT, f"{wrong + len(expected)} of its entries are not what they should be")


def _sum(words: Iterable[str]) -> int:
    """In whatever order they come."""
    return sum(map(hash, words))


def _indexed(tx: Connection) -> dict[int, int]:
    """What FTS5 has of each entry, as `_sum` of its words."""
    tx.execute(text("CREATE VIRTUAL TABLE IF NOT EXISTS temp.model_text_words USING fts5vocab(main, model_text_index, instance)"))
    found: dict[int, int] = defaultdict(int)
    for word, entry in tx.execute(text("SELECT term, doc FROM temp.model_text_words")):
        found[entry] += hash(word)
    return found


def _expected(tx: Connection) -> Iterator[tuple[Name, str]]:
    """Of all that can be read; what cannot is told elsewhere."""
    for model in _readable(tx, schema.model, model_rows.model):
        yield (model.kind.value, model.name, ""), searching.entry_of_model(model)
    for version in _readable(tx, schema.model_version, model_rows.version):
        yield (version.commit.kind.value, version.model, version.id), searching.entry_of_version(version.commit)
    for digest, names in _readable(tx, schema.tensor_names, lambda row: (row["digest"], model_rows.tensor_names(row))):
        yield (TENSORS, "", digest), searching.entry_of_tensors(names)


def _readable(tx: Connection, table: Table, read: Callable[[RowMapping], T], at_once: int = _CHUNK) -> Iterator[T]:
    for row in tx.execute(select(table).execution_options(yield_per=at_once)).mappings():
        try:
            yield read(row)
        except StorageCorrupt:
            continue


def _parts(values: Sequence[str]) -> Iterator[Sequence[str]]:
    return (values[at : at + _CHUNK] for at in range(0, len(values), _CHUNK))
