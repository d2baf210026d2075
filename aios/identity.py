"""Who one is to the daemon."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Identity:
    """`role` is viewer, user, operator or admin; `origin` is how the daemon knows: "socket", "token ci", "certificate ada"."""

    user: str
    uid: int
    role: str
    origin: str
