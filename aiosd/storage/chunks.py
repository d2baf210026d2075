"""The index of chunks in the database: where each lies. `save` is part of whichever transaction remembers a version."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from sqlalchemy import Connection, Insert, RowMapping, and_, bindparam, delete, exists, select
from sqlalchemy.dialects import postgresql, sqlite

from aiosd.models.vault_ports import Stored
from aiosd.storage import schema

_AT_ONCE = 500  # values in one statement, rows in one execution

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class Connections(Protocol):
    """What the journal offers: its one writer, and its readers. Each call is one transaction."""

    async def write(self, work: Callable[Concatenate[Connection, P], R], /, *args: P.args, **kwargs: P.kwargs) -> R: ...

    async def read(self, question: Callable[Concatenate[Connection, P], R], /, *args: P.args, **kwargs: P.kwargs) -> R: ...


class SqlChunks:
    """The port ChunkIndex."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def stored(self, digests: Collection[str]) -> Mapping[str, Stored]:
        return await self._connections.read(stored, digests)

    async def within(self, places: Collection[str]) -> Sequence[Stored]:
        return await self._connections.read(within, places)

    async def places(self, after: str, limit: int) -> Sequence[str]:
        return await self._connections.read(places, after, limit)

    async def commit(self, new: Sequence[Stored], gone: Collection[tuple[str, str]]) -> None:
        await self._connections.write(commit, new, gone)


def save(tx: Connection, new: Sequence[Stored]) -> None:
    """Add them. One that is there already stays where it is, for others may be differences to it; one whose base is lost is replaced."""
    for part in _parts(new):
        tx.execute(_insert(tx.dialect.name), [_row(one) for one in part])


def commit(tx: Connection, new: Sequence[Stored], gone: Collection[tuple[str, str]]) -> None:
    if gone:
        tx.execute(_FORGET, [{"of_digest": digest, "of_place": place} for digest, place in gone])
    save(tx, new)


def stored(tx: Connection, digests: Collection[str]) -> dict[str, Stored]:
    found = _found(tx, digests)
    bases = _found(tx, {one.base for one in found.values() if one.base} - found.keys())
    known = found | bases
    return {digest: one for digest, one in known.items() if not one.base or one.base in known}


def within(tx: Connection, places: Collection[str]) -> list[Stored]:
    table = schema.chunk
    rows: list[Stored] = []
    for part in _parts(sorted(places)):
        question = select(table).where(table.c.place.in_(part)).order_by(table.c.place, table.c.offset)
        rows += [_stored(row) for row in tx.execute(question).mappings()]
    return rows


def places(tx: Connection, after: str, limit: int) -> list[str]:
    column = schema.chunk.c.place
    return list(tx.scalars(select(column).where(column > after).distinct().order_by(column).limit(limit)))


_there = schema.chunk.c
_FORGET = delete(schema.chunk).where(_there.digest == bindparam("of_digest"), _there.place == bindparam("of_place"))


@cache
def _insert(dialect: str) -> Insert:
    table = schema.chunk
    statement: Any = sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)
    base = table.alias("its_base")
    lost = and_(table.c.base != "", ~exists().where(base.c.digest == table.c.base))
    fresh = {column.name: statement.excluded[column.name] for column in table.c if not column.primary_key}
    upsert: Insert = statement.on_conflict_do_update(index_elements=["digest"], set_=fresh, where=lost)
    return upsert


def _found(tx: Connection, digests: Iterable[str]) -> dict[str, Stored]:
    found: dict[str, Stored] = {}
    for part in _parts(list(digests)):
        for row in tx.execute(select(schema.chunk).where(_there.digest.in_(part))).mappings():
            found[row["digest"]] = _stored(row)
    return found


def _parts(values: Sequence[T]) -> Iterable[Sequence[T]]:
    return (values[at : at + _AT_ONCE] for at in range(0, len(values), _AT_ONCE))


def _row(one: Stored) -> dict[str, Any]:
    return {name: getattr(one, name) for name in ("digest", "size", "place", "offset", "stored_size", "encoding", "base")}


def _stored(row: RowMapping) -> Stored:
    return Stored(row["digest"], row["size"], row["place"], row["offset"], row["stored_size"], row["encoding"], row["base"])
