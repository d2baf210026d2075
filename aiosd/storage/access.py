"""The store of the access domain in the database: users, tokens and the audit trail, on the journal's own connections."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, fields
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from sqlalchemy import ColumnElement, Connection, RowMapping, delete, insert, select

from aiosd.access.audit import AuditFilter, AuditRecord, Head, Verdict, verify
from aiosd.access.limits import UserLimits
from aiosd.access.ports import AccessChanges, Remembered
from aiosd.access.principal import Role
from aiosd.access.tokens import TokenRecord
from aiosd.access.users import UserRecord
from aiosd.errors import StorageCorrupt
from aiosd.storage import jobs, schema

HEAD = "audit.head"  # the setting that says where the trail ends
MOST_ANSWERED = 10_000
_PAGE = 2_000

P = ParamSpec("P")
R = TypeVar("R")


class Connections(Protocol):
    """What the journal offers: its one writer, and its readers. Each call is one transaction."""

    async def write(self, work: Callable[Concatenate[Connection, P], R], /, *args: P.args, **kwargs: P.kwargs) -> R: ...

    async def read(self, question: Callable[Concatenate[Connection, P], R], /, *args: P.args, **kwargs: P.kwargs) -> R: ...


class SqlAccess:
    """The port AccessStore."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def load(self) -> Remembered:
        return await self._connections.read(load)

    async def head(self) -> Head:
        return await self._connections.read(read_head)

    async def commit(self, changes: AccessChanges) -> None:
        await self._connections.write(save, changes)

    async def audit(self, wanted: AuditFilter) -> Sequence[AuditRecord]:
        return await self._connections.read(read_audit, wanted)

    async def verify(self, known: Head) -> Verdict:
        return await self._connections.read(verify_trail, known)


def load(tx: Connection) -> Remembered:
    return Remembered(
        users=[_user(row) for row in tx.execute(select(schema.user)).mappings()],
        tokens=[_token(row) for row in tx.execute(select(schema.token)).mappings()],
        head=read_head(tx),
    )


def save(tx: Connection, changes: AccessChanges) -> None:
    """The enclosing transaction makes it one fact."""
    kept = [_user_row(user) for user in changes.users if not user.empty]
    forgotten = [user.name for user in changes.users if user.empty]
    if forgotten:
        tx.execute(delete(schema.user).where(schema.user.c.name.in_(forgotten)))
    for table, rows in ((schema.user, kept), (schema.token, [_token_row(token) for token in changes.tokens])):
        if rows:  # an empty executemany is not a no-op
            tx.execute(jobs.upsert(tx.dialect.name, table), rows)
    if changes.audit:
        tx.execute(insert(schema.audit), [_audit_row(record) for record in changes.audit])
    if changes.head is not None:
        jobs.save_settings(tx, {HEAD: json.dumps(asdict(changes.head))})


def read_head(tx: Connection) -> Head:
    stored = tx.scalar(select(schema.setting.c.value).where(schema.setting.c.name == HEAD))
    try:
        return Head(**json.loads(stored)) if stored else Head()
    except (ValueError, TypeError) as error:
        raise StorageCorrupt(f"the setting {HEAD} cannot be read: {error}", hint="`aiosctl admin audit --verify` says what is left of the trail") from error


def read_audit(tx: Connection, wanted: AuditFilter) -> list[AuditRecord]:
    """The newest that match, oldest of them first."""
    limit = min(wanted.limit or 1000, MOST_ANSWERED)
    question = select(schema.audit).where(*_conditions(wanted)).order_by(schema.audit.c.number.desc()).limit(limit)
    return [_record(row) for row in tx.execute(question).mappings()][::-1]


def _conditions(wanted: AuditFilter) -> Iterator[ColumnElement[bool]]:
    column = schema.audit.c
    if wanted.after_number:
        yield column.number > wanted.after_number
    if wanted.since_s:
        yield column.at_s >= wanted.since_s
    if wanted.until_s:
        yield column.at_s < wanted.until_s
    if wanted.user:
        yield column.user_name == wanted.user
    if wanted.method:
        yield column.method == wanted.method
    if wanted.denied_only:
        yield column.allowed.is_(False)


def verify_trail(tx: Connection, known: Head | None = None) -> Verdict:
    """Page after page, so that a trail of years needs no more memory than one of a day."""
    if tx.dialect.name == "postgresql" and not tx.in_transaction():
        tx = tx.execution_options(isolation_level="REPEATABLE READ")  # the trail and its head as of one moment, as SQLite has it anyway
    return verify(_trail(tx), read_head(tx), known)


def _trail(tx: Connection) -> Iterator[AuditRecord]:
    number, after = schema.audit.c.number, 0
    while True:
        page = [_record(row) for row in tx.execute(select(schema.audit).where(number > after).order_by(number).limit(_PAGE)).mappings()]
        yield from page
        if len(page) < _PAGE:
            return
        after = page[-1].number


_AUDIT = tuple(f.name for f in fields(AuditRecord))
_TOKEN = tuple(f.name for f in fields(TokenRecord))


def _audit_row(record: AuditRecord) -> dict[str, object]:
    return {("user_name" if name == "user" else name): getattr(record, name) for name in _AUDIT}


def _record(row: RowMapping) -> AuditRecord:
    return AuditRecord(**{name: row["user_name" if name == "user" else name] for name in _AUDIT})


def _token_row(token: TokenRecord) -> dict[str, object]:
    return {("user_name" if name == "user" else name): getattr(token, name) for name in _TOKEN} | {"role": int(token.role)}


def _token(row: RowMapping) -> TokenRecord:
    values = {name: row["user_name" if name == "user" else name] for name in _TOKEN}
    return TokenRecord(**values | {"role": Role(row["role"])})


def _user_row(user: UserRecord) -> dict[str, object]:
    limits = json.dumps(asdict(user.limits)) if user.limits is not None else None
    return {"name": user.name, "uid": user.uid, "role": None if user.role is None else int(user.role), "limits": limits}


def _user(row: RowMapping) -> UserRecord:
    try:
        limits = UserLimits(**json.loads(row["limits"])) if row["limits"] is not None else None
        return UserRecord(row["name"], row["uid"], None if row["role"] is None else Role(row["role"]), limits)
    except (ValueError, TypeError) as error:
        raise StorageCorrupt(f"what is set for user {row['name']} cannot be read: {error}", hint="restore a backup", user=row["name"]) from error
