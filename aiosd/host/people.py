"""The users of this machine and their groups, as its user database says; asked once a minute at most, since that may be a network away."""

import grp
import os
import pwd
import time
from collections.abc import Callable

from aiosd.access.person import Person

REMEMBERED_S = 60.0
MOST_REMEMBERED = 4096


class People:
    """`person` and `named` may block; `remembered` never does, and knows whom they were asked about within a minute."""

    def __init__(self, steady_s: Callable[[], float] = time.monotonic) -> None:
        self._steady_s = steady_s
        self._found: dict[int, tuple[float, Person]] = {}
        self._groups: dict[str, tuple[float, frozenset[str]]] = {}

    def remembered(self, uid: int) -> Person | None:
        found = self._found.get(uid)
        return found[1] if found is not None and self._steady_s() - found[0] < REMEMBERED_S else None

    def person(self, uid: int, gid: int) -> Person:
        """The user of that number; `gid` is the group of one without an entry, whose name is the number."""
        found = self.remembered(uid)
        if found is not None:
            return found
        try:
            entry = pwd.getpwuid(uid)
        except KeyError:
            return self._keep(Person(uid, gid, str(uid), frozenset({_group_name(gid)}), known=False))
        return self._keep(_of(entry))

    def named(self, name: str) -> Person | None:
        """The user of that name; None when there is none."""
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            return None
        return self.remembered(entry.pw_uid) or self._keep(_of(entry))

    def groups_of(self, name: str, gid: int) -> frozenset[str]:
        """The names of the groups of a user, `gid` being the one it has in any case."""
        at_s, groups = self._groups.get(name, (0.0, frozenset[str]()))
        if groups and self._steady_s() - at_s < REMEMBERED_S:
            return groups
        person = self.named(name)
        return person.groups if person is not None else frozenset({_group_name(gid)})

    def _keep(self, person: Person) -> Person:
        if len(self._found) >= MOST_REMEMBERED:
            self._found.clear()
            self._groups.clear()
        self._found[person.uid] = (self._steady_s(), person)
        self._groups[person.name] = (self._steady_s(), person.groups)
        return person


def _of(entry: pwd.struct_passwd) -> Person:
    groups = frozenset(map(_group_name, os.getgrouplist(entry.pw_name, entry.pw_gid)))
    return Person(entry.pw_uid, entry.pw_gid, entry.pw_name, groups)


def _group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
