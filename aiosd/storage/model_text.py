"""The index of words in the database, kept in the transaction of what it is about: FTS5 of SQLite, or the text search of PostgreSQL, reads it.

SQLite's own triggers carry each entry over to FTS5 (see migration 0004); PostgreSQL has an index over the same words.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from sqlalchemy import ColumnElement, Connection, RowMapping, Table, TextClause, delete, exists, insert, select, text

from aiosd.errors import StorageCorrupt
from aiosd.findings import Finding
from aiosd.models import searching
from aiosd.models.manifest import digest_of
from aiosd.models.model import Model
from aiosd.models.searching import Level
from aiosd.models.version import Kind
from aiosd.storage import model_rows, schema

T = TypeVar("T")
VERSION, TENSORS = "version", "tensors"  # what an entry is of, beside the two kinds
SUBJECT = "the search index"
_CHUNK = 500
_entry = schema.model_text.c
_version = schema.model_version.c

_MATCHES = {
    "sqlite": "model_text.id IN (SELECT rowid FROM model_text_index WHERE model_text_index MATCH :wanted)",
    "postgresql": "array_to_tsvector(string_to_array(model_text.words, ' ')) @@ CAST(:wanted AS tsquery)",
}
_QUOTED = {"sqlite": ('"{}"', '"{}"*'), "postgresql": ("'{}'", "'{}':*")}  # a whole word, and the beginning of one


# Written


def put_changed(tx: Connection, models: Sequence[Model]) -> None:
    """What was set anew most often is not what they are found by."""
    for kind in Kind:
        entries = {model.name: searching.entry_of_model(model) for model in models if model.kind is kind}
        known = select(_entry.name, _entry.words).where(_entry.of == kind)
        there = {row.name: row.words for part in _parts(list(entries)) for row in tx.execute(known.where(_entry.name.in_(part)))}
        put(tx, kind, {name: words for name, words in entries.items() if there.get(name) != words})


def put(tx: Connection, of: str, entries: Mapping[str, str]) -> None:
    """In place of those that have the same names."""
    forget(tx, of, entries)
    if entries:
        tx.execute(insert(schema.model_text), [{"of": of, "name": name, "words": words} for name, words in entries.items()])


def add(tx: Connection, of: str, entries: Mapping[str, str]) -> None:
    """Those that are not there."""
    names = list(entries)
    known = {name for part in _parts(names) for name in tx.scalars(select(_entry.name).where(_entry.of == of, _entry.name.in_(part)))}
    put(tx, of, {name: words for name, words in entries.items() if name not in known})


def forget(tx: Connection, of: str, names: Iterable[str]) -> None:
    for part in _parts(list(names)):
        tx.execute(delete(schema.model_text).where(_entry.of == of, _entry.name.in_(part)))


def put_tensors(tx: Connection, tensors: Mapping[str, Sequence[str]]) -> None:
    """The names of tensors by manifest; equal lists are kept once."""
    lists = {manifest: "\n".join(names) for manifest, names in tensors.items() if names}
    bodies = {digest_of(body.encode()): body for body in lists.values()}
    there = set(tx.scalars(select(schema.tensor_names.c.digest).where(schema.tensor_names.c.digest.in_(bodies))))
    if new := {digest: body for digest, body in bodies.items() if digest not in there}:
        tx.execute(insert(schema.tensor_names), [{"digest": digest, "body": model_rows.squeezed(body.encode())} for digest, body in new.items()])
        put(tx, TENSORS, {digest: searching.entry_of_tensors(body.split("\n")) for digest, body in new.items()})
    for manifest, body in lists.items():
        tx.execute(delete(schema.model_tensors).where(schema.model_tensors.c.manifest == manifest))
        tx.execute(insert(schema.model_tensors), {"manifest": manifest, "names": digest_of(body.encode())})


def drop_unused(tx: Connection) -> None:
    """Tensors of manifests that are gone, and lists that no manifest has any more."""
    tensors, names, kept = schema.model_tensors, schema.tensor_names, schema.manifest
    tx.execute(delete(tensors).where(~exists().where(kept.c.digest == tensors.c.manifest)))
    gone = list(tx.scalars(select(names.c.digest).where(~exists().where(tensors.c.names == names.c.digest))))
    forget(tx, TENSORS, gone)
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
    of = kind if level.of == "model" else level.of
    entries = select(_entry.name).where(_entry.of == of, _matching(tx, level, term))
    if level.of == "model":
        return tx.scalars(entries)
    models = select(_version.model).where(_version.kind == kind).distinct()
    if level.of == VERSION:
        return tx.scalars(models.where(_version.id.in_(entries)))
    return tx.scalars(models.where(_version.manifest.in_(select(schema.model_tensors.c.manifest).where(schema.model_tensors.c.names.in_(entries)))))


def _matching(tx: Connection, level: Level, term: str) -> TextClause:
    """The words are ours: there is no quote in them."""
    whole, beginning = _QUOTED[tx.dialect.name]
    return text(_MATCHES[tx.dialect.name]).bindparams(wanted=(whole if level.whole else beginning).format(level.mark + term))


def with_tensor(tx: Connection, pattern: str) -> ColumnElement[bool]:
    """The condition that a version has a tensor whose name is like the pattern."""
    fits = searching.tensor_matcher(pattern)
    rows = tx.execute(select(schema.tensor_names).execution_options(yield_per=10)).mappings()
    lists = [row["digest"] for row in rows if fits(model_rows.tensor_names(row))]
    return _version.manifest.in_(select(schema.model_tensors.c.manifest).where(schema.model_tensors.c.names.in_(lists)))


# Looked after


def rebuild(tx: Connection) -> None:
    """All of it again, from what it is about. What FTS5 is to forget it must have."""
    if tx.dialect.name == "sqlite":
        tx.execute(text("INSERT INTO model_text_index (model_text_index) VALUES ('rebuild')"))
    tx.execute(delete(schema.model_text))
    entries: dict[str, dict[str, str]] = defaultdict(dict)
    for of, name, words in _expected(tx):
        entries[of][name] = words
    for of, known in entries.items():
        put(tx, of, known)


def problems(tx: Connection) -> Iterator[Finding]:
    """Whether it says what `rebuild` would make it say."""
    expected = {(of, name): hash(words) for of, name, words in _expected(tx)}
    wrong, indexed = 0, dict[int, int]()
    for row in tx.execute(select(schema.model_text).execution_options(yield_per=_CHUNK)):
        wrong += expected.pop((row.of, row.name), None) != hash(row.words)
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


def _expected(tx: Connection) -> Iterator[tuple[str, str, str]]:
    """(of what, its name, its words) of all that can be read; what cannot is told elsewhere."""
    for model in _readable(tx, schema.model, model_rows.model):
        yield model.kind, model.name, searching.entry_of_model(model)
    seen: set[str] = set()
    for version in _readable(tx, schema.model_version, model_rows.version):
        if version.id not in seen:  # it may be in several models
            seen.add(version.id)
            yield VERSION, version.id, searching.entry_of_version(version.commit)
    for digest, names in _readable(tx, schema.tensor_names, lambda row: (row["digest"], model_rows.tensor_names(row))):
        yield TENSORS, digest, searching.entry_of_tensors(names)


def _readable(tx: Connection, table: Table, read: Callable[[RowMapping], T]) -> Iterator[T]:
    for row in tx.execute(select(table).execution_options(yield_per=_CHUNK)).mappings():
        try:
            yield read(row)
        except StorageCorrupt:
            continue


def _parts(values: Sequence[str]) -> Iterator[Sequence[str]]:
    return (values[at : at + _CHUNK] for at in range(0, len(values), _CHUNK))
