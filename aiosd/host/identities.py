"""Who a job's owner is on this machine: groups, home and shell, looked up as seldom as may be, and never on the event loop."""

import os
import pwd
import time
from collections.abc import Callable
from dataclasses import dataclass

from aiosd.jobs.job import Owner

KEPT_S = 60.0  # a directory service may be slow, and what it says changes seldom
SHELL = "/bin/sh"
PATH, PATH_OF_ROOT = "/usr/local/bin:/usr/bin:/bin", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Identity:
    """As whom a run runs. `groups`: all of them, `gid` included."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    name: str
    home: str = "/"
    shell: str = SHELL

    @property
    def variables(self) -> dict[str, str]:
        """What a login would set."""
        path = PATH if self.uid else PATH_OF_ROOT
        return {"HOME": self.home, "USER": self.name, "LOGNAME": self.name, "SHELL": self.shell, "PATH": path}


def look_up(owner: Owner) -> Identity:
    """Blocks, as long as the machine's directory of users does. A uid without an entry has the group that it submitted with, and no other."""
    try:
        entry = pwd.getpwuid(owner.uid)
    except KeyError:
        return Identity(owner.uid, owner.gid, (owner.gid,), owner.name or str(owner.uid))
    groups = tuple(dict.fromkeys(os.getgrouplist(entry.pw_name, entry.pw_gid)))
    gid = owner.gid if owner.gid in groups else entry.pw_gid  # of a group that the user has left since, the job is no member
    return Identity(owner.uid, gid, groups, entry.pw_name, entry.pw_dir or "/", entry.pw_shell or SHELL)


class Identities:
    """The users of late. `of` may be called on any thread but the event loop's; `known` on any."""

    def __init__(self, look: Callable[[Owner], Identity] = look_up, now_s: Callable[[], float] = time.monotonic) -> None:
        self._look, self._now_s = look, now_s
        self._known: dict[Owner, tuple[float, Identity]] = {}

    def known(self, owner: Owner) -> Identity | None:
        """What was looked up within the last minute."""
        at_s, identity = self._known.get(owner, (0.0, None))
        return identity if identity is not None and self._now_s() - at_s < KEPT_S else None

    def last(self, owner: Owner) -> Identity | None:
        """What was looked up last, however long ago; for a run that is tried again."""
        return self._known.get(owner, (0.0, None))[1]

    def of(self, owner: Owner) -> Identity:
        """Blocks where it is not known."""
        identity = self.known(owner)
        if identity is None:
            identity = self._look(owner)
            self._known[owner] = (self._now_s(), identity)
        return identity
