"""Amounts as people write and read them: sizes, durations, counts. K M G T are powers of 1024, with and without B or iB."""

import re
from fractions import Fraction

from aios.errors import InvalidArgument

LARGEST = 1 << 62  # what the wire and the database hold safely

_NUMBER = r"(?:\d+(?:\.\d*)?|\.\d+)"
_SIZE = re.compile(rf"({_NUMBER})\s*([kmgtp]?)(?:i?b)?", re.IGNORECASE | re.ASCII)
_SIZE_STEPS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40, "p": 1 << 50}
_COUNT = re.compile(_NUMBER, re.ASCII)
_UNIT_SECONDS: dict[str, int | Fraction] = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1, "ms": Fraction(1, 1000)}
_PARTS = re.compile(rf"({_NUMBER})\s*(weeks?|w|days?|d|hours?|h|ms|minutes?|mins?|min|m|seconds?|secs?|sec|s)\s*", re.IGNORECASE | re.ASCII)
_CLOCK = re.compile(r"(?:(\d+)-)?(\d+):(\d{1,2})(?::(\d{1,2}(?:\.\d+)?))?", re.ASCII)
_DAYS_HOURS = re.compile(r"(\d+)-(\d{1,2})", re.ASCII)


def parse_bytes(given: str | int, *, what: str = "size", zero: bool = False) -> int:
    """`"16G"`, `"512M"`, `"1.5GiB"` or a number of bytes, as bytes; K M G T P are powers of 1024."""
    allowed = 'a number with K, M, G, T or P (powers of 1024), for example "16G", "512M" or "1.5GiB"'
    if isinstance(given, int) and not isinstance(given, bool):
        return _whole(Fraction(int(given)), given, what, allowed, zero)
    match = _SIZE.fullmatch(given.strip()) if isinstance(given, str) else None
    if match is None:
        raise _refused(given, what, allowed)
    return _whole(Fraction(match[1]) * _SIZE_STEPS[match[2].lower()], given, what, allowed, zero)


def parse_millis(given: str | float, *, what: str = "cpus", zero: bool = False) -> int:
    """`"4"`, `4` or `0.5` as thousandths: 4000, 500. Finer than a thousandth is refused."""
    allowed = "a number of at most three decimals, for example 4 or 0.5"
    amount = _count(given, what, allowed) * 1000
    if amount.denominator != 1:
        raise _refused(given, what, allowed)
    return _whole(amount, given, what, allowed, zero)


def parse_seconds(given: str | float, *, what: str = "time", zero: bool = False) -> float:
    """`"90s"`, `"2h30m"`, `"1-12:00:00"` (days-hours:minutes:seconds), `"02:30:00"`, `"90:00"` (minutes:seconds) or seconds."""
    allowed = 'seconds, units (w d h m s ms), or [days-]hours:minutes:seconds; for example 90, "90s", "2h30m" or "1-12:00:00"'
    seconds = _clock_seconds(given, what, allowed) if isinstance(given, str) else None
    if seconds is None:
        seconds = _unit_seconds(given) if isinstance(given, str) else None
    if seconds is None:
        seconds = _count(given, what, allowed)
    if seconds < 0 or (seconds == 0 and not zero):
        raise _refused(given, what, allowed, "it must be greater than zero" if not zero else "it must not be negative")
    if seconds > LARGEST:
        raise _refused(given, what, allowed, "it is too large")
    return float(seconds)


def parse_count(given: str | int, *, what: str, least: int = 0, most: int = (1 << 31) - 1) -> int:
    """A whole number between `least` and `most`."""
    text = str(given).strip()
    if isinstance(given, bool) or not re.fullmatch(r"[+-]?\d{1,20}", text, re.ASCII) or not least <= int(text) <= most:
        raise _refused(given, what, f"a whole number from {least} to {most}")
    return int(text)


def format_bytes(amount: float) -> str:
    """`1610612736` as `1.5 GiB`; exact below 1 KiB, two digits at most after the point."""
    for unit, size in (("PiB", 1 << 50), ("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if abs(amount) >= size:
            return f"{_trim(amount / size, 2)} {unit}"
    return f"{_trim(amount, 0)} B"


def format_millis(millis: float) -> str:
    """`2000` thousandths as `2`, `500` as `0.5`."""
    return _trim(millis / 1000, 3)


def format_seconds(seconds: float) -> str:
    """`5400` as `1h30m`, `90` as `1m30s`, `0.25` as `0.25s`; the two largest units."""
    if seconds < 0:
        return "-" + format_seconds(-seconds)
    if seconds < 59.995:
        return _trim(seconds, 2) + "s"
    whole = round(seconds)
    parts = [(whole // 86400, "d"), (whole // 3600 % 24, "h"), (whole // 60 % 60, "m"), (whole % 60, "s")]
    while parts[0][0] == 0:
        parts.pop(0)
    return "".join(f"{n}{unit}" for n, unit in parts[:2] if n)


def _trim(amount: float, digits: int) -> str:
    text = f"{amount:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _clock_seconds(text: str, what: str, allowed: str) -> Fraction | None:
    """`1-12:00:00`, `1-12`, `12:00:00`, `90:00`; None when the text has no such form."""
    text = text.strip()
    if match := _DAYS_HOURS.fullmatch(text):
        days, first, second, third = int(match[1]), int(match[2]), 0, None
    elif match := _CLOCK.fullmatch(text):
        days, first, second, third = int(match[1] or 0), int(match[2]), int(match[3]), match[4]
    else:
        return None
    if second > 59 or (third is not None and Fraction(third) >= 60) or ("-" in text and first > 23):
        raise _refused(text, what, allowed, "minutes and seconds go to 59, hours after days to 23")
    if third is None and "-" not in text:
        return Fraction(first * 60 + second)  # minutes:seconds, as Slurm reads it
    return days * 86_400 + first * 3_600 + second * 60 + Fraction(third or 0)


def _unit_seconds(text: str) -> Fraction | None:
    """`2h30m`, `1d 2h`, `500ms`; None when the text has no such form, or names a unit twice or out of order."""
    position, total, last = 0, Fraction(0), Fraction(LARGEST)
    text = text.strip()
    while match := _PARTS.match(text, position):
        unit = match[2].lower()
        size = Fraction(_UNIT_SECONDS["ms" if unit == "ms" else unit[0]])
        if size >= last:
            return None
        total, last, position = total + Fraction(match[1]) * size, size, match.end()
    return total if position == len(text) and text else None


def _count(given: object, what: str, allowed: str) -> Fraction:
    if isinstance(given, int | float) and not isinstance(given, bool) and abs(given) <= LARGEST:
        return Fraction(repr(given))  # by its digits: 0.1 means a tenth
    if isinstance(given, str) and _COUNT.fullmatch(given.strip()):
        return Fraction(given.strip())
    raise _refused(given, what, allowed)


def _whole(amount: Fraction, given: object, what: str, allowed: str, zero: bool) -> int:
    """The amount as an integer, a part of a unit rounded up; refused when it is out of range."""
    if amount < 0:
        raise _refused(given, what, allowed, "it must not be negative")
    if amount == 0 and not zero:
        raise _refused(given, what, allowed, "it must be greater than zero")
    if amount > LARGEST:
        raise _refused(given, what, allowed, "it is too large")
    return -(-amount.numerator // amount.denominator)


def _refused(given: object, what: str, allowed: str, why: str = "") -> InvalidArgument:
    shown = repr(given) if len(repr(given)) <= 80 else repr(given)[:77] + "..."
    return InvalidArgument(f"{what} {shown} is not valid{': ' + why if why else ''}", hint=f"allowed: {allowed}", facts={"field": what, "given": shown})
