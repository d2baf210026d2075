"""Points in time as people write them: `now+1h`, `16:00`, ISO 8601, Unix seconds."""

import re
import time
from datetime import datetime, timedelta

from aios.errors import InvalidArgument
from aios.units import LARGEST, parse_seconds

_ALLOWED = '"now+1h", "16:00" (the next one), "today 16:00", "tomorrow 08:00", "2026-12-01T08:00" (local time unless it names a zone), or Unix seconds'
_CLOCK = re.compile(r"(?:(today|tomorrow)\s+)?(\d{1,2}):(\d{2})(?::(\d{2}))?", re.IGNORECASE | re.ASCII)
_RELATIVE = re.compile(r"(?:now\s*)?\+\s*(.+)", re.IGNORECASE | re.DOTALL)


def parse_time(given: str | float, *, what: str = "begin", now_s: float | None = None) -> float:
    """A point in time as Unix seconds. Local time where no zone is named; a bare hour is the next time the clock shows it."""
    now_s = time.time() if now_s is None else now_s
    at_s = _of_text(given.strip(), what, now_s) if isinstance(given, str) else given
    if isinstance(at_s, bool) or not isinstance(at_s, int | float) or not 0 < at_s < LARGEST:
        raise _refused(given, what)
    return float(at_s)


def _of_text(text: str, what: str, now_s: float) -> float:
    if text.lower() == "now":
        return now_s
    if relative := _RELATIVE.fullmatch(text):
        return now_s + parse_seconds(relative[1], what=what)
    if clock := _CLOCK.fullmatch(text):
        return _of_clock(clock, text, what, now_s)
    if re.fullmatch(r"\d{9,}(\.\d+)?", text, re.ASCII):
        return float(text)
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError):
        raise _refused(text, what) from None


def _of_clock(clock: re.Match[str], text: str, what: str, now_s: float) -> float:
    day, hour, minute, second = clock[1], int(clock[2]), int(clock[3]), int(clock[4] or 0)
    now = datetime.fromtimestamp(now_s)  # noqa: DTZ006  # 18:30 is meant on the clock of whoever wrote it
    try:
        at = now.replace(hour=hour, minute=minute, second=second, microsecond=0)
    except ValueError:
        raise _refused(text, what) from None
    if (day or "").lower() == "tomorrow" or (day is None and at <= now):
        at += timedelta(days=1)
    return at.timestamp()


def _refused(given: object, what: str) -> InvalidArgument:
    return InvalidArgument(f"{what} {given!r} is not a point in time", hint=f"allowed: {_ALLOWED}", facts={"field": what, "given": repr(given)})
