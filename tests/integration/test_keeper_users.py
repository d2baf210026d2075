"""The store of a daemon that is root, used by others: files are read and written as them, and nobody sees what is another's."""

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiosd.errors import AlreadyExists, Denied
from tests.integration.keeping import MIB, World

pytestmark = pytest.mark.root
ADA, BOB = 61001, 61002  # without entries: any machine has these numbers free


@pytest.fixture
def world() -> Iterator[World]:
    """In a directory that users can pass through; pytest's own is for root alone."""
    with tempfile.TemporaryDirectory(prefix="aios-keeper-") as made:
        os.chmod(made, 0o711)
        world = World(Path(made))
        os.chmod(world.files, 0o777)
        world.uid = ADA
        yield world


def as_user(uid: int, program: str, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", f"import os, sys; os.setgroups([]); os.setgid({uid}); os.setuid({uid})\n{program}", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_what_a_user_may_not_read_is_not_registered(world: World) -> None:
    secret = world.write("secret", b"of root")
    secret.chmod(0o600)
    os.symlink("/etc/shadow", world.files / "link")
    closed = world.write("closed/file", b"x").parent
    closed.chmod(0o700)

    async def story() -> None:
        for path in (secret, world.files / "link", closed, Path("/etc/shadow")):
            with pytest.raises(Denied, match="may not read"):
                await world.take(path)

    asyncio.run(story())
    assert not world.index.rows


def test_a_checkout_is_for_one_user_who_cannot_change_it(world: World) -> None:
    path = world.write("model", world.random(2 * MIB))

    async def story() -> None:
        taken = await world.take(path)
        given = await world.give(taken.manifest)
        read = "print(len(open(sys.argv[1], 'rb').read()))"
        assert as_user(ADA, read, str(given)).stdout.strip() == str(2 * MIB)
        assert "Permission" in as_user(BOB, read, str(given)).stderr
        for harm in ("open(sys.argv[1], 'ab')", "os.chmod(sys.argv[1], 0o666)", "os.unlink(sys.argv[1])", "os.rename(sys.argv[1], sys.argv[1] + 'x')"):
            assert "Permission" in as_user(ADA, harm, str(given)).stderr or "not permitted" in as_user(ADA, harm, str(given)).stderr
        replace = "d = os.path.dirname(sys.argv[1]); os.chmod(os.path.dirname(d), 0o700); os.rename(d, d + '.away'); os.mkdir(d); open(sys.argv[1], 'w').write('evil')"
        assert not as_user(ADA, replace, str(given)).stderr  # her own directory, which nobody else uses: it is put right when she asks again
        assert (await world.give(taken.manifest)).read_bytes() == path.read_bytes()

    asyncio.run(story())


def test_a_copy_is_the_users_own_and_made_as_the_user(world: World) -> None:
    path = world.write("model/file", b"content").parent
    home = world.files / "ada"
    home.mkdir(mode=0o700)
    os.chown(home, ADA, ADA)

    async def story() -> None:
        taken = await world.take(path)
        copy = await world.give(taken.manifest, home / "copy")
        assert (copy / "file").read_bytes() == b"content"
        assert {(found.stat().st_uid, found.stat().st_gid) for found in (copy, copy / "file")} == {(ADA, ADA)}
        with pytest.raises(AlreadyExists):
            await world.give(taken.manifest, home / "copy")
        with pytest.raises(Denied, match="may not write"):
            await world.give(taken.manifest, "/etc/aios-copy")
        assert sorted(os.listdir(home)) == ["copy"]

    asyncio.run(story())
