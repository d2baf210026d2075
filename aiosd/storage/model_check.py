"""What is wrong with the models in the database: every row is read as the daemon would, and every name must lead somewhere."""

from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy import Connection, RowMapping, Table, func, select

from aiosd.errors import StorageCorrupt
from aiosd.findings import Finding
from aiosd.models.model import RefKind
from aiosd.storage import model_rows, model_text, schema

Named = tuple[str, str, str]  # kind, model, reference
Where = tuple[str, str] | None  # what it is, and the version; None: not there

_SHOWN = 100  # of each kind
_version = schema.model_version.c


def problems(tx: Connection) -> Iterator[Finding]:
    """The index of words is compared with the rest only where that can be read."""
    found = list(_of_rows(tx))
    yield from found or model_text.problems(tx)


def _of_rows(tx: Connection) -> Iterator[Finding]:
    yield from _unreadable(tx, schema.model, model_rows.model, lambda row: f"{row['kind']} {row['name']}")
    yield from _unreadable(tx, schema.model_version, model_rows.version, lambda row: f"version {row['model']}@{row['id'][:12]}")
    yield from _unreadable(tx, schema.manifest, lambda row: model_rows.manifest(row["digest"], row["body"]), lambda row: f"manifest {row['digest'][:12]}")
    yield from _unreadable(tx, schema.tensor_names, model_rows.tensor_names, lambda row: f"tensors {row['digest'][:12]}")
    yield from _leading_nowhere(tx)


def _unreadable(tx: Connection, table: Table, read: Callable[[RowMapping], object], name: Callable[[RowMapping], str]) -> Iterator[Finding]:
    for row in tx.execute(select(table).execution_options(yield_per=500)).mappings():
        try:
            read(row)
        except StorageCorrupt as error:
            yield Finding(name(row), str(error))


def _leading_nowhere(tx: Connection) -> Iterator[Finding]:
    reference = schema.model_reference.c
    there = select(_version.id).where(_version.kind == reference.kind, _version.model == reference.model, _version.id == reference.version, model_rows.IS_HERE)
    for row in _some(tx, select(reference.model, reference.name, reference.version).where(~there.exists())):
        yield Finding(f"reference {row.model}:{row.name}", f"leads to the version {row.version[:12]}, which is not there")
    yield from _elsewhere(tx)
    files = select(schema.manifest.c.digest).where(schema.manifest.c.digest == _version.manifest)
    for row in _some(tx, select(_version.model, _version.id, _version.manifest).where(~files.exists(), model_rows.IS_HERE)):
        yield Finding(f"version {row.model}@{row.id[:12]}", f"has the list of files {row.manifest[:12]}, which is not there")


def _elsewhere(tx: Connection) -> Iterator[Finding]:
    """References are where, and what, their last moves made them; and each move began where the one before it had ended."""
    for (_, model, name), (there, last) in misled(tx).items():
        yield Finding(f"reference {model}:{name}", f"is {_shown(there)}, and its last move says that it is {_shown(last)}")
    move, ended = schema.model_move.c, dict[Named, str]()
    for row in tx.execute(select(schema.model_move).order_by(move.number).execution_options(yield_per=500)):
        named = row.kind, row.model, row.reference
        if row.source != ended.get(named, ""):
            yield Finding(f"move {row.number} of {row.model}:{row.reference}", "does not begin where the one before it ended: one of the two is damaged")
        if row.of not in set(RefKind):
            yield Finding(f"move {row.number} of {row.model}:{row.reference}", f"is of a {row.of!r}, which there is not")
        ended[named] = row.target


def misled(tx: Connection) -> "dict[Named, tuple[Where, Where]]":
    """By reference: where it is, and where its last move has led it; None: it is not there."""
    reference, move = schema.model_reference, schema.model_move.c
    last = select(func.max(move.number)).group_by(move.kind, move.model, move.reference)
    moves = tx.execute(select(schema.model_move).where(move.number.in_(last)))
    led: dict[Named, Where] = {(row.kind, row.model, row.reference): (row.of, row.target) for row in moves if row.target}
    there: dict[Named, Where] = {(row.kind, row.model, row.name): (row.of, row.version) for row in tx.execute(select(reference))}
    return {key: (there.get(key), led.get(key)) for key in sorted(there.keys() | led.keys()) if there.get(key) != led.get(key)}


def _shown(where: "Where") -> str:
    return f"a {where[0]} at {where[1][:12]}" if where else "not there"


def _some(tx: Connection, question: Any) -> Iterator[Any]:
    yield from tx.execute(question.limit(_SHOWN))
