"""Chunks that are in use: whoever asks where one lies, or means to store it, keeps it from the sweep until the work is over."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager


class Lease:
    """What one piece of work uses."""

    def __init__(self) -> None:
        self.digests: set[str] = set()

    def add(self, digests: Collection[str]) -> None:
        self.digests.update(digests)


class Leases:
    """Of one event loop. A sweep that is under way sees what was in use at any time since it began to ask what is alive.

    Few are held at once, and each may be of 100,000 chunks: they are asked one after the other, so that to begin and to end one takes no time.
    """

    def __init__(self) -> None:
        self._held: set[Lease] = set()
        self._remembered: set[str] | None = None

    @contextmanager
    def held(self) -> Iterator[Lease]:
        lease = Lease()
        self._held.add(lease)
        try:
            yield lease
        finally:
            self._held.discard(lease)
            if self._remembered is not None:
                self._remembered |= lease.digests

    @contextmanager
    def remembering(self) -> Iterator[None]:
        """For the time of a sweep."""
        self._remembered = set()
        try:
            yield
        finally:
            self._remembered = None

    def __contains__(self, digest: str) -> bool:
        return any(digest in lease.digests for lease in self._held) or (self._remembered is not None and digest in self._remembered)
