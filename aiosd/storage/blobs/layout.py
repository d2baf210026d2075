"""Where everything of the store lies below its directory, and what each file may be.

whole/ab/<digest>        a file as it is, read-only; other chunks may be parts of it
pack/ab/<id>             the new chunks of one registration, one after another
incoming/<id>/           what a registration under way has written; swept at the start
assembled/<digest>       a file put together from chunks; a cache
checkouts/<uid>/<id>/    what was handed out: hard links, or reflinks, to the above
quarantine/<digest>      what is known of a damaged chunk
staged/<uid>/            what is on its way here from elsewhere
key-proof                something known, encrypted: where there is a key, no other is ever tried
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from aiosd.models.vault_ports import Stored

WHOLE, PACK = "whole", "pack"
READ_ONLY, RUNNABLE = 0o444, 0o555
PRIVATE, PASSABLE = 0o700, 0o711
STAMP_NS = 1_000_000_000  # the time of change of every whole file: another one says that somebody wrote to it


@dataclass(frozen=True, slots=True)
class Layout:
    """`root` is one directory of the daemon alone, in one file system."""

    root: Path

    @property
    def incoming(self) -> Path:
        return self.root / "incoming"

    @property
    def assembled(self) -> Path:
        return self.root / "assembled"

    @property
    def checkouts(self) -> Path:
        return self.root / "checkouts"

    @property
    def quarantine(self) -> Path:
        return self.root / "quarantine"

    @property
    def staged(self) -> Path:
        return self.root / "staged"

    @property
    def proof(self) -> Path:
        return self.root / "key-proof"

    def path(self, place: str) -> Path:
        """Of a pack or whole file, as the index names it. Raises ValueError for what names none."""
        kind, _, name = place.partition("/")
        if kind not in (WHOLE, PACK) or len(name) < 3 or not name.isalnum():
            raise ValueError(f"{place!r} is no place of the store")
        return self.root / kind / name[:2] / name

    def places(self) -> Iterator[str]:
        """All that lie on the disk, whether the index knows them or not."""
        for kind in (WHOLE, PACK):
            for directory in sorted(_names(self.root / kind)):
                yield from (f"{kind}/{name}" for name in sorted(_names(self.root / kind / directory)))

    def prepare(self, *, passable: bool) -> None:
        """Make what is not there. `passable`: other users reach their checkouts. Raises OSError."""
        for path, mode in (
            (self.root, PASSABLE if passable else PRIVATE), (self.checkouts, PASSABLE if passable else PRIVATE),
            (self.root / WHOLE, PRIVATE), (self.root / PACK, PRIVATE), (self.incoming, PRIVATE), (self.assembled, PRIVATE), (self.quarantine, PRIVATE),
            (self.staged, PRIVATE),
        ):  # fmt: skip
            path.mkdir(mode=mode, parents=True, exist_ok=True)
            path.chmod(mode)
        synchronise(self.root)


def place_of_whole(digest: str) -> str:
    return f"{WHOLE}/{digest}"


def is_whole(stored: Stored) -> bool:
    """Whether it is all that lies in its file, and not a part of it that happens to be a file elsewhere."""
    return stored.place == place_of_whole(stored.digest)


def size_of(layout: Layout, place: str) -> int:
    """Bytes of its file; 0 where it is gone."""
    try:
        return layout.path(place).lstat().st_size
    except FileNotFoundError:
        return 0


def place_of_pack(name: str) -> str:
    return f"{PACK}/{name}"


def settle(temporary: Path, path: Path) -> None:
    """Give a finished, synchronised file its name, durably; what is there under that name has the same content."""
    path.parent.mkdir(mode=PRIVATE, exist_ok=True)
    os.rename(temporary, path)
    synchronise(path.parent)
    synchronise(path.parent.parent)


def synchronise(directory: Path) -> None:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _names(directory: Path) -> list[str]:
    try:
        return os.listdir(directory)
    except FileNotFoundError:
        return []
