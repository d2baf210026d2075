"""Amounts as people read them, for messages; records hold plain integers with the unit in the name."""

_STEPS = (("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10))


def format_bytes(amount: int) -> str:
    """`1610612736` as `1.5 GiB`; exact below 1 KiB, two digits at most after the point."""
    for unit, size in _STEPS:
        if abs(amount) >= size:
            return f"{amount / size:.2f}".rstrip("0").rstrip(".") + f" {unit}"
    return f"{amount} B"


def format_millis(millis: int) -> str:
    """`2000` thousandths as `2`, `500` as `0.5`."""
    return f"{millis / 1000:.3f}".rstrip("0").rstrip(".")


def format_seconds(seconds: float) -> str:
    """`5400` as `1h30m`, `90` as `1m30s`, `0.25` as `0.25s`; the two largest units."""
    if seconds < 60:
        return f"{seconds:.2f}".rstrip("0").rstrip(".") + "s"
    whole = round(seconds)
    parts = [(whole // 86400, "d"), (whole // 3600 % 24, "h"), (whole // 60 % 60, "m"), (whole % 60, "s")]
    while parts[0][0] == 0:
        parts.pop(0)
    return "".join(f"{n}{unit}" for n, unit in parts[:2] if n)
