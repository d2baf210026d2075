"""Chunks that are in use: whoever asks where one lies, or means to store it, keeps it from the sweep until the work is over."""

from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager


class Leases:
    """Of one event loop. A sweep that is under way sees what was in use at any time since it began to ask what is alive."""

    def __init__(self) -> None:
        self._held: Counter[str] = Counter()
        self._remembered: set[str] | None = None

    @contextmanager
    def held(self) -> Iterator["Lease"]:
        lease = Lease(self._held)
        try:
            yield lease
        finally:
            if self._remembered is not None:
                self._remembered |= lease.digests
            self._held -= Counter(lease.digests)

    @contextmanager
    def remembering(self) -> Iterator[None]:
        """For the time of a sweep."""
        self._remembered = set()
        try:
            yield
        finally:
            self._remembered = None

    def __contains__(self, digest: str) -> bool:
        return digest in self._held or (self._remembered is not None and digest in self._remembered)


class Lease:
    """What one piece of work uses."""

    def __init__(self, held: Counter[str]) -> None:
        self._held = held
        self.digests: set[str] = set()

    def add(self, digests: Collection[str]) -> None:
        fresh = set(digests) - self.digests
        self.digests |= fresh
        self._held.update(fresh)
