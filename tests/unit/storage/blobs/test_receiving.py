"""Chunks that come from another store: what is told while they come, and what stays of what was put together to look at it."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from blake3 import blake3

from aiosd.errors import DiskFull
from aiosd.keeper import carrying, words
from aiosd.models.manifest import Chunk, FileEntry, Manifest
from aiosd.models.vault_ports import Examined, Source
from aiosd.models.version import Schema
from aiosd.storage.blobs import budget
from aiosd.storage.blobs.coding import Coder
from aiosd.storage.blobs.layout import Layout
from aiosd.storage.blobs.receiving import Receiver
from aiosd.storage.blobs.settings import BlobSettings
from aiosd.storage.blobs.worksite import Worksite

MIB = 1 << 20


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    made = Layout(tmp_path / "store")
    made.prepare(passable=False)
    return made


def site(layout: Layout, report: Callable[[int, int], None] = lambda done, stored: None, coder: Coder | None = None) -> Worksite:
    scratch = layout.incoming / "x"
    scratch.mkdir()
    return Worksite(layout, scratch, "ab" * 16, coder or Coder(), lambda digests: {}, lambda path, opened: None, report=report)


def one_of(data: bytes, *lengths: int, path: str = "a") -> FileEntry:
    pieces, at = list[Chunk](), 0
    for length in lengths or (len(data),):
        pieces.append(Chunk(blake3(data[at : at + length]).hexdigest(), length))
        at += length
    return FileEntry(path, len(data), blake3(data).hexdigest(), tuple(pieces))


def parts(data: bytes, size: int = MIB) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


def test_of_a_file_that_stays_whole_it_is_told_how_much_is_new_while_it_comes(layout: Layout) -> None:
    """Whoever watches the quota need not wait for its end."""
    data, told = os.urandom(4 * MIB), list[tuple[int, int]]()
    entry = one_of(data)
    receiver = Receiver(site(layout, lambda done, stored: told.append((done, stored))), [Manifest((entry,), single=True)])
    receiver.begin()
    receiver.receive(entry.digest, parts(data))
    receiver.close()
    assert told == [(at * MIB, at * MIB) for at in (1, 2, 3, 4, 4)]


def received(layout: Layout, *versions: bytes) -> Receiver:
    """Versions of one file in pieces, all there."""
    entries = [one_of(data, MIB // 2, len(data) - MIB // 2) for data in versions]
    receiver = Receiver(site(layout), [Manifest((entry,), single=True) for entry in entries])
    receiver.begin()
    for data, entry in zip(versions, entries, strict=True):
        at = 0
        for chunk in entry.chunks:
            if chunk.digest in receiver._awaited:
                receiver.receive(chunk.digest, [data[at : at + chunk.size]])
            at += chunk.size
    receiver.complete()
    return receiver


def test_of_several_versions_one_at_a_time_is_laid_out(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    shared, seen = os.urandom(MIB // 2), list[int]()

    def looked(path: str, manifest: Manifest, identity: object) -> Examined:
        seen.append(sum(each.is_dir() for each in Path(path).parent.parent.iterdir()))
        return Examined(Schema(), (), ())

    monkeypatch.setattr(carrying, "examine_copy", looked)
    receiver = received(layout, *(shared + bytes([at]) * 1000 for at in range(4)))
    request = words.Receive(BlobSettings(directory=str(layout.root)), "x", Source("", os.getuid(), os.getgid(), "me"), [], [], set(), [], "")
    for manifest in receiver.manifests:
        carrying._looked_into(receiver, manifest, request)
    receiver.close()
    assert seen == [1, 1, 1, 1]
    assert not [each for each in receiver.site.scratch.iterdir() if each.is_dir()]


def test_what_is_laid_out_leaves_room_on_the_disk(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list of files may say that one small chunk stands in it a million times."""
    piece = os.urandom(1000)
    entry = FileEntry("a", 5_000_000, "0" * 64, (Chunk(blake3(piece).hexdigest(), 1000),) * 5000)
    receiver = Receiver(site(layout), [Manifest((entry,), single=True)])
    receiver.begin()
    receiver.receive(entry.chunks[0].digest, [piece])
    receiver.complete()
    path = receiver.site.scratch / receiver.manifests[0].digest / "a"
    monkeypatch.setattr(budget.Budget, "_free", lambda self: MIB - (path.stat().st_size if path.exists() else 0))
    with pytest.raises(DiskFull, match="are left for others; nothing was kept"):
        receiver.lay_out(receiver.manifests[0])
    receiver.close()
    assert path.stat().st_size < MIB
