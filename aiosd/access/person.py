"""A user of this machine, as its user database has it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Person:
    """`groups` are names, the number where a group has none; `known`: there is an entry in the database."""

    uid: int
    gid: int
    name: str
    groups: frozenset[str]
    known: bool = True
