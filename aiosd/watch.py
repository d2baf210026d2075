"""Feeds of changes with revisions, which many follow, each at its own pace; and waiting for the next change of one thing."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Hashable
from itertools import islice
from typing import Generic, TypeVar

Item = TypeVar("Item")
Key = TypeVar("Key", bound=Hashable)


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


class Waiters(Generic[Key]):
    """Who waits for the next change of what; who gives up cancels its future, and is forgotten."""

    def __init__(self) -> None:
        self._waiting: dict[Key, set[asyncio.Future[None]]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def next(self, key: Key) -> "asyncio.Future[None]":
        """Done when somebody tells of `key`."""
        change: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, set()).add(change)
        change.add_done_callback(lambda done: self._forget(key, done))
        return change

    def tell(self, key: Key) -> None:
        """It has changed: all who wait for it go on."""
        for change in self._waiting.pop(key, ()):
            if not change.done():
                change.set_result(None)

    def _forget(self, key: Key, change: "asyncio.Future[None]") -> None:
        others = self._waiting.get(key, set())
        others.discard(change)
        if not others:
            self._waiting.pop(key, None)
