"""A bar on the terminal of a person who waits; nothing at all where nobody looks."""

import sys
from types import TracebackType

from aiosctl.output import escaped, is_terminal

_CELLS = 30


class Bar:
    """Drawn over itself on stderr, and gone at the end, so that what is printed afterwards stands alone."""

    def __init__(self) -> None:
        self._on = is_terminal(sys.stderr)
        self._shown = 0

    def show(self, what: str, done: int, total: int) -> None:
        if not self._on:
            return
        part = min(1.0, done / total) if total > 0 else 0.0
        filled = round(part * _CELLS)
        text = f"[{'#' * filled}{'.' * (_CELLS - filled)}] {100 * part:3.0f} %  {escaped(what)}"
        print(f"\r{text:<{self._shown}}", end="", file=sys.stderr, flush=True)
        self._shown = len(text)

    def __enter__(self) -> "Bar":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._shown:
            print(f"\r{'':<{self._shown}}\r", end="", file=sys.stderr, flush=True)
            self._shown = 0
