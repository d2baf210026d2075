"""What goes into the store is looked through by a process of its own: nothing of it is run, and what cannot be looked through is not passed over."""

import asyncio
import mmap
import os
import pickle
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from aiosd.errors import InvalidArgument
from aiosd.host import inspecting
from aiosd.keeper import words, worker
from aiosd.models.findings import Severity
from aiosd.models.manifest import FileEntry
from aiosd.models.vault_ports import Taken
from aiosd.storage.blobs.taking import Taker
from aiosd.storage.blobs.worksite import Readable
from tests import models_cache
from tests.integration.keeping import MIB, World, opened
from tests.unit.models.scanning.evil import dumped, families


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with opened(tmp_path) as made:
        yield made


def findings(world: World, path: Path) -> list[str]:
    return list(asyncio.run(world.take(path)).findings)


def test_a_folder_of_every_kind_of_evil_is_flagged_and_none_of_it_runs(world: World, tmp_path: Path) -> None:
    mark = tmp_path / "done"
    evil = families(str(mark))
    for number, data in enumerate(evil.values()):
        world.write(f"model/{number}", data)
        with zipfile.ZipFile(world.files / f"model/{number}.zip", "w") as archive:
            archive.writestr("inner", data)
    world.write("model/config.json", b"{}")
    found = findings(world, world.files / "model")
    assert len(found) == 51
    assert "more findings" in found[-1]
    assert not mark.exists()


def test_what_is_harmless_is_not(world: World) -> None:
    world.write("model/state.pkl", pickle.dumps({"epoch": 3, "lr": 0.1}))
    world.write("model/weights.bin", world.random(2 * MIB))
    os.symlink("state.pkl", world.files / "model/latest.pkl")
    assert findings(world, world.files / "model") == []


def test_a_pickle_that_is_broken_is_refused_and_says_what_it_would_have_done(world: World, tmp_path: Path) -> None:
    data = families(str(tmp_path / "done"))["truncated after the call"]
    with pytest.raises(InvalidArgument, match=r"'model\.pkl' cannot be registered: .*; it would call posix\.system"):
        findings(world, world.write("model.pkl", data))
    (first, *_) = findings(world, world.write("model", data))
    assert first == "model: it would call posix.system (danger)"
    assert not (tmp_path / "done").exists()


@pytest.mark.parametrize("size", [1000, 300_000, 2 * MIB])  # with others in a pack, in pieces of its own, whole
def test_what_is_looked_at_is_what_was_taken(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """Whoever has a file mapped changes it without a trace: evil when it is read, harmless when it is looked at."""
    evil = dumped(str(tmp_path / "done"))
    path = world.write("model/state", (evil + pickle.dumps(world.random(size))).ljust(size, b"."))
    harmless = pickle.dumps([1]).ljust(len(evil), b" ")
    line = SimpleNamespace(lookup=lambda digests: {}, progress=lambda *numbers: None)
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
        mapped[: len(evil)] = evil  # from now on its times stay, until the kernel has written it

        def take(taker: Taker, files: Iterable[Readable]) -> Sequence[FileEntry]:
            entries = taken_as_it_was(taker, files)
            mapped[: len(evil)] = harmless
            return entries

        taken_as_it_was = Taker.take
        monkeypatch.setattr(Taker, "take", take)
        taken = worker._take(words.Take(world.vault.settings, world.me(path.parent), "abc", None), line)  # type: ignore[arg-type]
        assert mapped[: len(evil)] == harmless
    assert any("posix.system" in found for found in taken.findings), taken.findings


@pytest.mark.parametrize("size", [1000, 2 * MIB])
def test_a_snapshot_of_a_hub_is_looked_at_though_it_is_nothing_but_links(world: World, tmp_path: Path, size: int) -> None:
    world.write("models--a--b/blobs/1234", dumped(str(tmp_path / "done")).ljust(size, b"."))
    snapshot = world.files / "models--a--b/snapshots/5678"
    snapshot.mkdir(parents=True)
    os.symlink("../../blobs/1234", snapshot / "pytorch_model.bin")

    async def take() -> Taken:
        return [step async for step in world.vault.take(replace(world.me(snapshot), form="hf"), None) if isinstance(step, Taken)][-1]

    assert "pytorch_model.bin: it would call posix.system (danger)" in asyncio.run(take()).findings


def test_a_name_that_is_a_link_counts_as_what_it_is(world: World, tmp_path: Path) -> None:
    """Bytes that only a name makes a pickle."""
    data = families(str(tmp_path / "done"))["truncated after the call"]
    world.write("model/weights", data)
    os.symlink("weights", world.files / "model/state.pkl")
    with pytest.raises(InvalidArgument, match=r"'state\.pkl' cannot be registered"):
        findings(world, world.files / "model")


def test_an_archive_that_leads_out_is_refused(world: World) -> None:
    path = world.files / "data.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../../../etc/cron.d/evil", b"* * * * * root true\n")
    with pytest.raises(InvalidArgument, match=r"'data\.zip' cannot be registered: member '../../../etc/cron\.d/evil' leads out"):
        findings(world, path)


def test_what_is_stored_is_looked_through_again(world: World, tmp_path: Path) -> None:
    """As when it came in another way, or the scanner has learned since."""
    world.write("model/deep/er/weights", dumped(str(tmp_path / "done")))
    world.write("model/large", world.random(2 * MIB))

    async def story() -> None:
        taken = await world.take(world.files / "model")
        (found,) = await world.vault.examine(taken.manifest)
        assert (found.file, found.severity, found.what) == ("deep/er/weights", Severity.DANGER, "it would call posix.system")
        single = await world.take(world.files / "model/deep/er/weights")
        assert [one.file for one in await world.vault.examine(single.manifest)] == ["weights"]

    asyncio.run(story())
    assert not (tmp_path / "done").exists()


def test_one_that_ends_the_scanner_is_flagged(world: World) -> None:
    """A million opcodes in less time than it may take."""
    path = world.write("model.pkl", b"\x80\x02" + b"N0" * (2 << 20) + b"N.")
    fd = os.open(path, os.O_RDONLY)
    try:
        found = inspecting.inspect(inspecting.Model(fd, "model.pkl"), allowance=inspecting.Allowance(cpu_s=1))
    finally:
        os.close(fd)
    assert [(one.severity, one.what) for one in found.findings] == [
        (Severity.BROKEN, "it could not be looked at: reading it took more processor time than is allowed")
    ]


@pytest.mark.models
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", ["resemblyzer", "facenet", "silero"])
def test_real_pickles_that_are_benign_are_not_flagged(name: str, world: World) -> None:
    taken = asyncio.run(world.take(models_cache.directory(name)))
    assert list(taken.findings) == []
    assert taken.schema.tensors
