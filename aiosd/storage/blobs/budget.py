"""How much may be put together in a scratch directory, before anybody knows what of it is new to the store: bounded by a quota, and by the disk."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from aiosd.errors import DiskFull, Exhausted
from aiosd.units import format_bytes

_BLOCK_BYTES = 4096  # what a file takes at least, and a multiple of which it does
_SPARED = 10  # the part of what is free when it begins that stays so: others have to write, too


@dataclass(slots=True)
class Budget:
    """Asked before anything is written below `scratch`. `room`: bytes beyond what the sources take themselves; None: no quota says."""

    scratch: Path
    room: int | None = None
    used: int = 0
    _sources: dict[str, int] = field(default_factory=dict)
    _spared: int = field(init=False)

    def __post_init__(self) -> None:
        self._spared = self._free() // _SPARED

    def has(self, source: str, size: int) -> None:
        """What is put together is made of this, too, which takes `size` bytes where it lies; it counts once."""
        self._sources[source] = size

    def take(self, size: int) -> None:
        """A file of so many bytes is next. Raises Exhausted, DiskFull."""
        self.used += -(-size // _BLOCK_BYTES) * _BLOCK_BYTES
        own = sum(self._sources.values())
        if self.room is not None and self.used > own + self.room:
            raise Exhausted(
                f"what is packed into {format_bytes(own)} becomes at least {format_bytes(self.used)}, and the owner of the model may have "
                f"{format_bytes(self.room)} more; nothing was kept",
                hint="remove versions (aiosctl model rm, model gc), or ask an admin for more; what the store has already counts nothing where it is "
                "unpacked, and registered",
                packed=own, needed=self.used, room=self.room,
            )  # fmt: skip
        self.check_disk(size)

    def check_disk(self, size: int) -> None:
        """So many bytes are written next, whoever is to have them. Raises DiskFull."""
        free = self._free()
        if size > free - self._spared:
            raise DiskFull(
                f"{format_bytes(size)} more are to be put together on the disk of {self.scratch.parent}, which has {format_bytes(free)} free, "
                f"of which {format_bytes(self._spared)} are left for others; nothing was kept",
                hint="free some space: aiosctl model gc", path=str(self.scratch.parent), needed=size, free=free,
            )  # fmt: skip

    def _free(self) -> int:
        room = os.statvfs(self.scratch)
        return room.f_bavail * room.f_frsize
