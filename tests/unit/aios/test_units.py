"""What people write for sizes, times and counts, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aios.errors import InvalidArgument
from aios.units import format_bytes, format_millis, format_seconds, parse_bytes, parse_count, parse_millis, parse_seconds


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("16G", 16 << 30), ("512M", 512 << 20), ("1.5GiB", 3 << 29), ("2gb", 2 << 30), ("1k", 1024), ("7", 7), (7, 7),
        (" 1 T ", 1 << 40), ("0.1k", 103), ("2P", 2 << 50), ("10B", 10),
    ],
)  # fmt: skip
def test_sizes(text: str | int, amount: int) -> None:
    assert parse_bytes(text) == amount


@pytest.mark.parametrize("bad", ["16Q", "", "G", "-1G", "1.2.3G", "0", 0, -5, True, "1e9", "9999999P", 1 << 63, "١G", "nan", None, "1 6G"])
def test_sizes_refused(bad: object) -> None:
    with pytest.raises(InvalidArgument) as caught:
        parse_bytes(bad, what="memory")  # type: ignore[arg-type]
    assert "memory" in str(caught.value) and "16G" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90), ("2h30m", 9000), ("1-12:00:00", 129600), ("02:30:00", 9000), ("90:00", 5400), (5, 5), (0.5, 0.5), ("1.5h", 5400),
        ("1d 2h", 93600), ("500ms", 0.5), ("1w", 604800), ("120", 120), ("2 hours", 7200), ("1-12", 129600), ("1min30sec", 90), ("00:00:01.5", 1.5),
    ],
)  # fmt: skip
def test_durations(text: str | float, seconds: float) -> None:
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize("bad", ["", "h", "5x", "-5s", -1, 0, "0s", "30m2h", "2h2h", "1:60:00", "1-24:00:00", float("nan"), float("inf"), True, "1e400", None])
def test_durations_refused(bad: object) -> None:
    with pytest.raises(InvalidArgument) as caught:
        parse_seconds(bad, what="time")  # type: ignore[arg-type]
    assert "2h30m" in caught.value.hint


def test_zero_duration_where_it_means_none() -> None:
    assert parse_seconds(0, zero=True) == 0


def test_millis() -> None:
    assert [parse_millis(given) for given in ("4", 4, 0.5, "0.125", "1.0", 0.1)] == [4000, 4000, 500, 125, 1000, 100]
    for bad in ("", "-1", 0, "0", "0.0001", float("inf"), "four", 1 << 63):
        with pytest.raises(InvalidArgument):
            parse_millis(bad)


def test_counts() -> None:
    assert parse_count("-20", what="nice", least=-20, most=19) == -20
    for bad in ("20", 1.5, "x", True, ""):
        with pytest.raises(InvalidArgument, match="nice"):
            parse_count(bad, what="nice", least=-20, most=19)  # type: ignore[arg-type]


@given(st.integers(1, 1 << 50))
def test_a_formatted_size_reads_back_nearly(amount: int) -> None:
    assert parse_bytes(format_bytes(amount)) == pytest.approx(amount, rel=0.006, abs=1)


def test_formats() -> None:
    assert [format_bytes(n) for n in (0, 1023, 1024, 3 << 29)] == ["0 B", "1023 B", "1 KiB", "1.5 GiB"]
    assert [format_seconds(s) for s in (0.25, 59.999, 90, 5400, 90000, -90)] == ["0.25s", "1m", "1m30s", "1h30m", "1d1h", "-1m30s"]
    assert [format_millis(m) for m in (2000, 500, 100000, 0)] == ["2", "0.5", "100", "0"]
