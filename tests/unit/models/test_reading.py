"""What is read of a file is checked against its size, counted, and fit to be shown."""

import io

import pytest

from aiosd.models.reading import Cursor, Limits, Malformed, Region, TooMuch, clean, count_elements, shown


def test_a_region_gives_any_bytes_of_the_file_and_no_others() -> None:
    data = bytes(range(256)) * 100
    region = Region(io.BytesIO(data))
    for offset, count in ((0, 10), (25590, 10), (8190, 5), (3, 20000), (0, 0), (25600, 0)):
        assert region.read(offset, count) == data[offset : offset + count]
    for offset, count in ((-1, 2), (0, -1), (25600, 1), (0, 1 << 70)):
        with pytest.raises(Malformed, match="are claimed, the file has 25600"):
            region.read(offset, count)


def test_a_file_that_shrinks_meanwhile_is_noticed() -> None:
    file = io.BytesIO(bytes(100))
    region = Region(file)
    file.truncate(10)
    with pytest.raises(Malformed, match="ended at offset 10 while it was read"):
        region.read(0, 50)


def test_what_is_read_is_counted() -> None:
    region = Region(io.BytesIO(bytes(100_000)), Limits(read_bytes=20_000))
    region.read(0, 15_000)
    with pytest.raises(TooMuch, match="more than 20000 bytes"):
        region.read(20_000, 15_000)


def test_nothing_is_skipped_to_a_place_outside() -> None:
    cursor = Cursor(Region(io.BytesIO(b"12345")))
    cursor.skip(5)
    for count in (1, -1):
        with pytest.raises(Malformed):
            cursor.skip(count)


def test_elements_are_counted_before_they_are_believed() -> None:
    assert count_elements((2, 3), "it") == 6
    assert count_elements((), "it") == 1
    assert count_elements((0, 5), "it") == 0
    for shape in ((-1,), (1 << 62, 2)):
        with pytest.raises(Malformed):
            count_elements(shape, "it")


def test_texts_of_a_file_are_fit_to_be_shown_and_kept() -> None:
    assert shown("a\x1b[31m\n") == "'a\N{REPLACEMENT CHARACTER}[31m\N{REPLACEMENT CHARACTER}'"
    assert len(shown("x" * 5000)) < 250
    assert clean("a\0b\ud800") == "ab?"
    assert clean("x" * 201) == "x" * 200 + "…"
