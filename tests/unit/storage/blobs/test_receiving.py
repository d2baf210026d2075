"""Chunks that come from another store: what is told while they come, and what stays of what was put together to look at it."""

import os
import tracemalloc
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from types import MappingProxyType

import pytest
from blake3 import blake3
from msgspec import structs
from zstandard import ZstdCompressor

from aiosd.errors import DataLoss, DiskFull, FailedPrecondition, InvalidArgument
from aiosd.keeper import carrying, words
from aiosd.models.manifest import Chunk, FileEntry, Manifest
from aiosd.models.vault_ports import Examined, Source, Stored
from aiosd.models.version import Schema
from aiosd.storage.blobs import budget
from aiosd.storage.blobs.bundle import Record
from aiosd.storage.blobs.coding import FRAME_BYTES, FRAMES, RAW, ZSTD, Coder
from aiosd.storage.blobs.cutting import Sizes
from aiosd.storage.blobs.layout import Layout
from aiosd.storage.blobs.pack import scan
from aiosd.storage.blobs.reading import Reader
from aiosd.storage.blobs.receiving import Receiver
from aiosd.storage.blobs.settings import BlobSettings
from aiosd.storage.blobs.sweeping import rewrite
from aiosd.storage.blobs.worksite import Worksite

MIB = 1 << 20
LARGE = 2 * FRAME_BYTES + MIB  # three frames
Known = Mapping[str, Stored]


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    made = Layout(tmp_path / "store")
    made.prepare(passable=False)
    return made


def site(
    layout: Layout, report: Callable[[int, int], None] = lambda done, stored: None, coder: Coder | None = None, known: Known = MappingProxyType({})
) -> Worksite:
    scratch = layout.incoming / "x"
    scratch.mkdir()
    sizes = Sizes(framed=MIB)

    def lookup(digests: Collection[str]) -> Known:
        return {digest: known[digest] for digest in digests if digest in known}

    return Worksite(layout, scratch, "ab" * 16, coder or Coder(), lookup, lambda path, opened: None, sizes, report=report)


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


def test_what_is_packed_is_not_unpacked_into_more_than_memory(layout: Layout) -> None:
    """Zeros take a thousandth, and one page of a bundle would be all there is."""
    size = carrying.MOST_AT_ONCE + MIB
    packer = ZstdCompressor().compressobj(size=size)
    packed = [*(packer.compress(bytes(MIB)) for _ in range(size // MIB)), packer.flush()]
    entry = FileEntry("a", size, "0" * 64, (Chunk("0" * 64, size),))
    receiver = Receiver(site(layout), [Manifest((entry,), single=True)])
    receiver.begin()
    record = Record(entry.digest, size, ZSTD, sum(map(len, packed)), "")
    with pytest.raises(InvalidArgument, match="is packed, and larger than any that is"):
        carrying._receive_packed(receiver, record, packed)
    receiver.close()


def test_nothing_is_a_difference_to_what_is_too_large_for_memory(layout: Layout) -> None:
    large = Stored("1" * 64, carrying.MOST_AT_ONCE + 1, "whole/" + "1" * 64, 0, carrying.MOST_AT_ONCE + 1, RAW)
    receiver = Receiver(site(layout, known={large.digest: large}), [], {large.digest})
    with pytest.raises(FailedPrecondition, match="is too large for that"):
        receiver.base(large.digest, 1)
    receiver.close()


# In a store that has a key


class Sealing(Coder):
    """Which says how much it was given at once."""

    def __init__(self) -> None:
        super().__init__(b"k" * 32, os.urandom)
        self.given: list[int] = []

    def _seal(self, payload: bytes | memoryview, digest: str, place: bytes = b"") -> bytes:
        self.given.append(len(payload))
        return super()._seal(payload, digest, place)


@dataclass
class Kept:
    """A chunk in frames in an encrypted store."""

    layout: Layout
    data: bytes
    entry: FileEntry
    stored: Stored

    @property
    def path(self) -> Path:
        return self.layout.path(self.stored.place)

    @property
    def reader(self) -> Reader:
        return Reader(self.layout, Sealing(), lambda digests: {self.stored.digest: self.stored})

    def read(self) -> bytes:
        reader = self.reader
        try:
            return b"".join(reader.file(self.entry))
        finally:
            reader.close()

    def change(self, change: Callable[[bytearray], object]) -> None:
        """Of what lies in its pack."""
        data = bytearray(self.path.read_bytes())
        change(data)
        self.path.chmod(0o600)
        self.path.write_bytes(data)


@pytest.fixture
def kept(layout: Layout) -> Kept:
    data, coder, told = os.urandom(LARGE), Sealing(), list[tuple[int, int]]()
    entry = one_of(data)
    receiver = Receiver(site(layout, lambda done, stored: told.append((done, stored)), coder), [Manifest((entry,), single=True)])
    receiver.begin()
    receiver.receive(entry.digest, parts(data, 700_001))
    receiver.complete()
    (stored,) = receiver.finish()
    receiver.close()
    assert coder.given == [FRAME_BYTES, FRAME_BYTES, MIB]  # never more than this in memory
    assert [done for done, _ in told] == [FRAME_BYTES, 2 * FRAME_BYTES, LARGE, LARGE]
    assert all(stored >= done for done, stored in told)
    return Kept(layout, data, entry, stored)


def test_what_is_too_large_for_memory_is_encrypted_in_frames_and_reads_back(kept: Kept) -> None:
    assert (kept.stored.encoding, kept.stored.size, kept.stored.stored_size) == (FRAMES, LARGE, LARGE + 3 * 28)
    assert kept.data[:100] not in kept.path.read_bytes()
    assert kept.read() == kept.data
    assert list(scan(kept.path, kept.stored.place)) == [kept.stored]  # the index can be made again
    reader, known = kept.reader, {kept.stored.digest: kept.stored}
    assert reader.chunk(kept.stored, known) == kept.data
    for offset, size in ((0, 10), (FRAME_BYTES - 5, 10), (FRAME_BYTES, FRAME_BYTES), (100, 2 * FRAME_BYTES), (LARGE - 3, 3), (0, LARGE)):
        assert reader.part(kept.stored, known, offset, size) == kept.data[offset : offset + size], (offset, size)
    reader.close()


def test_frames_that_are_changed_moved_or_left_out_are_damage(kept: Kept) -> None:
    sound, at, length = kept.path.read_bytes(), kept.stored.offset, FRAME_BYTES + 28

    def swap(data: bytearray) -> None:
        data[at : at + length], data[at + length : at + 2 * length] = data[at + length : at + 2 * length], data[at : at + length]

    def flip(where: int) -> Callable[[bytearray], None]:
        def change(data: bytearray) -> None:
            data[at + where] ^= 1

        return change

    for change in (flip(0), flip(length), flip(LARGE + 3 * 28 - 1), swap, lambda data: data.__delitem__(slice(-100, None))):
        kept.change(change)
        with pytest.raises(DataLoss, match=r"is damaged|too short"):
            kept.read()
        kept.change(lambda data: data.__setitem__(slice(None), sound))
    assert kept.read() == kept.data


def test_a_size_that_is_not_true_takes_no_memory(kept: Kept, layout: Layout) -> None:
    """One that a bit has flipped in, and one that somebody claims: a list of the frames would be longer than memory."""
    endless = 1 << 42
    kept.stored = structs.replace(kept.stored, size=endless)
    os.rename(layout.incoming / "x", layout.incoming / "before")
    entry = FileEntry("a", endless, "0" * 64, (Chunk("0" * 64, endless),))
    receiver = Receiver(site(layout, coder=Sealing()), [Manifest((entry,), single=True)])
    receiver.begin()
    tracemalloc.start()
    try:
        with pytest.raises(DataLoss):
            kept.read()
        with pytest.raises(InvalidArgument, match="are not those that its name stands for"):
            receiver.receive(entry.digest, [b"not so many"])
        assert tracemalloc.get_traced_memory()[1] < 64 * MIB
    finally:
        tracemalloc.stop()
        receiver.close()


def test_frames_are_moved_to_another_pack_as_they_are(kept: Kept) -> None:
    scratch = kept.layout.incoming / "again"
    scratch.mkdir()
    (moved,) = rewrite(kept.layout, scratch, "cd" * 16, [kept.stored])
    kept.path.unlink()
    kept.stored = moved
    assert kept.read() == kept.data


def test_frames_of_other_bytes_are_refused_and_what_is_there_is_not_kept_again(kept: Kept) -> None:
    numbers = count()

    def receiver_of(entry: FileEntry, known: Known) -> Receiver:
        os.rename(kept.layout.incoming / "x", kept.layout.incoming / f"before-{next(numbers)}")
        made = Receiver(site(kept.layout, coder=Sealing(), known=known), [Manifest((entry,), single=True)])
        made.begin()
        return made

    again = receiver_of(kept.entry, {kept.entry.digest: kept.stored})
    again.receive(kept.entry.digest, parts(kept.data))
    again.complete()
    assert not again.finish()
    again.close()
    assert not list((kept.layout.incoming / "x").iterdir())
    for data in (kept.data[:-1] + b"x", kept.data[:-1], kept.data + b"x"):
        wrong = receiver_of(kept.entry, {})
        with pytest.raises(InvalidArgument, match="are not those that its name stands for"):
            wrong.receive(kept.entry.digest, parts(data))
        wrong.close()
