"""The contract of the port AccessStore: on the fake, on SQLite, and on a private PostgreSQL."""

import asyncio
from collections.abc import Awaitable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
from sqlalchemy import text

from aiosd.access.audit import AuditFilter, AuditRecord, Head, chain
from aiosd.access.limits import UserLimits
from aiosd.access.ports import AccessChanges
from aiosd.access.principal import Role
from aiosd.access.tokens import TokenRecord
from aiosd.access.users import UserRecord
from aiosd.errors import AiosError, AlreadyExists
from aiosd.storage.access import SqlAccess
from aiosd.storage.journal import SqlJournal
from tests.fakes.access import FakeAccessStore

T = TypeVar("T")
LIMITS = UserLimits(running_jobs=4, cpu_millis=16_000, memory_bytes=1 << 40, gpu_hours_per_day=2.5)
ALICE, BOB = UserRecord("alice", 1000, Role.OPERATOR, LIMITS), UserRecord("bob", 4_000_000_000, None, UserLimits())
TOKEN = TokenRecord(
    id="00aa11bb22", secret_hash="f" * 64, user="alice", uid=1000, gid=100, role=Role.USER, created_at_s=0.1 + 0.2, created_by="root", comment="für ci"
)


def record(user: str = "alice", *, allowed: bool = True, at_s: float = 1.0, **more: Any) -> AuditRecord:
    return AuditRecord(at_s=at_s, user=user, uid=1000, origin="socket", peer="pid 7", method="Jobs.Cancel", object="job 4é", allowed=allowed, **more)


@dataclass
class Bench:
    """A store under test, in a loop of its own."""

    store: Any
    runner: asyncio.Runner
    journal: SqlJournal | None = None

    def do(self, awaitable: Awaitable[T]) -> T:
        async def one() -> T:
            return await awaitable

        return self.runner.run(one())

    def close(self) -> None:
        if self.journal is not None:
            self.do(self.journal.close())
        self.runner.close()

    def append(self, *records: AuditRecord) -> Head:
        chained, head = chain(records, self.do(self.store.head()))
        self.do(self.store.commit(AccessChanges(audit=chained, head=head)))
        return head


def open_bench(url: str) -> Bench:
    runner = asyncio.Runner()
    journal = runner.run(SqlJournal.open(url))
    return Bench(SqlAccess(journal), runner, journal)


def databases() -> list[Any]:
    return ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]


def open_kind(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    if kind == "fake":
        return Bench(FakeAccessStore(), asyncio.Runner())
    return open_bench(f"sqlite:///{tmp_path}/aiosd.db" if kind == "sqlite" else request.getfixturevalue("migrated_cluster").new_database())


@pytest.fixture(params=["fake", *databases()])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    made = open_kind(request.param, request, tmp_path)
    yield made
    made.close()


@pytest.fixture(params=databases())
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    made = open_kind(request.param, request, tmp_path)
    yield made
    made.close()


def test_a_new_store_is_empty(bench: Bench) -> None:
    found = bench.do(bench.store.load())
    assert (list(found.users), list(found.tokens), found.head) == ([], [], Head())
    assert bench.do(bench.store.verify(Head())).intact


def test_users_and_tokens_are_kept_replaced_and_forgotten(bench: Bench) -> None:
    bench.do(bench.store.commit(AccessChanges(users=[ALICE, BOB], tokens=[TOKEN])))
    found = bench.do(bench.store.load())
    assert sorted(found.users, key=lambda u: u.name) == [ALICE, BOB]
    assert list(found.tokens) == [TOKEN]
    revoked = replace(TOKEN, revoked_at_s=17.25)
    bench.do(bench.store.commit(AccessChanges(users=[replace(ALICE, role=Role.VIEWER), UserRecord("bob", 1)], tokens=[revoked])))
    found = bench.do(bench.store.load())
    assert list(found.users) == [replace(ALICE, role=Role.VIEWER)]
    assert list(found.tokens) == [revoked]


def test_the_trail_comes_back_as_it_was_chained(bench: Bench) -> None:
    bench.append(record(), record("bob", allowed=False, detail='it\'s \\ "quoted" ☃'))
    head = bench.append(record(at_s=0.1 + 0.2))
    assert bench.do(bench.store.load()).head == head == bench.do(bench.store.head())
    verdict = bench.do(bench.store.verify(head))
    assert (verdict.intact, verdict.records, verdict.last_digest) == (True, 3, head.digest)


def test_a_trail_longer_than_a_page_is_verified_whole(bench: Bench) -> None:
    head = bench.append(*(record(at_s=float(n)) for n in range(4_100)))
    assert bench.do(bench.store.verify(head)).records == 4_100


def test_a_head_that_somebody_remembers_must_be_in_the_trail(bench: Bench) -> None:
    head = bench.append(record(), record())
    assert not bench.do(bench.store.verify(Head(2, "0" * 64))).intact
    assert not bench.do(bench.store.verify(Head(3, head.digest))).intact


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        (AuditFilter(), [1, 2, 3, 4]),
        (AuditFilter(limit=2), [3, 4]),
        (AuditFilter(after_number=1, limit=2), [3, 4]),
        (AuditFilter(user="bob"), [2, 4]),
        (AuditFilter(denied_only=True), [2]),
        (AuditFilter(since_s=2.0, until_s=4.0), [2, 3]),
        (AuditFilter(method="Jobs.Cancel", user="alice"), [1, 3]),
        (AuditFilter(method="Jobs.Submit"), []),
    ],
)
def test_the_newest_that_match_oldest_first(bench: Bench, wanted: AuditFilter, numbers: list[int]) -> None:
    bench.append(record(at_s=1.0), record("bob", allowed=False, at_s=2.0), record(at_s=3.0), record("bob", at_s=4.0))
    assert [found.number for found in bench.do(bench.store.audit(wanted))] == numbers


def test_a_commit_is_one_fact(bench: Bench) -> None:
    chained, head = chain([record()], Head())
    bench.append(record())
    with pytest.raises(AlreadyExists):
        bench.do(bench.store.commit(AccessChanges(users=[ALICE], audit=chained, head=head)))
    assert list(bench.do(bench.store.load()).users) == []


def journal_of(database: Bench) -> SqlJournal:
    assert database.journal is not None
    return database.journal


@pytest.mark.parametrize("statement", ["UPDATE audit SET user_name = 'bob'", "DELETE FROM audit", "TRUNCATE audit"])
def test_a_database_refuses_to_change_the_trail(database: Bench, statement: str) -> None:
    database.append(record())
    with pytest.raises(Exception, match=r"only added to|syntax error"):
        database.do(journal_of(database).write(lambda tx: tx.execute(text(statement))))
    assert database.do(database.store.verify(Head())).records == 1


def test_the_check_of_the_database_reads_the_trail(database: Bench) -> None:
    head = database.append(record(), record())
    assert database.do(journal_of(database).check()) == []
    database.do(database.store.commit(AccessChanges(head=replace(head, number=3))))
    (finding,) = database.do(journal_of(database).check())
    assert finding.subject == "audit trail"


def test_errors_name_the_database(database: Bench) -> None:
    database.append(record())
    with pytest.raises(AiosError) as caught:
        database.do(database.store.commit(AccessChanges(audit=chain([record()], Head())[0])))
    assert "the database" in str(caught.value)
