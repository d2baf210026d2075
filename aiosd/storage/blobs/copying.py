"""The files of a store in another directory: what never changes is copied once, and is the same file in every backup after it."""

import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from aiosd.storage.blobs import disk
from aiosd.storage.blobs.layout import PRIVATE, Layout, synchronise


@dataclass(slots=True)
class Copied:
    """What lies there now; `new_bytes`: of files that no earlier copy had; `lost`: places whose file is gone, or not as long as it was."""

    files: int = 0
    bytes: int = 0
    new_bytes: int = 0
    lost: list[str] = field(default_factory=list)


def copy_places(
    source: Layout, target: Layout, places: Iterable[tuple[str, int]], earlier: Sequence[Layout] = (), go_on: Callable[[], None] = lambda: None
) -> Copied:
    """Each place with the bytes that it has at least, and which key they are under. What an `earlier` copy has is a link to that; all else a clone, or a copy.

    go_on    called before each file; what it raises ends the work
    raises   OSError (a full disk)
    """
    done, touched = Copied(), set[Path]()
    for place, least in places:
        go_on()
        path = target.path(place)
        if path.parent not in touched:
            path.parent.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
            touched.add(path.parent)
        try:
            size = source.path(place).lstat().st_size
        except FileNotFoundError:
            size = -1
        if size < least:
            done.lost.append(place)
        if size < 0:
            continue
        if not any(_linked(old.path(place), path, size) for old in earlier):
            _copy(source.path(place), path)
            done.new_bytes += size
        done.files += 1
        done.bytes += size
    if source.proof.exists():
        _copy(source.proof, target.proof)
    for directory in {target.root, *touched, *(path.parent for path in touched)}:
        synchronise(directory)
    return done


def _linked(old: Path, new: Path, size: int) -> bool:
    """Whether `new` is now another name of `old`; not where that is not what the store has, or lies in another file system."""
    with suppress(OSError):
        if old.lstat().st_size == size:
            os.link(old, new)
            return True
    return False


def _copy(source: Path, target: Path) -> None:
    """With its mode and times, by which the store knows what was touched."""
    with source.open("rb") as reading, target.open("xb") as writing:
        if not disk.clone(reading.fileno(), writing.fileno()):
            shutil.copyfileobj(reading, writing, 8 << 20)
        writing.flush()
        found = os.fstat(reading.fileno())
        os.fchmod(writing.fileno(), found.st_mode & 0o777)
        os.utime(writing.fileno(), ns=(found.st_atime_ns, found.st_mtime_ns))
        os.fsync(writing.fileno())
