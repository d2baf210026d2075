"""What a version brought to the store, when it goes: whoever still needs it has it counted from then on, so that a quota counts what is kept."""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, select, update

from aiosd.errors import StorageCorrupt
from aiosd.models.vault_ports import Stored
from aiosd.models.version import Kind
from aiosd.storage import chunks, model_rows, schema

_row = schema.model_version.c
_columns = (_row.number, _row.id, _row.manifest, _row.stored_bytes)


def hand_over(tx: Connection, kind: Kind, model: str, version_id: str) -> None:
    """Before the version goes: to the next one of its model, or else the one before, as much as that one needs of what this one brought.

    Looking at all of them would take too long; of a history that is removed from its beginning on, each hands over to the next.
    """
    gone = tx.execute(select(*_columns).where(_row.kind == kind, _row.model == model, _row.id == version_id, model_rows.IS_HERE)).first()
    brought = _digests(tx, gone.manifest) if gone is not None and gone.stored_bytes else frozenset()
    if gone is None or not brought:
        return
    for heir in _neighbours(tx, kind, model, gone.number):
        kept = min(gone.stored_bytes, _needed(tx, _digests(tx, heir.manifest), brought))
        if kept:
            this = (_row.kind == kind, _row.model == model, _row.id == heir.id)
            tx.execute(update(schema.model_version).where(*this).values(stored_bytes=heir.stored_bytes + kept))
            return


def _neighbours(tx: Connection, kind: Kind, model: str, number: int) -> Iterator[Any]:
    question = select(*_columns).where(_row.kind == kind, _row.model == model, model_rows.IS_HERE).limit(1)
    for beside in (question.where(_row.number > number).order_by(_row.number), question.where(_row.number < number).order_by(_row.number.desc())):
        if (row := tx.execute(beside).first()) is not None:
            yield row


def _digests(tx: Connection, manifest: str) -> frozenset[str]:
    """Of one that cannot be read none: it must be possible to remove it."""
    body = tx.scalar(select(schema.manifest.c.body).where(schema.manifest.c.digest == manifest))
    try:
        return frozenset(chunk.digest for chunk in model_rows.manifest(manifest, body).chunks()) if body is not None else frozenset()
    except StorageCorrupt:
        return frozenset()


def _needed(tx: Connection, wanted: frozenset[str], brought: frozenset[str]) -> int:
    """Bytes of the disk: chunks that both have, parts of whole files that only one has, and what differences are to."""
    found: Sequence[Stored] = [one for digest, one in chunks.stored(tx, wanted | brought).items() if digest in wanted]
    bases = {one.base for one in found if one.base in brought}
    places = {f"whole/{digest}" for digest in brought}
    sizes = {one.digest: one.stored_size for one in found if one.digest in brought or one.place in places}
    return sum((sizes | {digest: one.stored_size for digest, one in chunks.stored(tx, bases).items() if digest in bases}).values())
