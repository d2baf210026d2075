"""Where files are cut: every byte is in one piece, in order, and the same bytes are cut the same way."""

import os
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiosd.errors import FailedPrecondition
from aiosd.storage.blobs.cutting import Sizes, pieces_at, windows

SIZES = Sizes(least=2 << 10, average=4 << 10, most=16 << 10, piece=1000, small=100, whole=1000)


@given(st.lists(st.integers(-5, 12_000), max_size=30), st.integers(1, 10_000))
def test_pieces_fill_the_file_and_are_no_larger_than_they_may_be(marks: list[int], size: int) -> None:
    lengths = pieces_at(marks, size, SIZES)
    assert sum(lengths) == size
    assert all(0 < length <= SIZES.piece for length in lengths)
    assert lengths == pieces_at(sorted(set(marks), reverse=True), size, SIZES)


def test_a_large_tensor_is_cut_from_its_own_beginning_whatever_is_before_it() -> None:
    before = pieces_at([50, 60, 70], 3070, SIZES)
    assert before == [70, 1000, 1000, 1000]
    assert pieces_at([50, 60, 90], 3090, SIZES) == [90, 1000, 1000, 1000]
    assert pieces_at([30, 60, 90, 130], 140, SIZES) == [130, 10]


def cut(path: Path, lengths: list[int] | None) -> list[bytes]:
    fd = os.open(path, os.O_RDONLY)
    try:
        return [bytes(piece) for window in windows(fd, path.stat().st_size, lengths, SIZES) for piece in window]
    finally:
        os.close(fd)


def test_content_is_cut_alike_wherever_it_lies(tmp_path: Path) -> None:
    """Across the ends of windows, too."""
    data = random.Random(3).randbytes(17 << 20)
    (tmp_path / "a").write_bytes(data)
    (tmp_path / "b").write_bytes(b"something before" + data)
    first, second = cut(tmp_path / "a", None), cut(tmp_path / "b", None)
    assert b"".join(first) == data
    assert len(set(second) - set(first)) < 5
    assert max(map(len, first)) <= SIZES.most


def test_a_file_that_has_become_shorter_is_no_end(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 1000)
    fd = os.open(path, os.O_RDONLY)
    for lengths in (None, [600, 600]):
        with pytest.raises(FailedPrecondition, match="shorter"):
            list(windows(fd, 1200, lengths, SIZES))
    os.close(fd)
