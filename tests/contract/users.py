"""A daemon of root whose runs become their owners, in directories that users without entries can reach."""

import os
import stat
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from aiosd.clock import SystemClock
from aiosd.host.identities import Identities, Identity
from aiosd.host.launch import Confinement
from aiosd.host.launcher import ShimLauncher
from aiosd.jobs.job import Exit, Job, Owner
from tests.contract.launching import Ear

ADA, BOB = Owner(61001, 61001, "ada"), Owner(61002, 61002, "bob")  # without entries: any machine has these numbers free
GROUPS = (61001, 61050, 61051)


def identity_of(owner: Owner) -> Identity:
    """As the machine's directory of users would say it, if they were in it."""
    return Identity(owner.uid, owner.gid, GROUPS if owner == ADA else (owner.gid,), owner.name, "/", "/bin/sh")


class UsersWorld:
    """A state directory that users can pass through, and a place where each has a directory of its own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for part in ("state", "run"):
            (root / part).mkdir(mode=0o711)
        self.home = self.directory("home", ADA)

    @property
    def state(self) -> Path:
        return self.root / "state"

    def directory(self, name: str, owner: Owner, mode: int = 0o700) -> Path:
        made = self.root / name
        made.mkdir()
        made.chmod(mode)
        os.chown(made, owner.uid, owner.gid)
        return made

    @asynccontextmanager
    async def daemon(self) -> AsyncIterator[Ear]:
        confinement = Confinement(switch=True, runtime=str(self.root / "run"))
        launcher = ShimLauncher(self.state, "unix:/nowhere", lambda _: {}, SystemClock(), confinement, Identities(identity_of))
        await launcher.start()
        try:
            yield Ear(launcher)
        finally:
            await launcher.close()

    async def run(self, one: Job) -> tuple[Exit, str]:
        """How it ended, and what it printed."""
        async with self.daemon() as ear:
            ended = await ear.run(one)
            printed = Path(ear.launcher.log_paths(one)[0])
            return ended, printed.read_text() if printed.exists() and not printed.is_symlink() else ""


@pytest.fixture
def users() -> Iterator[UsersWorld]:
    """Not below pytest's own directory, which is closed to other users, nor below /tmp, which runs may have one of their own of."""
    with tempfile.TemporaryDirectory(prefix="au-", dir="/var/lib") as name:
        Path(name).chmod(0o755)
        yield UsersWorld(Path(name))


def of(owner: Owner, one: Job) -> Job:
    return replace(one, owner=owner)


def owner_and_mode(path: Path) -> tuple[int, int]:
    found = path.lstat()
    return found.st_uid, stat.S_IMODE(found.st_mode)
