"""A disk that is really full: no audit record is lost, nothing that was refused counts, and it is written when there is room."""

import asyncio
from pathlib import Path

import pytest

from aiosd.access import service as module
from aiosd.access.audit import AuditFilter
from aiosd.access.principal import Principal, Role
from aiosd.access.service import AccessService
from aiosd.access.users import UserRecord
from aiosd.errors import DiskFull
from aiosd.storage.access import SqlAccess
from aiosd.storage.journal import SqlJournal

pytestmark = pytest.mark.root
ROOT = Principal(0, 0, "root", Role.ADMIN)


def test_a_full_disk_loses_no_record_of_the_trail(small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_S", 0.05)
    monkeypatch.setattr(module, "GATHER_S", 0.01)
    ballast = small_disk / "ballast"

    async def fill_and_free(service: AccessService) -> int:
        recorded = 0
        ballast.write_bytes(b"x" * (1 << 20))
        while service.trouble is None:
            for _ in range(100):
                service.record(ROOT, "Jobs.Submit", f"job {recorded}", True, "x" * 500)
                recorded += 1
            await service.audit(AuditFilter(limit=1))  # which writes what was recorded, or tries to
        assert str(small_disk) in service.warnings[0]
        with pytest.raises(DiskFull):
            await service.set_user(UserRecord("alice", 1000, Role.ADMIN), ROOT)
        assert service.role_of(1000, 1000, "alice") is Role.USER
        service.record(ROOT, "Jobs.Submit", "the last", True)
        ballast.unlink()
        while service.trouble is not None:
            await asyncio.sleep(0.01)
        await service.set_user(UserRecord("alice", 1000, Role.ADMIN), ROOT)
        return recorded + 2

    async def run() -> None:
        journal = await SqlJournal.open(f"sqlite:///{small_disk}/aiosd.db")
        service = AccessService(SqlAccess(journal), lambda name, gid: frozenset(), lambda: 1.0)
        await service.start()
        async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
            tasks.create_task(service.run())
            try:
                written = await fill_and_free(service)
                verdict = await service.verify()
                assert (verdict.intact, verdict.records) == (True, written)
                *_, last, setting = await service.audit(AuditFilter(limit=2))
                assert (last.object, setting.method) == ("the last", "Access.SetUser")
            finally:
                service.stop()
        await journal.close()

    asyncio.run(run())
