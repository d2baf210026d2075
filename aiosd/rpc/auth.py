"""Who calls: the answer to a call's context, as the owner of what it submits."""

from dataclasses import dataclass
from typing import Protocol

from aiosd.jobs.job import Owner
from aiosd.rpc.context import Context


class Authenticator(Protocol):
    def principal(self, context: Context) -> Owner:
        """Whoever makes this call. Raises Denied when they cannot be told, or may not call at all."""


@dataclass(frozen=True, slots=True)
class SameUser:
    """Rootless: the socket's mode lets nobody in but the daemon's own user, so whoever calls is that user."""

    owner: Owner

    def principal(self, context: Context) -> Owner:
        return self.owner
