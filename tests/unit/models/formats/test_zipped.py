"""Members of an archive are found where they lie; what overlaps, leaves the file or unpacks to more than it says is refused."""

import io
import struct
import zipfile

import pytest

from aiosd.models.formats import zipped
from aiosd.models.reading import Limits, Malformed, Region, TooMuch
from tests.unit.models.formats.frameworks import zip_of

SMALL = {"a/x": b"hello", "a/y": b"world" * 100}


def region(data: bytes, **limits: int) -> Region:
    return Region(io.BytesIO(data), Limits(**limits))


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_members_are_found_and_unpacked(compression: int) -> None:
    archive = region(zip_of(SMALL, compression))
    found = zipped.members(archive)
    assert {name: zipped.unpack(archive, one) for name, one in found.items()} == SMALL
    assert all(zipped.is_plain(one) == (compression == zipfile.ZIP_STORED) for one in found.values())


def test_sizes_of_64_bits_and_sums_behind_the_data_are_understood() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(Unseekable(out), "w") as archive, archive.open("big", "w", force_zip64=True) as member:
        member.write(b"data")
    data = region(out.getvalue())
    assert zipped.unpack(data, zipped.members(data)["big"]) == b"data"


class Unseekable(io.RawIOBase):
    """What is written to it cannot be gone back to, so that sums and sizes come behind the data."""

    def __init__(self, out: io.BytesIO) -> None:
        self.out = out

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:
        return self.out.write(data)


def unpack_all(archive: Region) -> None:
    for one in zipped.members(archive).values():
        zipped.unpack(archive, one)


def directory(data: bytes) -> int:
    return data.index(b"PK\x01\x02")


def patched(data: bytes, at: int, value: bytes) -> bytes:
    return data[:at] + value + data[at + len(value) :]


ONE = zip_of({"a": b"hello"})
TWO = zip_of({"a": b"hello", "b": b"world"})


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"PK\x03\x04", "cut off"),
        (ONE[:-1], "cut off"),
        (ONE[30:], "it must end at|there is no member"),
        (patched(ONE, len(ONE) - 12, b"\xff\xff\xff\x7f"), "its directory claims"),
        (patched(ONE, len(ONE) - 14, b"\xff\xff\xff\xff"), "65535 members in"),
        (patched(ONE, directory(ONE), b"XX"), "no member at offset"),
        (patched(ONE, directory(ONE) + 42, b"\5"), "is not at offset 5"),
        (patched(ONE, directory(ONE) + 20, struct.pack("<II", 9999, 9999)), "leaves the file"),
        (patched(ONE, directory(ONE) + 20, struct.pack("<II", 0xFFFFFFFF, 5)), "has no sizes"),
        (patched(TWO, directory(TWO) + 46 + 1 + 42, struct.pack("<I", 0)), "lie over each other"),
        (patched(TWO, directory(TWO) + 46 + 1 + 46, b"a"), "two members 'a'"),
        (patched(ONE, 31, b"HELLO"), "is damaged"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_reason(data: bytes, reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        unpack_all(region(data))


def test_a_bomb_is_stopped_at_what_its_header_says() -> None:
    data = zip_of({"a": bytes(1 << 20)}, zipfile.ZIP_DEFLATED)
    lying = patched(data, directory(data) + 24, struct.pack("<I", 10))
    archive = region(lying)
    with pytest.raises(Malformed, match="is damaged"):
        zipped.unpack(archive, zipped.members(archive)["a"])


def test_large_members_and_unknown_methods_are_left() -> None:
    archive = region(zip_of({"a": bytes(2000)}, zipfile.ZIP_DEFLATED), unpacked_bytes=1000)
    with pytest.raises(TooMuch, match="2000 bytes, more than the 1000"):
        zipped.unpack(archive, zipped.members(archive)["a"])
    archive = region(zip_of({"a": b"x"}, zipfile.ZIP_BZIP2))
    with pytest.raises(TooMuch, match="packed by method 12"):
        zipped.unpack(archive, zipped.members(archive)["a"])
