"""How much a run has stored in its scratch directory, and how far that is held to what it was granted."""

import os
from stat import S_ISDIR

from aiosd.resources.isolation import Isolation

_BLOCK_BYTES = 512  # the unit of st_blocks
_MOST_LEVELS = 200
_ESCAPE = "a process that takes its files out of their project is found by the looks that are taken beside it"


def isolation(enforced: bool) -> Isolation:
    """The line of `aiosctl node` about disk space. `enforced`: by project quotas of the state directory's file system."""
    if enforced:
        return Isolation("disk", "enforced by project quotas", _ESCAPE)
    return Isolation("disk", "watched", "what a job with --disk stores in $AIOS_SCRATCH is measured now and then; more than granted stops the job")


def stored_bytes(directory: str) -> int:
    """The blocks of all that lies below, files with several names once; 0 where there is nothing. Blocks.

    The tree may be changed meanwhile, by somebody hostile too: no link is followed. What is deeper than 200 levels is not counted,
    because each level takes a descriptor.
    """
    seen: set[int] = set()
    levels: list[tuple[int, list[str]]] = []
    _go_down(levels, directory, None)
    total = 0
    while levels:
        fd, names = levels[-1]
        if not names:
            os.close(fd)
            levels.pop()
            continue
        name = names.pop()
        found = _status(name, fd)
        if found is None or (found.st_nlink > 1 and not S_ISDIR(found.st_mode) and found.st_ino in seen):
            continue
        seen.update([found.st_ino] if found.st_nlink > 1 else ())
        total += found.st_blocks * _BLOCK_BYTES
        if S_ISDIR(found.st_mode) and len(levels) < _MOST_LEVELS:
            _go_down(levels, name, fd)
    return total


def _go_down(levels: list[tuple[int, list[str]]], name: str, within: int | None) -> None:
    """Add the directory, unless it is none any more."""
    try:
        fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=within)
    except OSError:
        return
    levels.append((fd, os.listdir(fd)))


def _status(name: str, fd: int) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=fd, follow_symlinks=False)
    except OSError:
        return None  # gone meanwhile


def free_bytes(directory: str) -> int:
    """The room on its file system for whoever is not the superuser; 0 where that cannot be told."""
    try:
        room = os.statvfs(directory)
    except OSError:
        return 0
    return room.f_bavail * room.f_frsize
