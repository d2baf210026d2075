"""`kill -9` and a full disk at every step of taking, giving and sweeping: nothing that is known is ever missing, and what is left over goes."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiosd.errors import DiskFull, Unavailable
from aiosd.host import faults
from aiosd.models.manifest import decode_manifest
from aiosd.storage.chunks import SqlChunks
from aiosd.storage.journal import SqlJournal
from tests.e2e.daemon import LONG
from tests.integration.keeping import MIB, World, opened
from tests.integration.mounting import in_memory

TAKING = [step for step in faults.BLOB_STEPS if step.startswith("take.")] if LONG else ["take.2-copied", "take.6-named"]
SWEEPING = [step for step in faults.BLOB_STEPS if step.startswith("sweep.")] if LONG else ["sweep.2-forgotten", "sweep.5-moved"]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with opened(tmp_path) as made:
        yield made


def fill(world: World) -> Path:
    """Something that stays whole, something that goes into a pack, something small."""
    world.write("model/whole", world.random(2 * MIB))
    world.write("model/text", b"again and again " * 20_000)
    return world.write("model/small", b"small").parent


def test_a_child_that_is_killed_leaves_nothing_that_counts(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """At each step of taking, then of giving what was taken after all."""
    path = fill(world)

    async def story() -> None:
        for step in TAKING:
            monkeypatch.setenv(faults.VARIABLE, step)
            with pytest.raises(Unavailable, match="ended from outside"):
                await world.take(path)
            assert not world.index.rows
            await world.sweep()
            assert not list(world.vault.layout.places()), step
            assert not list(world.vault.layout.incoming.iterdir()), step
        monkeypatch.delenv(faults.VARIABLE)
        taken = await world.take(path)
        monkeypatch.setenv(faults.VARIABLE, "give.1-filled")
        with pytest.raises(Unavailable):
            await world.give(taken.manifest)
        monkeypatch.delenv(faults.VARIABLE)
        assert not list(world.vault.layout.checkouts.glob(f"{os.getuid()}/*"))
        given = await world.give(taken.manifest)
        for name in ("whole", "text", "small"):
            assert (given / name).read_bytes() == (path / name).read_bytes()

    asyncio.run(story())


@pytest.fixture(scope="module")
def halved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One pack is dead, one is half dead, a file nobody knows lies there; what is alive is in alive.json."""
    directory = tmp_path_factory.mktemp("halved")

    async def begin() -> None:
        journal = await SqlJournal.open(f"sqlite:///{directory}/aiosd.db")
        world = World(directory, SqlChunks(journal))
        for at in range(5):
            world.write(f"mixed/{at}", world.random(20_000))
        world.write("kept/3", (world.files / "mixed/3").read_bytes())
        await world.take(world.files / "mixed")
        await world.take(world.write("dead", world.random(2 * MIB)))
        alive = (await world.take(world.files / "kept")).manifest
        (directory / "alive.json").write_text(f"[{alive.encode().decode()}]")
        stray = world.vault.layout.path("pack/00000000000000000000000000000000")
        stray.parent.mkdir()
        stray.write_bytes(b"left over")
        await journal.close()

    asyncio.run(begin())
    return directory


@pytest.mark.parametrize("step", SWEEPING)
def test_a_daemon_that_is_killed_while_it_sweeps_loses_nothing(halved: Path, tmp_path: Path, step: str) -> None:
    """What is alive reads back at any moment, and the next sweep leaves nothing else."""
    shutil.copytree(halved, tmp_path, dirs_exist_ok=True)
    (alive,) = [decode_manifest(json.dumps(one).encode()) for one in json.loads((tmp_path / "alive.json").read_text())]

    async def end() -> None:
        journal = await SqlJournal.open(f"sqlite:///{tmp_path}/aiosd.db")
        world = World(tmp_path, SqlChunks(journal))
        kept = (tmp_path / "files/kept/3").read_bytes()
        assert await world.read(alive, "3") == kept
        await world.sweep(alive)
        assert await world.read(alive, "3") == kept
        (place,) = world.vault.layout.places()
        assert world.vault.layout.path(place).stat().st_size < 21_000
        await journal.close()

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
    with in_memory(world.vault.layout.root, str(size)) as small:
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
