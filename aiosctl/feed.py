"""A stream read by a thread of its own, so that signals, clocks and keys can be heard while it is silent."""

from collections.abc import Iterable, Iterator
from queue import Empty, SimpleQueue
from threading import Semaphore, Thread
from time import monotonic
from typing import Generic, TypeVar, cast

T = TypeVar("T")
_ROOM = 64  # items read ahead: a slow reader slows the stream, and memory does not grow


class Ended(Exception):
    """The source has no more."""


class Feed(Generic[T]):
    """Items of `source` as they come; `poke` wakes the reader, also from a signal handler."""

    def __init__(self, source: Iterable[T]) -> None:
        self._came: SimpleQueue[tuple[str, object]] = SimpleQueue()  # its put may interrupt its get: safe in handlers
        self._room = Semaphore(_ROOM)
        self._thread = Thread(target=self._pump, args=(source,), name="aiosctl-feed", daemon=True)

    def start(self) -> "Feed[T]":
        self._thread.start()
        return self

    def next(self, timeout_s: float) -> T | None:
        """The next item; None when it was poked, or nothing came in time. Raises Ended, or what the source raised."""
        try:
            kind, what = self._came.get(timeout=max(0.0, timeout_s))
        except Empty:
            return None
        if kind == "item":
            self._room.release()
            return cast(T, what)
        if kind == "error":
            raise cast(BaseException, what)
        if kind == "end":
            raise Ended
        return None

    def poke(self) -> None:
        self._came.put(("poke", None))

    def batches(self, every_s: float, gather_s: float = 0.05) -> Iterator[list[T]]:
        """What came since the last batch, at least every `every_s` (then perhaps nothing), until the source ends."""
        while True:
            batch: list[T] = []
            try:
                self._gather(batch, every_s, gather_s)
            except Ended:
                yield batch
                return
            except BaseException:
                yield batch  # what came before the error is not lost
                raise
            yield batch

    def _gather(self, batch: list[T], every_s: float, gather_s: float) -> None:
        """Wait for the first item, then a little longer for what comes with it."""
        until = monotonic() + every_s
        while (left := until - monotonic()) > 0 or not batch:
            item = self.next(left)
            if item is None:
                return
            if not batch:
                until = monotonic() + gather_s
            batch.append(item)

    def _pump(self, source: Iterable[T]) -> None:
        try:
            for item in source:
                self._room.acquire()
                self._came.put(("item", item))
        except BaseException as error:  # noqa: BLE001 - it is raised again where the items are read
            self._came.put(("error", error))
        else:
            self._came.put(("end", None))
