"""Files that say what went wrong within the daemon itself: few, small, and for its owner alone."""

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

MOST_FILES = 5
MOST_BYTES = 4 << 20


class FileEvidence:
    """Implements Evidence of the jobs domain. What blocks runs on its own thread."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="evidence")

    def keep(self, name: str, text: str) -> str:
        path = self._directory / name
        self._threads.submit(self._keep, path, text)
        return str(path)

    def close(self) -> None:
        """What was asked for is done first."""
        self._threads.shutdown()

    def _keep(self, path: Path, text: str) -> None:
        """The newest replace the oldest."""
        with suppress(OSError):
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            with open(fd, "wb") as file:
                file.write(text.encode()[:MOST_BYTES])
            for old in sorted(self._directory.iterdir(), key=lambda file: file.stat().st_mtime_ns)[:-MOST_FILES]:
                old.unlink(missing_ok=True)
