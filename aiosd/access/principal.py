"""Who calls: a user of this machine with a role, and how the daemon knows."""

from dataclasses import dataclass
from enum import IntEnum


class Role(IntEnum):
    """Each may do what those below it may."""

    VIEWER = 1
    USER = 2
    OPERATOR = 3
    ADMIN = 4

    def __str__(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Principal:
    """`origin` says how the daemon knows ("socket", "token ci", "certificate ada"), `peer` where the call comes from.

    pid  of the process of this machine that calls, as the kernel has it; 0: not known
    """

    uid: int
    gid: int
    name: str
    role: Role
    origin: str = "socket"
    peer: str = ""
    pid: int = 0
