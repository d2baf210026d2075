"""What is wrong with the models in the database: every row is read as the daemon would, and every name must lead somewhere."""

from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy import Connection, RowMapping, Table, select

from aiosd.errors import StorageCorrupt
from aiosd.findings import Finding
from aiosd.storage import model_rows, model_text, schema

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
    there = select(_version.id).where(_version.kind == reference.kind, _version.model == reference.model, _version.id == reference.version)
    for row in _some(tx, select(reference.model, reference.name, reference.version).where(~there.exists())):
        yield Finding(f"reference {row.model}:{row.name}", f"leads to the version {row.version[:12]}, which is not there")
    files = select(schema.manifest.c.digest).where(schema.manifest.c.digest == _version.manifest)
    for row in _some(tx, select(_version.model, _version.id, _version.manifest).where(~files.exists())):
        yield Finding(f"version {row.model}@{row.id[:12]}", f"has the list of files {row.manifest[:12]}, which is not there")


def _some(tx: Connection, question: Any) -> Iterator[Any]:
    yield from tx.execute(question.limit(_SHOWN))
