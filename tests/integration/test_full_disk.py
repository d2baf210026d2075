"""A disk that is full from some step of a change on: what was there stays, what is new is whole or not there, and with room all goes on."""

import asyncio
import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from aiosd.errors import AiosError, DiskFull
from aiosd.host import faults
from aiosd.host.sources import Tree
from aiosd.models.model import RefKind
from aiosd.models.move_service import Wish
from aiosd.models.settings import ModelChange
from aiosd.models.version import Kind
from aiosd.storage.blobs.coding import Coder
from aiosd.storage.blobs.cutting import Sizes
from aiosd.storage.blobs.taking import Taker
from aiosd.storage.blobs.worksite import Worksite
from tests.integration.keeping import MIB, World, read_file
from tests.integration.mounting import in_memory
from tests.integration.storing import ME, Place, Store, a_place

pytestmark = pytest.mark.root
OLD, NEW = b"1" * 5000, b"2" * 5000
CHANGES = tuple(step for step in faults.MODEL_STEPS if step.startswith(("register.", "move.", "gc.")))  # imports: test_bundle_faults.py
SWEEP = tuple(step for step in faults.BLOB_STEPS if step.startswith("sweep."))
TAKE = tuple(step for step in faults.BLOB_STEPS if step.startswith("take."))


class Disk:
    """`filling(step)` is a `reached` that takes all the room there is when that step comes, until `free`."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.came: list[str] = []

    def filling(self, step: str) -> Callable[[str], None]:
        def reached(now: str) -> None:
            self.came.append(now)
            if now == step and not self._filler.exists():
                with self._filler.open("wb", buffering=0) as file, suppress(OSError):
                    for size in (MIB, 4096):
                        with suppress(OSError):
                            while True:
                                file.write(bytes(size))

        return reached

    def free(self) -> None:
        self._filler.unlink(missing_ok=True)

    @property
    def _filler(self) -> Path:
        return self.place / "filler"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with in_memory(tmp_path / "disk", "24m") as place:
        yield Disk(place)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One version on main; garbage: a version of its own, most of a pack that main needs a little of, and a file that nobody knows."""
    directory = tmp_path_factory.mktemp("filled")
    for name, data in (("old", OLD), ("new", NEW), ("whole", os.urandom(2 * MIB)), ("mixed/a", OLD), ("mixed/b", os.urandom(90_000))):
        (directory / name).parent.mkdir(exist_ok=True)
        (directory / name).write_bytes(data)

    async def register(store: Store) -> None:
        await store.register(directory / "mixed", "gone")
        await store.register(directory / "whole", "gone")
        await store.register(directory / "old")
        await store.moves.set(Kind.MODEL, "digits", ModelChange(keep_for_s=0.0), ME)
        await store.moves.remove(Kind.MODEL, "gone", ME, force=True)
        stray = store.vault.layout.path("pack/00000000000000000000000000000000")
        stray.parent.mkdir(exist_ok=True)
        stray.write_bytes(b"left over")

    with a_place(directory / "state") as made:
        made.use(register)
        yield directory


@pytest.fixture
def place(filled: Path, disk: Disk) -> Iterator[Place]:
    shutil.copytree(filled / "state", disk.place / "state")
    with a_place(disk.place / "state") as made:
        yield made


async def check_whole(store: Store) -> set[str]:
    """Every reference leads to bytes that are right; their names."""
    references = await store.care.store.references(Kind.MODEL, "digits")
    for reference in references:
        version = (await store.care.reader.find(Kind.MODEL, f"digits:{reference.name}", ME)).version
        manifest = await store.care.reader.manifest(version)
        assert not await store.vault.missing(manifest)
        data = await read_file(store.vault, manifest, manifest.files[0].path)
        assert data == {"old": OLD, "new": NEW}[manifest.files[0].path]
    return {reference.name for reference in references}


@pytest.mark.parametrize("step", [*CHANGES, *SWEEP])
def test_full_at_a_step_of_a_change(place: Place, disk: Disk, filled: Path, step: str) -> None:
    async def change(store: Store) -> None:
        if step.startswith("register."):
            await store.register(filled / "new", tags=["v2"])
        elif step.startswith("move."):
            await store.moves.move(Wish(kind=Kind.MODEL, model="digits", name="v2", of=RefKind.TAG, to="main"), ME)
        else:
            await store.collect()

    async def attempt(store: Store) -> None:
        try:
            await change(store)
        except AiosError as error:
            assert isinstance(error, DiskFull), error
        assert {"main"} <= await check_whole(store) <= {"main", "v2"}

    place.use(attempt, disk.filling(step))
    assert step in disk.came
    disk.free()

    async def go_on(store: Store) -> None:
        with suppress(AiosError):  # the tag is there already
            await change(store)
        assert await check_whole(store) == ({"main"} if step.startswith(("gc.", "sweep.")) else {"main", "v2"})
        await store.collect()
        await check_whole(store)
        assert len(list(store.vault.layout.places())) == (2 if step.startswith("register.") else 1)

    place.use(go_on)


@pytest.mark.parametrize("batch", [1, 9])
def test_full_between_two_batches_of_rows(place: Place, disk: Disk, tmp_path: Path, batch: int) -> None:
    """Of a version with 95 chunks, ten rows at a time: it is whole or not there, and no row leads to what is not there."""
    many, left = tmp_path / "many", batch
    many.mkdir()
    for at in range(95):
        (many / f"{at:02}").write_bytes(os.urandom(1000))
    fill = disk.filling("rows.1-some")

    def reached(step: str) -> None:
        nonlocal left
        left -= step == "rows.1-some"
        if left <= 0:
            fill(step)

    async def attempt(store: Store) -> None:
        with suppress(DiskFull):
            await store.register(many, "many")
        assert not await store.vault.scrub(1.0)
        assert await check_whole(store) == {"main"}

    place.use(attempt, reached)
    assert "rows.1-some" in disk.came
    disk.free()

    async def go_on(store: Store) -> None:
        await store.register(many, "many")
        await store.collect()
        assert not (await store.verify()).damaged
        for at in range(95):
            assert (await store.checkout("many") / f"{at:02}").read_bytes() == (many / f"{at:02}").read_bytes()

    place.use(go_on)


@pytest.mark.parametrize("step", TAKE)
def test_full_at_a_step_of_taking(disk: Disk, tmp_path: Path, step: str) -> None:
    """In this process, as the child does it, so that the disk can be filled at its steps; the name it gives the error is the next test's."""
    world = World(disk.place)
    files = tmp_path / "model"
    files.mkdir()
    for name, size in (("whole", 2 * MIB), ("packed", 200_000), ("small", 50)):
        (files / name).write_bytes(world.random(size))
    scratch = world.vault.layout.incoming / "mine"
    scratch.mkdir()
    site = Worksite(world.vault.layout, scratch, "mine", Coder(), lambda digests: {}, lambda path, file: None, Sizes(), disk.filling(step))
    with closing(Taker(site)) as taker, closing(Tree(str(files), None)) as tree:
        tree.open()
        try:
            taker.take(tree.files())
            taker.finish()
        except OSError as error:
            assert error.errno == errno.ENOSPC
    assert step in disk.came

    async def go_on() -> None:
        shutil.rmtree(scratch)
        await world.sweep()
        assert not list(world.vault.layout.places())  # of what no row names nothing is left
        disk.free()
        taken = await world.take(files)
        assert not await world.verify(taken.manifest)

    asyncio.run(go_on())
