"""Bundles as files: what is written is read, and whatever else is there is refused with a reason, fuzzed."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiosd.errors import FailedPrecondition, InvalidArgument
from aiosd.keeper import carrying, words
from aiosd.models.manifest import Chunk, FileEntry, Manifest, digest_of
from aiosd.models.parcel import Parcel, Sent, opened, packed, unpacked
from aiosd.models.vault_ports import Source, Stored
from aiosd.models.version import Commit, Kind
from aiosd.storage.blobs import bundle
from aiosd.storage.blobs.coding import Coder
from aiosd.storage.blobs.layout import Layout
from aiosd.storage.blobs.receiving import Receiver
from aiosd.storage.blobs.settings import BlobSettings
from aiosd.storage.blobs.worksite import Worksite

WORDS, NOISE = b"again and again " * 100, os.urandom(3000)
FILES = tuple(FileEntry(name, len(data), digest_of(data), (Chunk(digest_of(data), len(data)),)) for name, data in (("noise", NOISE), ("words", WORDS)))
MANIFEST = Manifest(FILES)
HEAD = packed(
    Parcel(
        model="digits", versions=(Sent(Commit(kind=Kind.MODEL, manifest=MANIFEST.digest, metrics={"a": 1.0}).encode(), "main"),), manifests=(MANIFEST.encode(),)
    )
)


def written() -> bytes:
    with tempfile.TemporaryFile() as file:
        writer = bundle.Writer(file.fileno())
        writer.head(HEAD)
        for data in (NOISE, WORDS):
            encoding, payload = Coder().encode(data, digest_of(data))
            writer.begin(digest_of(data), len(data), encoding, len(payload))
            writer.write(payload)
        writer.end()
        file.seek(0)
        return file.read()


GOOD = written()


@contextmanager
def reading(data: bytes) -> Iterator[bundle.Reader]:
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.seek(0)
        yield bundle.Reader(file.fileno())


def test_what_is_written_is_read() -> None:
    with reading(GOOD) as reader:
        assert reader.head() == HEAD
        found = [(record.digest, record.size, record.encoding, len(b"".join(reader.pieces(record)))) for record in reader.records()]
    assert found[0] == (digest_of(NOISE), 3000, "raw", 3000)
    assert found[1][:3] == (digest_of(WORDS), 1600, "zstd")
    assert opened(unpacked(HEAD)).manifests == {MANIFEST.digest: MANIFEST}


def test_a_head_that_is_too_large_is_not_written() -> None:
    with tempfile.TemporaryFile() as file, pytest.raises(InvalidArgument, match="268435456 are allowed"):
        bundle.Writer(file.fileno()).head(bytes(bundle.MOST_HEAD + 1))


@pytest.mark.parametrize("size", [bundle.MOST_HEAD + 1, 1 << 40])
def test_a_head_that_claims_too_much_is_not_inflated(size: int) -> None:
    import zstandard
    from blake3 import blake3

    packer = zstandard.ZstdCompressor().compressobj(size=size)
    frame = packer.compress(bytes(1000)) + packer.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
    with reading(bundle.MAGIC + len(frame).to_bytes(8, "little") + blake3(frame).digest() + frame) as reader, pytest.raises(InvalidArgument, match="larger"):
        reader.head()


def taken(data: bytes) -> dict[str, Stored]:
    """What a store would keep of this file; as a child takes it."""
    with tempfile.TemporaryDirectory() as made:
        layout, file = Layout(Path(made, "store")), Path(made, "x.aios")
        layout.prepare(passable=False)
        scratch = layout.incoming / "x"
        scratch.mkdir()
        file.write_bytes(data)
        site = Worksite(layout, scratch, "ab" * 16, Coder(), lambda digests: {}, lambda path, opened: None)
        with file.open("rb") as source:
            came = opened(unpacked(bundle.Reader(source.fileno()).head()))
        manifests = list(came.manifests.values())
        receiver = Receiver(site, manifests)
        request = words.Receive(
            BlobSettings(directory=made), "x", Source(str(file), os.getuid(), os.getgid(), "me"), manifests, [], set(), [], digest_of(packed(came.parcel))
        )  # fmt: skip
        try:
            receiver.begin()
            carrying._receive_bundle(receiver, request)
            receiver.complete()
            for manifest in manifests:
                receiver.lay_out(manifest)
            return {one.digest: one for one in receiver.finish()}
        finally:
            receiver.close()


def test_a_good_one_is_taken() -> None:
    assert taken(GOOD).keys() == {entry.digest for entry in FILES}


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Something flipped, cut, doubled, moved, or overwritten by a number that means something."""
    data = bytearray(GOOD)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.one_of(st.integers(0, 400), st.integers(0, len(data)), st.integers(max(0, len(data) - 200), len(data))))
        kind = draw(st.sampled_from(["flip", "cut", "insert", "number", "double"]))
        if kind == "flip" and at < len(data):
            data[at] ^= 1 << draw(st.integers(0, 7))
        elif kind == "cut":
            del data[at : at + draw(st.integers(1, 200))]
        elif kind == "insert":
            data[at:at] = draw(st.binary(min_size=1, max_size=100))
        elif kind == "number":
            data[at : at + 8] = draw(st.sampled_from([0, 1, 2**31, 2**32 - 1, 2**63, 2**64 - 1, 1 << 40])).to_bytes(8, "little")
        else:
            length = draw(st.integers(1, 2000))
            data[at:at] = data[at : at + length]
    return bytes(data)


@settings(max_examples=150, deadline=None)
@given(damaged())
def test_whatever_is_wrong_with_it_is_refused_or_makes_no_difference(data: bytes) -> None:
    try:
        kept = taken(data)
    except (InvalidArgument, FailedPrecondition):
        return
    assert kept.keys() == {entry.digest for entry in FILES}


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_head_of_anything_is_refused(data: st.DataObject) -> None:
    """Also one whose digest is right, since whoever wrote it computed it."""
    head = bytearray(HEAD)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(head) - 1))
        head[at] = data.draw(st.integers(0, 255))
    try:
        opened(unpacked(bytes(head)))
    except InvalidArgument:
        return


@given(st.binary(max_size=500))
def test_bytes_that_are_no_head_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidArgument):
        unpacked(data)
