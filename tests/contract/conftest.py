"""What the contract suites share: a private PostgreSQL, and the worlds that launchers run in."""

import asyncio
from collections.abc import Iterator

import pytest

from aiosd.storage.journal import SqlJournal
from tests import postgres
from tests.contract.launching import real, world  # noqa: F401  fixtures
from tests.contract.users import users  # noqa: F401  a fixture


@pytest.fixture(scope="session")
def cluster() -> Iterator[postgres.Cluster]:
    if reason := postgres.missing():
        pytest.skip(reason)
    with postgres.cluster() as started:
        yield started


@pytest.fixture(scope="session")
def migrated_cluster(cluster: postgres.Cluster) -> postgres.Cluster:
    """Its new databases are copies of one that was migrated: that is quicker than to migrate each."""

    async def migrate(url: str) -> None:
        await (await SqlJournal.open(url)).close()

    asyncio.run(migrate(cluster.new_database()))
    return postgres.Cluster(cluster.socket, "aios_1", cluster.numbers)
