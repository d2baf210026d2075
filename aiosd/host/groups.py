"""Whom the names of users and Unix groups mean on this machine."""

import grp
import pwd
from collections.abc import Iterable

from aiosd.errors import NotFound


def members_of(names: Iterable[str]) -> frozenset[str]:
    """The users among `names` and the members of the groups ("@group"), as of now. Blocking. Raises NotFound for an unknown one."""
    found: set[str] = set()
    for name in names:
        found |= _of_group(name[1:]) if name.startswith("@") else {_user(name)}
    return frozenset(found)


def _user(name: str) -> str:
    try:
        return pwd.getpwnam(name).pw_name
    except (KeyError, ValueError):
        raise NotFound(f"there is no user {name!r} on this machine", hint="write a group as @group", user=name) from None


def _of_group(name: str) -> set[str]:
    """Those who are listed in it, and those whose own group it is."""
    try:
        group = grp.getgrnam(name)
    except (KeyError, ValueError):
        raise NotFound(f"there is no group {name!r} on this machine", hint="see `getent group`", group=name) from None
    return {*group.gr_mem, *(user.pw_name for user in pwd.getpwall() if user.pw_gid == group.gr_gid)}
