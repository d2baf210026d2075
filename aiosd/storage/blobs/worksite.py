"""What a registration works on and with: open files, a scratch directory, the index, and how it cuts and codes."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from aiosd.storage.blobs.coding import Coder
from aiosd.storage.blobs.cutting import Boundaries, Sizes
from aiosd.storage.blobs.layout import Layout
from aiosd.storage.blobs.reading import Lookup


class Readable(Protocol):
    """An open file, as long as it is."""

    @property
    def path(self) -> str: ...

    @property
    def fd(self) -> int: ...

    @property
    def size(self) -> int: ...

    @property
    def executable(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Worksite:
    """Where and how a registration works. `scratch` is a directory of its own, which whoever made it removes."""

    layout: Layout
    scratch: Path
    name: str  # of the pack
    coder: Coder
    lookup: Lookup
    boundaries: Boundaries
    sizes: Sizes = Sizes()
    reached: Callable[[str], None] = lambda step: None
    report: Callable[[int, int], None] = lambda done, stored: None
