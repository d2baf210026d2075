"""`kill -9` and a full disk at every step of taking, giving and sweeping: nothing that is known is ever missing, and what is left over goes."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiosd.errors import DiskFull, Unavailable
from aiosd.host import faults
from aiosd.models.manifest import Manifest
from aiosd.storage.chunks import SqlChunks
from aiosd.storage.journal import SqlJournal
from tests.integration.keeping import MIB, World, opened

TAKING = [step for step in faults.BLOB_STEPS if step.startswith("take.")]
SWEEPING = [step for step in faults.BLOB_STEPS if step.startswith("sweep.")]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with opened(tmp_path) as made:
        yield made


def fill(world: World) -> Path:
    """Something that stays whole, something that goes into a pack, something small."""
    world.write("model/whole", world.random(2 * MIB))
    world.write("model/text", b"again and again " * 20_000)
    return world.write("model/small", b"small").parent


@pytest.mark.parametrize("step", [*TAKING, "give.1-filled"])
def test_a_child_that_is_killed_leaves_nothing_that_counts(world: World, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = fill(world)

    async def story() -> None:
        monkeypatch.setenv(faults.VARIABLE, step)
        if step in TAKING:
            with pytest.raises(Unavailable, match="ended from outside"):
                await world.take(path)
            assert not world.index.rows
            await world.sweep()
            assert not list(world.vault.layout.places())
        monkeypatch.delenv(faults.VARIABLE)
        taken = await world.take(path)
        if step not in TAKING:
            monkeypatch.setenv(faults.VARIABLE, step)
            with pytest.raises(Unavailable):
                await world.give(taken.manifest)
            monkeypatch.delenv(faults.VARIABLE)
            assert not list(world.vault.layout.checkouts.glob(f"{os.getuid()}/*"))
        given = await world.give(taken.manifest)
        for name in ("whole", "text", "small"):
            assert (given / name).read_bytes() == (path / name).read_bytes()

    asyncio.run(story())
    assert not list(world.vault.layout.incoming.iterdir())


@pytest.mark.parametrize("step", SWEEPING)
def test_a_daemon_that_is_killed_while_it_sweeps_loses_nothing(tmp_path: Path, step: str) -> None:
    """One pack is dead, one is half dead, a file nobody knows lies there; what is alive reads back at any moment."""
    alive: list[Manifest] = []

    async def begin() -> None:
        journal = await SqlJournal.open(f"sqlite:///{tmp_path}/aiosd.db")
        world = World(tmp_path, SqlChunks(journal))
        for at in range(5):
            world.write(f"mixed/{at}", world.random(20_000))
        world.write("kept/3", (world.files / "mixed/3").read_bytes())
        await world.take(world.files / "mixed")
        await world.take(world.write("dead", world.random(2 * MIB)))
        alive.append((await world.take(world.files / "kept")).manifest)
        stray = world.vault.layout.path("pack/00000000000000000000000000000000")
        stray.parent.mkdir()
        stray.write_bytes(b"left over")
        await journal.close()

    async def end() -> None:
        journal = await SqlJournal.open(f"sqlite:///{tmp_path}/aiosd.db")
        world = World(tmp_path, SqlChunks(journal))
        assert not await world.verify(*alive)
        assert await world.read(alive[0], "3") == (tmp_path / "files/kept/3").read_bytes()
        await world.sweep(*alive)
        assert not await world.verify(*alive)
        (place,) = world.vault.layout.places()
        assert world.vault.layout.path(place).stat().st_size < 21_000
        await journal.close()

    asyncio.run(begin())
    (tmp_path / "alive.json").write_text("[" + ",".join(manifest.encode().decode() for manifest in alive) + "]")
    command = [sys.executable, "-m", "tests.integration.sweeping_story", str(tmp_path)]
    done = subprocess.run(command, env=os.environ | {faults.VARIABLE: step}, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    asyncio.run(end())


@pytest.mark.root
@pytest.mark.parametrize("size", [300_000, 2_500_000, 5_000_000])
def test_a_full_disk_keeps_nothing_and_harms_nothing(world: World, size: int) -> None:
    """Full before anything is written, within the file that stays whole, within the pack."""
    path = fill(world)
    world.write("model/random", world.random(900_000))
    small = world.vault.layout.root
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "aios-test", str(small)], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"this machine lets nobody mount: {done.stderr.strip()}")
    try:
        world.vault.start(passable=False)
        room = os.statvfs(small)

        async def story() -> None:
            if size < 5_000_000:
                with pytest.raises(DiskFull, match="nothing was kept"):
                    await world.take(path)
                assert not world.index.rows
                await world.sweep()
                assert os.statvfs(small).f_bavail >= room.f_bavail - 20
            subprocess.run(["mount", "-o", "remount,size=8m", str(small)], check=True)
            taken = await world.take(path)
            assert not await world.verify(taken.manifest)

        asyncio.run(story())
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)
