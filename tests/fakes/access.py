"""An access store in memory with the semantics of the real one; passes tests/contract/test_access_store.py; can be told to fail."""

from collections.abc import Sequence

from aiosd.access.audit import AuditFilter, AuditRecord, Head, Verdict, verify
from aiosd.access.ports import AccessChanges, Remembered
from aiosd.access.tokens import TokenRecord
from aiosd.access.users import UserRecord
from aiosd.errors import AiosError, AlreadyExists


class FakeAccessStore:
    """`failure` is raised by every commit while it is set; with `lies` the commit was made all the same."""

    def __init__(self) -> None:
        self.users: dict[str, UserRecord] = {}
        self.tokens: dict[str, TokenRecord] = {}
        self.trail: list[AuditRecord] = []
        self.stored_head = Head()
        self.commits = 0
        self.failure: AiosError | None = None
        self.lies = False

    async def load(self) -> Remembered:
        return Remembered(list(self.users.values()), list(self.tokens.values()), self.stored_head)

    async def head(self) -> Head:
        return self.stored_head

    async def commit(self, changes: AccessChanges) -> None:
        if self.failure is not None and not self.lies:
            raise self.failure
        self._apply(changes)
        if self.failure is not None:
            raise self.failure

    def _apply(self, changes: AccessChanges) -> None:
        known = {record.number for record in self.trail}
        if any(record.number in known for record in changes.audit):
            raise AlreadyExists("the store refused a change: that record is there")
        self.commits += 1
        for user in changes.users:
            self.users.pop(user.name, None)
            if not user.empty:
                self.users[user.name] = user
        self.tokens.update((token.id, token) for token in changes.tokens)
        self.trail.extend(changes.audit)
        self.stored_head = changes.head or self.stored_head

    async def audit(self, wanted: AuditFilter) -> Sequence[AuditRecord]:
        found = [record for record in self.trail if _matches(record, wanted)]
        return found[-(wanted.limit or 1000) :]

    async def verify(self, known: Head) -> Verdict:
        return verify(self.trail, self.stored_head, known)


def _matches(record: AuditRecord, wanted: AuditFilter) -> bool:
    return (
        record.number > wanted.after_number
        and record.at_s >= wanted.since_s
        and (not wanted.until_s or record.at_s < wanted.until_s)
        and wanted.user in ("", record.user)
        and wanted.method in ("", record.method)
        and not (wanted.denied_only and record.allowed)
    )
