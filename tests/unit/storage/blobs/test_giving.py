"""What is handed out, and what is left of it when something comes between: nothing that stays for ever, nothing in a user's directory."""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from aiosd.errors import DataLoss, Denied
from aiosd.models.manifest import Chunk, FileEntry, Manifest, digest_of
from aiosd.models.vault_ports import Stored
from aiosd.storage.blobs.coding import Coder
from aiosd.storage.blobs.giving import Asked, Giver
from aiosd.storage.blobs.layout import Layout
from aiosd.storage.blobs.pack import PackWriter
from aiosd.storage.blobs.reading import Reader

ME = Asked(os.getuid(), os.getgid(), mine=True)
DATA = b"of two chunks " * 100
PARTS = [DATA[:700], DATA[700:]]
MANIFEST = Manifest((FileEntry("a/file", len(DATA), digest_of(DATA), tuple(Chunk(digest_of(part), len(part)) for part in PARTS)),))


@pytest.fixture
def giver(tmp_path: Path) -> Giver:
    layout = Layout(tmp_path / "store")
    layout.prepare(passable=False)
    writer = PackWriter(layout.incoming / "pack", "pack/abcdef")
    known = {one.digest: one for one in (writer.add(digest_of(part), len(part), "raw", part) for part in PARTS)}
    writer.close()
    layout.path("pack/abcdef").parent.mkdir()
    os.rename(layout.incoming / "pack", layout.path("pack/abcdef"))
    return Giver(layout, Reader(layout, Coder(), lambda _: known), 1 << 20, lambda path: shutil.rmtree(path, ignore_errors=True))


def forget(giver: Giver) -> None:
    nothing: Mapping[str, Stored] = {}
    giver.reader.lookup = lambda _: nothing


def test_what_was_begun_by_somebody_who_died_takes_no_room_for_ever(giver: Giver) -> None:
    left = giver.layout.assembled / f".making-1-{'a' * 64}"
    left.write_bytes(bytes(1 << 20))
    assert (Path(giver.checkout(MANIFEST, ME)) / "a/file").read_bytes() == DATA
    assert not left.exists()


def test_nothing_is_left_of_a_checkout_that_could_not_be_read(giver: Giver) -> None:
    forget(giver)
    with pytest.raises(DataLoss):
        giver.checkout(MANIFEST, ME)
    assert not list(giver.layout.checkouts.iterdir())


def test_nothing_is_left_of_a_copy_that_was_denied_half_way(giver: Giver, tmp_path: Path) -> None:
    times = 0

    @contextmanager
    def acting() -> Iterator[None]:
        nonlocal times
        times += 1
        if times == 3:  # the first makes a directory, the second one in it
            raise PermissionError
        yield

    with pytest.raises(Denied):
        giver.copy(MANIFEST, Asked(ME.uid, ME.gid, True, acting), str(tmp_path / "copy"))
    assert times > 3
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_a_user_who_takes_checkouts_away_meanwhile_stops_nobody(giver: Giver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their directory is their own."""
    path = Path(giver.checkout(MANIFEST, ME))
    lstat = Path.lstat

    def gone(self: Path) -> os.stat_result:
        if self == path:
            raise FileNotFoundError(self)
        return lstat(self)

    monkeypatch.setattr(Path, "lstat", gone)
    giver.trim(0.0)
    assert (path / "a/file").exists()
