"""A pack says what is in it, up to where it was cut off."""

from pathlib import Path

import pytest

from aiosd.errors import StorageCorrupt
from aiosd.storage.blobs.pack import PackWriter, scan

A, B = "aa" * 32, "bb" * 32


def written(path: Path) -> list[object]:
    pack = PackWriter(path, "pack/abc")
    rows = [pack.add(A, 5, "raw", b"12345"), pack.add(B, 500, "delta+aes", memoryview(b"xyz"), A), pack.add("cc" * 32, 9, "zstd", b"")]
    pack.close()
    return list(rows)


def test_the_index_can_be_made_again_from_a_pack(tmp_path: Path) -> None:
    path = tmp_path / "pack"
    rows = written(path)
    assert list(scan(path, "pack/abc")) == rows
    assert path.read_bytes()[rows[0].offset :][:5] == b"12345"  # type: ignore[attr-defined]


def test_a_cut_off_record_ends_it(tmp_path: Path) -> None:
    path = tmp_path / "pack"
    rows = written(path)
    whole = path.read_bytes()
    for length in range(16, len(whole)):
        path.chmod(0o600)
        path.write_bytes(whole[:length])
        found = list(scan(path, "pack/abc"))
        assert found == rows[: len(found)]
        assert len(found) < 3


def test_damage_within_is_told(tmp_path: Path) -> None:
    path = tmp_path / "pack"
    written(path)
    path.chmod(0o600)
    for data, reason in ((b"something else", "is no pack"), (path.read_bytes()[:16] + b"x" * 200, "damaged at byte 16")):
        path.write_bytes(data)
        with pytest.raises(StorageCorrupt, match=reason):
            list(scan(path, "pack/abc"))
