"""`kill -9` and a full disk at every step of an import and an export: all of a version is here, or nothing of it that counts."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from aiosd.errors import DiskFull, Unavailable
from aiosd.host import faults
from aiosd.models.version import Kind, VersionState
from tests.e2e.daemon import LONG
from tests.integration.carrying import ME, MIB, Side, between, side, some_files, tidied

RECEIVING = [step for step in faults.BLOB_STEPS if step.startswith("receive.")] if LONG else ["receive.2-copied", "receive.6-named"]
IMPORTING = [step for step in faults.MODEL_STEPS if step.startswith("import.")] if LONG else ["import.2-received", "import.3-committed"]


async def check_whole(there: Side) -> None:
    """Whatever is known reads back; what is left over goes with the next sweep."""
    for model in await there.care._all_models():
        verified = [step async for step in there.care.verify(Kind.MODEL, model.name, 0, ME)][-1]
        assert not verified.damaged  # type: ignore[union-attr]
    await there.care.collect(0.0, dry_run=False)
    if await there.store.model(Kind.MODEL, "digits") is None:
        assert not await there.places()
    assert not list(there.vault.layout.incoming.iterdir())


def test_a_child_that_is_killed_leaves_nothing_that_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, file = some_files(tmp_path), tmp_path / "x.aios"

    async def story(here: Side, there: Side) -> None:
        made = await here.register(path)
        await here.export(file)
        for step in RECEIVING:
            monkeypatch.setenv(faults.VARIABLE, step)
            with pytest.raises(Unavailable, match="ended from outside"):
                await there.import_(file)
            monkeypatch.delenv(faults.VARIABLE)
            await check_whole(there)
            assert await there.store.model(Kind.MODEL, "digits") is None
        assert (await there.import_(file)).new == {made.id}
        await check_whole(there)
        assert (await there.checkout("digits") / "whole").read_bytes() == (path / "whole").read_bytes()

    between(tmp_path, story)


@pytest.mark.parametrize("step", IMPORTING)
def test_a_daemon_that_is_killed_has_all_of_it_or_nothing(tmp_path: Path, step: str) -> None:
    path, file, ids = some_files(tmp_path), tmp_path / "x.aios", list[str]()

    async def begin(here: Side, there: Side) -> None:
        ids.append((await here.register(path, tags=("v1",))).id)
        await here.export(file)

    async def end() -> None:
        async with side(tmp_path / "there") as there:
            leads = {each.name: each.version for each in await there.store.references(Kind.MODEL, "digits")}
            assert leads == ({"main": ids[0], "v1": ids[0]} if step == IMPORTING[-1] else {})
            await check_whole(there)
            assert [version.state for version in (await there.import_(file)).versions] == [VersionState.REGISTERED]
            await check_whole(there)

    between(tmp_path, begin)
    command = [sys.executable, "-m", "tests.integration.import_story", str(tmp_path / "there"), str(file)]
    done = subprocess.run(command, env=os.environ | {faults.VARIABLE: step}, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    with tidied(tmp_path):
        asyncio.run(end())


@contextmanager
def small_disk(path: Path, size: int) -> Iterator[None]:
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "aios-test", str(path)], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"this machine lets nobody mount: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


@pytest.mark.root
def test_a_full_disk_keeps_nothing_of_an_import(tmp_path: Path) -> None:
    """Full before anything is written, within the file that stays whole, within the pack, and where it is laid out to be examined."""
    path, file = some_files(tmp_path), tmp_path / "x.aios"
    (path / "random").write_bytes(os.urandom(900_000))

    async def story(here: Side, there: Side) -> None:
        await here.register(path)
        await here.export(file)
        root = there.vault.layout.root
        with small_disk(root, 300_000):
            there.vault.start(passable=False)
            for size in (300_000, 2_000_000, 2_500_000, 3_500_000):
                subprocess.run(["mount", "-o", f"remount,size={size}", str(root)], check=True)
                with pytest.raises(DiskFull, match="nothing was kept"):
                    await there.import_(file)
                await check_whole(there)
            subprocess.run(["mount", "-o", "remount,size=16m", str(root)], check=True)
            await there.import_(file)
            await check_whole(there)

    between(tmp_path, story)


@pytest.mark.root
def test_a_full_disk_keeps_nothing_of_an_export(tmp_path: Path) -> None:
    path, stick = some_files(tmp_path), tmp_path / "stick"
    stick.mkdir()

    async def story(here: Side, there: Side) -> None:
        await here.register(path)
        with small_disk(stick, MIB):
            for name, form in (("x.aios", "bundle"), ("x.tar", "oci"), ("layout", "oci"), ("hub", "hf")):
                with pytest.raises(DiskFull, match="no room for"):
                    await here.export(stick / name, form=form)
                assert not os.listdir(stick)
            kept = stick / "kept.aios"
            kept.write_bytes(b"before")
            with pytest.raises(DiskFull):
                await here.export(kept, replace=True)
            assert kept.read_bytes() == b"before"

    between(tmp_path, story)


# Between two batches of the rows of very many chunks

BATCHES = (1, 4, 9) if LONG else (9,)  # of those that come before the transaction of a version: of 95 chunks 85, ten at a time


def many_files(directory: Path) -> Path:
    path = directory / "many"
    path.mkdir()
    for at in range(95):
        (path / f"{at:02}").write_bytes(os.urandom(1000))
    return path


async def check_rows(store: Side, files: Path, count: int) -> None:
    """All rows that there are lead to what is there, and none of them counts; what was there before is as it was."""
    rows = await store.vault.index.within(await store.vault.index.places("", 1000))
    assert len(rows) == count
    assert not await store.vault.scrub(1.0)
    assert [model.name for model in await store.care._all_models()] == ["digits"]
    for name in ("whole", "text"):
        assert (await store.checkout("digits") / name).read_bytes() == (files / name).read_bytes()


@pytest.mark.parametrize("bundled", [False, True])
def test_killed_between_two_batches_of_rows_nothing_is_lost_and_no_row_leads_nowhere(tmp_path: Path, bundled: bool) -> None:
    files, many, counts = some_files(tmp_path), many_files(tmp_path), list[int]()
    path = tmp_path / "many.aios" if bundled else many

    async def begin(here: Side, there: Side) -> None:
        await here.register(many, "many")
        await here.export(tmp_path / "many.aios", "many")
        await there.register(files)
        counts.append(len(await there.vault.index.within(await there.vault.index.places("", 1000))))

    async def swept(at: int) -> None:
        async with side(tmp_path / "there") as there:
            await check_rows(there, files, counts[0] + min(10 * at, 85))
            await there.care.collect(0.0, dry_run=False)
            await check_rows(there, files, counts[0])  # as if it had never begun
            await check_whole(there)

    async def again() -> None:
        async with side(tmp_path / "there") as there:
            await check_rows(there, files, counts[0] + 40)
            made = await there.register(many, "many")
            assert made.state is VersionState.REGISTERED
            await check_whole(there)
            for at in range(95):
                assert (await there.checkout("many") / f"{at:02}").read_bytes() == (many / f"{at:02}").read_bytes()

    def die(at: int) -> None:
        command = [sys.executable, "-m", "tests.integration.batches_story", str(tmp_path / "there"), str(path)]
        done = subprocess.run(command, env=os.environ | {faults.VARIABLE: f"rows.1-some:{at}"}, capture_output=True, text=True, check=False)
        assert done.returncode == -signal.SIGKILL, done.stderr

    between(tmp_path, begin)
    with tidied(tmp_path):
        for at in BATCHES:
            die(at)
            asyncio.run(swept(at))
        die(4)  # and this time the same comes again before anything is swept
        asyncio.run(again())
