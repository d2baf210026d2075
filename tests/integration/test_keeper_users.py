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
from aiosd.storage.blobs import disk
from tests.integration.keeping import MIB, World

pytestmark = pytest.mark.root
ADA, BOB = 61001, 61002  # without entries: any machine has these numbers free
FILLING = (  # the directory of a checkout, and of a user's checkouts, with what nobody counts
    "open(sys.argv[1] + '/more', 'w')", "open(os.path.dirname(sys.argv[1]) + '/more', 'w')", "os.chmod(os.path.dirname(sys.argv[1]), 0o700)",
    "os.setxattr(os.path.dirname(sys.argv[1]), 'user.more', b'x')", "os.removexattr(os.path.dirname(sys.argv[1]), 'system.posix_acl_access')",
)  # fmt: skip


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
        for harm in (*FILLING, "os.rename(sys.argv[1], sys.argv[1] + '.away')", "os.rmdir(sys.argv[1])"):
            assert "Permission" in as_user(ADA, harm, str(given.parent)).stderr or "not permitted" in as_user(ADA, harm, str(given.parent)).stderr, harm
        assert (await world.give(taken.manifest)).read_bytes() == path.read_bytes()
        assert as_user(ADA, "print(os.listdir(os.path.dirname(sys.argv[1])))", str(given.parent)).stdout == f"['{taken.manifest.digest}']\n"

    asyncio.run(story())


def test_what_a_user_had_put_into_a_directory_that_was_theirs_goes_when_it_is_taken_back(world: World) -> None:
    """As it was before the daemon kept these directories for itself, and is where a file system keeps no lists of users."""
    path = world.write("model", world.random(2 * MIB))

    async def story(lists: bool) -> None:
        taken = await world.take(path)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(disk, "let_in", lambda directory, uid: False)
            given = await world.give(taken.manifest)
            assert given.parent.parent.stat().st_uid == ADA
            assert "Permission" in as_user(BOB, "open(sys.argv[1])", str(given)).stderr
            replace = (
                "d = os.path.dirname(sys.argv[1]); os.chmod(os.path.dirname(d), 0o700); os.rename(d, f'{d}.{os.getpid()}'); os.mkdir(d); "
                "open(sys.argv[1], 'w').write('evil'); open(d + '.mine', 'w').write('x' * 1000)"
            )
            assert not as_user(ADA, replace, str(given)).stderr
            if not lists:
                assert (await world.give(taken.manifest)).read_bytes() == path.read_bytes()  # it is put right when she asks again
                return
        assert (await world.give(taken.manifest)).read_bytes() == path.read_bytes()
        assert os.listdir(given.parent.parent) == [taken.manifest.digest]
        for harm in FILLING:
            assert "Permission" in as_user(ADA, harm, str(given.parent)).stderr or "not permitted" in as_user(ADA, harm, str(given.parent)).stderr, harm

    for lists in (False, True):
        asyncio.run(story(lists))


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
