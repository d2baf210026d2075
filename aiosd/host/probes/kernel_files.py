"""Reading the small files of /proc and /sys, where any of them may be absent."""

from collections.abc import Iterable
from pathlib import Path


def read_text(path: Path) -> str:
    """The file's text without the white space around it; empty when it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def read_int(path: Path, default: int) -> int:
    """The file's one number; `default` when there is none."""
    try:
        return int(read_text(path), 0)
    except ValueError:
        return default


def parse_list(text: str) -> frozenset[int]:
    """The kernel's lists of numbers: `0-3,8` is 0, 1, 2, 3 and 8. Raises ValueError for anything else."""
    numbers: set[int] = set()
    for part in text.replace("\n", ",").split(","):
        if part.strip():
            first, _, last = part.partition("-")
            numbers.update(range(int(first), int(last or first) + 1))
    return frozenset(numbers)


def kilobytes(text: str, key: str) -> int:
    """Bytes of the line `key:  123 kB` of a meminfo file (a node's has `Node 0` before it); 0 when it has none."""
    for line in text.splitlines():
        words = line.replace(":", " ").split()
        if key in words:
            return int(words[words.index(key) + 1]) * 1024
    return 0


def listing(directory: Path, patterns: Iterable[str] = ("*",)) -> list[Path]:
    """The entries of a directory that match, in natural order (2 before 10); empty when it is not there."""
    return sorted({path for pattern in patterns for path in directory.glob(pattern)}, key=natural)


def natural(path: Path) -> tuple[tuple[int, str], ...]:
    """A sorting key under which the numbers in a name count as numbers."""
    return tuple((int(part), "") if part.isdigit() else (-1, part) for part in _split(str(path)))


def _split(text: str) -> Iterable[str]:
    word = ""
    for letter in text:
        if word and letter.isdigit() != word[-1].isdigit():
            yield word
            word = ""
        word += letter
    yield word
