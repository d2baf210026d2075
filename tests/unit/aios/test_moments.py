"""Points in time as people write them."""

from datetime import datetime

import pytest

from aios.errors import InvalidArgument
from aios.moments import parse_time

NOON = datetime(2026, 11, 22, 12, 0, 0)
NOW_S = NOON.timestamp()


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("16:00", datetime(2026, 11, 22, 16, 0)), ("08:30", datetime(2026, 11, 23, 8, 30)), ("12:00", datetime(2026, 11, 23, 12, 0)),
        ("tomorrow 16:00", datetime(2026, 11, 23, 16, 0)), ("today 08:30", datetime(2026, 11, 22, 8, 30)),
        ("2026-12-01T08:00", datetime(2026, 12, 1, 8)), ("2026-12-01 08:00:05", datetime(2026, 12, 1, 8, 0, 5)), ("2026-12-01", datetime(2026, 12, 1)),
    ],
)  # fmt: skip
def test_clock_and_calendar(text: str, at: datetime) -> None:
    assert parse_time(text, now_s=NOW_S) == at.timestamp()


def test_relative_and_absolute() -> None:
    assert parse_time("now+1h", now_s=NOW_S) == NOW_S + 3600
    assert parse_time("now + 2h30m", now_s=NOW_S) == NOW_S + 9000
    assert parse_time("+90s", now_s=NOW_S) == NOW_S + 90
    assert parse_time("now", now_s=NOW_S) == NOW_S
    assert parse_time("2026-12-01T08:00:00+00:00") == parse_time("2026-12-01T08:00:00Z") == parse_time(1796112000) == parse_time("1796112000")


@pytest.mark.parametrize("bad", ["", "soon", "25:00", "now+", "now+5x", "2026-13-01", "12:60", 0, -1, True, float("nan"), "now-1h", None])
def test_refused(bad: object) -> None:
    with pytest.raises(InvalidArgument) as caught:
        parse_time(bad, what="begin", now_s=NOW_S)  # type: ignore[arg-type]
    assert "now+1h" in caught.value.hint or "2h30m" in caught.value.hint
