"""Where the file system can share blocks between files, a checkout takes no room, also for whoever could write to the store."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiosd.storage.blobs import disk
from tests.integration.keeping import MIB, World
from tests.integration.mounting import in_a_file

pytestmark = pytest.mark.root
SIZE = 40 * MIB


@pytest.fixture(params=["xfs", "btrfs"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    with in_a_file(request.param, tmp_path / "disk", 512 * MIB) as place:
        yield World(place)


def used(path: Path) -> int:
    os.sync()
    found = os.statvfs(path)
    return (found.f_blocks - found.f_bfree) * found.f_frsize


def test_registering_and_checking_out_share_the_blocks_of_the_file(world: World) -> None:
    data = world.random(SIZE)
    path = world.write("model.bin", data)
    before = used(path)

    async def story() -> None:
        taken = await world.take(path)
        assert used(path) - before < SIZE // 4  # a clone of what was registered
        given = await world.give(taken.manifest)
        assert used(path) - before < SIZE // 4
        assert given.read_bytes() == data
        store = world.vault.layout.path(f"whole/{taken.manifest.files[0].digest}")
        assert given.stat().st_ino != store.stat().st_ino  # the reader is the daemon's own user here, who could write through a link
        path.write_bytes(b"changed")
        given.chmod(0o600)
        given.write_bytes(b"changed, too")
        assert not await world.verify(taken.manifest)
        assert (await world.give(taken.manifest)).read_bytes() == data
        copied = shutil.copy(store, world.files / "copy")
        assert used(path) - before > SIZE // 2  # what a copy takes, as a measure
        assert Path(copied).read_bytes() == data

    asyncio.run(story())


def test_another_user_gets_a_hard_link_there_too(world: World) -> None:
    path = world.write("model.bin", world.random(2 * MIB))
    path.chmod(0o644)
    for above in (path.parent, path.parent.parent):
        above.chmod(0o755)

    async def story() -> None:
        taken = await world.take(path)
        world.uid = 61001
        given = await world.give(taken.manifest)
        assert given.stat().st_ino == world.vault.layout.path(f"whole/{taken.manifest.files[0].digest}").stat().st_ino

    asyncio.run(story())


def test_a_disk_without_clones_says_so(tmp_path: Path) -> None:
    with in_a_file("ext4", tmp_path / "disk", 32 * MIB) as place:
        (place / "a").write_bytes(b"x" * 5000)
        with (place / "a").open("rb") as source, (place / "b").open("wb") as target:
            assert not disk.clone(source.fileno(), target.fileno())
        assert subprocess.run(["cp", "--reflink=always", str(place / "a"), str(place / "c")], capture_output=True, check=False).returncode
