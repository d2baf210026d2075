"""A disk that is really full: the turn is refused, nothing is lost, and it works again when there is room."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from aiosd.errors import DiskFull
from aiosd.jobs.ports import Changes
from aiosd.storage.journal import SqlJournal
from tests.unit.storage.conftest import Store
from tests.unit.storage.samples import PLAIN, ended, environment, live

pytestmark = pytest.mark.root


def big(number: int) -> Changes:
    spec = replace(PLAIN, script="x" * 50_000 + str(number), environment=environment(N=str(number)))
    return Changes(saved=[live(number, spec=spec)], settings={"last": str(number)})


async def refused(journal: SqlJournal, number: int) -> DiskFull | None:
    try:
        await journal.commit(big(number))
    except DiskFull as error:
        return error
    return None


def test_a_full_disk_refuses_turns_until_there_is_room(small_disk: Path) -> None:
    async def fill_and_free() -> None:
        ballast = small_disk / "ballast"
        ballast.write_bytes(b"x" * (1 << 20))
        journal = await SqlJournal.open(f"sqlite:///{small_disk}/aiosd.db")
        number = 1
        while (refusal := await refused(journal, number)) is None:
            number += 1
        assert str(small_disk) in str(refusal)
        kept = [live(n).id for n in range(1, number)]
        assert [job.id for job in (await journal.load()).jobs] == kept  # the failed turn left nothing, the others are there
        with pytest.raises(DiskFull):
            await journal.commit(big(number))
        ballast.unlink()
        await journal.commit(big(number))  # the same connection, no restart
        await journal.commit(Changes(ended=[ended(1)]))
        await journal.close()
        journal = await SqlJournal.open(f"sqlite:///{small_disk}/aiosd.db")
        loaded = await journal.load()
        assert [job.id for job in loaded.jobs] == [*kept[1:], live(number).id]
        assert loaded.settings == {"last": str(number)}
        assert await journal.check() == []
        await journal.close()

    asyncio.run(fill_and_free())


def test_a_new_database_on_a_full_disk_says_so(small_disk: Path) -> None:
    with (small_disk / "ballast").open("wb", buffering=0) as ballast, suppress(OSError):
        for _ in range(1000):
            ballast.write(b"x" * 65536)
    with pytest.raises(DiskFull) as caught:
        Store(small_disk / "aiosd.db").use(lambda journal: journal.load())
    assert str(small_disk) in str(caught.value)
