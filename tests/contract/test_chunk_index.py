"""The contract of the port ChunkIndex: on the fake, on SQLite, and on a private PostgreSQL."""

import asyncio
from collections.abc import Awaitable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

from aiosd.models.vault_ports import Stored
from aiosd.storage.chunks import SqlChunks
from aiosd.storage.journal import SqlJournal
from tests import postgres
from tests.fakes.chunks import FakeChunks

T = TypeVar("T")


def digest(number: int) -> str:
    return f"{number:064x}"


def chunk(number: int, place: str = "pack/aaa", base: int = 0) -> Stored:
    return Stored(digest(number), 5_000_000_000, place, number * 100, 90, "delta" if base else "raw", digest(base) if base else "")


@dataclass
class Bench:
    index: Any
    runner: asyncio.Runner
    journal: SqlJournal | None = None

    def do(self, awaitable: Awaitable[T]) -> T:
        async def one() -> T:
            return await awaitable

        return self.runner.run(one())

    def known(self, *numbers: int) -> dict[str, Stored]:
        return dict(self.do(self.index.stored({digest(number) for number in numbers})))


@pytest.fixture(params=["fake", "sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    runner = asyncio.Runner()
    if request.param == "fake":
        yield Bench(FakeChunks(), runner)
        runner.close()
        return
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/aiosd.db"
    else:
        cluster: postgres.Cluster = request.getfixturevalue("migrated_cluster")
        url = cluster.new_database()
    journal = runner.run(SqlJournal.open(url))
    yield Bench(SqlChunks(journal), runner, journal)
    runner.run(journal.close())
    runner.close()


def test_what_is_added_is_found_with_the_bases_of_differences(bench: Bench) -> None:
    bench.do(bench.index.commit([chunk(1), chunk(2, base=1), chunk(3)], ()))
    assert bench.known(2, 9) == {digest(1): chunk(1), digest(2): chunk(2, base=1)}
    many = [chunk(number) for number in range(100, 1700)]
    bench.do(bench.index.commit(many, ()))
    assert len(bench.known(*range(100, 1800))) == 1600
    assert not bench.known()


def test_a_chunk_stays_where_it_is_when_it_comes_again(bench: Bench) -> None:
    """Others may be differences to it, which nothing may turn into a difference itself."""
    bench.do(bench.index.commit([chunk(1), chunk(2)], ()))
    bench.do(bench.index.commit([chunk(1, "pack/bbb", base=2)], ()))
    assert bench.known(1) == {digest(1): chunk(1)}


def test_a_difference_whose_base_is_lost_is_not_there_and_is_replaced(bench: Bench) -> None:
    bench.do(bench.index.commit([chunk(1), chunk(2, base=1)], ()))
    bench.do(bench.index.commit((), {(digest(1), "pack/aaa")}))
    assert not bench.known(2)
    bench.do(bench.index.commit([chunk(2, "pack/bbb")], ()))
    assert bench.known(2) == {digest(2): chunk(2, "pack/bbb")}


def test_only_what_lies_in_that_place_is_forgotten(bench: Bench) -> None:
    bench.do(bench.index.commit([chunk(1), chunk(2)], ()))
    bench.do(bench.index.commit([chunk(2, "pack/bbb")], {(digest(1), "pack/other"), (digest(2), "pack/aaa")}))
    assert bench.known(1, 2) == {digest(1): chunk(1), digest(2): chunk(2, "pack/bbb")}


def test_places_are_gone_through_by_name(bench: Bench) -> None:
    bench.do(bench.index.commit([chunk(2), chunk(1), chunk(3, "whole/ccc"), chunk(4, "pack/bbb")], ()))
    assert bench.do(bench.index.places("", 2)) == ["pack/aaa", "pack/bbb"]
    assert bench.do(bench.index.places("pack/bbb", 2)) == ["whole/ccc"]
    assert bench.do(bench.index.within(["whole/ccc", "pack/aaa"])) == [chunk(1), chunk(2), chunk(3, "whole/ccc")]
    assert not bench.do(bench.index.within([]))
