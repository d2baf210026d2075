"""The users of this machine and their groups, as its user database says; asked once a minute at most, since that may be a network away."""

import grp
import os
import pwd
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Any

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

    def strange(self, who: str) -> Sequence[str] | None:
        """What is spelt much like "bob", or like the group "@vision", where there is none of that name; None: there is. May block.

        A user or group without a name is known by its number.
        """
        name = who.removeprefix("@")
        by_name, by_number, file = (grp.getgrnam, grp.getgrgid, "group") if name != who else (pwd.getpwnam, pwd.getpwuid, "passwd")
        if _found(by_name, name) or (name.isascii() and name.isdecimal() and len(name) < 10 and not _found(by_number, int(name))):
            return None
        return [who.removesuffix(name) + near for near in get_close_matches(name, _local_names(Path("/etc", file)), n=3)]

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


def _found(look: Callable[[Any], object], key: str | int) -> bool:
    try:
        return bool(look(key))
    except (KeyError, ValueError):  # the latter: it has a zero byte
        return False


def _local_names(file: Path) -> list[str]:
    """Without those of a directory service, which may be without number."""
    with suppress(OSError):
        return [line.partition(":")[0] for line in file.read_text("utf-8", "replace").splitlines()]
    return []


def _of(entry: pwd.struct_passwd) -> Person:
    groups = frozenset(map(_group_name, os.getgrouplist(entry.pw_name, entry.pw_gid)))
    return Person(entry.pw_uid, entry.pw_gid, entry.pw_name, groups)


def _group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
