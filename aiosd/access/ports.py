"""What access needs of the outside: a store that remembers, and the machine's word for who is in which group."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from aiosd.access.audit import AuditFilter, AuditRecord, Head, Verdict
from aiosd.access.tokens import TokenRecord
from aiosd.access.users import UserRecord


@dataclass(frozen=True, slots=True)
class Remembered:
    """Everything but the trail, which is read only when somebody asks for it."""

    users: Sequence[UserRecord] = ()
    tokens: Sequence[TokenRecord] = ()
    head: Head = Head()


@dataclass(frozen=True, slots=True)
class AccessChanges:
    """Committed as one transaction or not at all. `audit` is chained to what is there, with `head` its new end."""

    users: Sequence[UserRecord] = ()  # an empty record is dropped
    tokens: Sequence[TokenRecord] = ()
    audit: Sequence[AuditRecord] = ()
    head: Head | None = None


class AccessStore(Protocol):
    """The memory of who may do what. Raises DiskFull, StorageUnwritable, StorageCorrupt and Unavailable."""

    async def load(self) -> Remembered: ...

    async def head(self) -> Head:
        """The end of the trail as it is stored."""

    async def commit(self, changes: AccessChanges) -> None:
        """Make `changes` one durable fact: returns when it would survive a power cut."""

    async def audit(self, wanted: AuditFilter) -> Sequence[AuditRecord]:
        """The newest records that match, oldest of them first."""

    async def verify(self, known: Head) -> Verdict:
        """Read the whole trail and compare it with the head that is kept apart from it, and with one that is known."""


class GroupsOf(Protocol):
    def __call__(self, name: str, gid: int, /) -> frozenset[str]:
        """The names of the user's Unix groups; empty for a user that the machine does not know."""
