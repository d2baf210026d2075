"""A feed of changes with revisions: many may follow it, each at its own pace, from any revision it still knows."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from itertools import islice
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Lagged(Exception):
    """The follower wants changes that are no longer kept: it must look at everything anew."""


class Feed(Generic[Item]):
    """Keeps the last `capacity` changes once, for all followers; a slow one costs nothing and may lag."""

    def __init__(self, revision: int, capacity: int = 16_384) -> None:
        self.revision = revision
        self._complete_after = revision  # every change with a higher revision is in the ring
        self._ring: deque[tuple[int, Item]] = deque()
        self._capacity = capacity
        self._first = 0  # the running number of the ring's first entry
        self._grown: asyncio.Event = asyncio.Event()

    def publish(self, revision: int, item: Item) -> None:
        """Add one change; revisions only rise."""
        self._ring.append((revision, item))
        self.revision = max(revision, self.revision)
        if len(self._ring) > self._capacity:
            self._complete_after = self._ring.popleft()[0]
            self._first += 1

    def wake(self) -> None:
        """Let the followers see what was published."""
        grown, self._grown = self._grown, asyncio.Event()
        grown.set()

    def restart(self, revision: int) -> None:
        """What was published may not be true any more: every follower is told to look anew."""
        self._first += len(self._ring) + 1
        self._ring.clear()
        self.revision = self._complete_after = revision
        self.wake()

    def knows(self, revision: int) -> bool:
        """Whether everything after `revision` is still kept."""
        return self._complete_after <= revision <= self.revision

    async def follow(self, revision: int) -> AsyncIterator[tuple[int, Item]]:
        """Every change after `revision`, for ever. Raises Lagged where some are no longer kept."""
        if not self.knows(revision):
            raise Lagged
        at = self._first + sum(1 for known, _ in self._ring if known <= revision)
        while True:
            if at < self._first:
                raise Lagged
            batch = list(islice(self._ring, at - self._first, at - self._first + 256))
            at += len(batch)
            for entry in batch:
                yield entry
            if not batch:
                await self._grown.wait()
