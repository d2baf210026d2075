"""The disk space that jobs may have for scratch: what is free where the state directory is."""

import os
from pathlib import Path


def probe_disk(state_directory: Path, reserve_bytes: int = 0) -> int:
    """Free bytes of the file system of `state_directory` (or of the nearest parent that exists), less the reserve."""
    for place in (state_directory, *state_directory.parents):
        try:
            free = os.statvfs(place)
        except OSError:  # not made yet, or not for us to see: its parent is on the file system it will be on
            continue
        return max(0, free.f_bavail * free.f_frsize - reserve_bytes)
    return 0
