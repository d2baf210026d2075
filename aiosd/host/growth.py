"""Waits until files grow: news of the kernel wake the waiters, and a slow look now and then catches what it does not tell."""

import asyncio
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from typing import NamedTuple

from aiosd.host.inotify import OVERFLOW_WATCH, Inotify

SAFETY_S = 1.0  # network file systems change without news; a file may be replaced beside its watch
POLL_S = 0.2  # where the kernel gives no (more) watches


AsWhom = Callable[[], AbstractContextManager[None]]  # entered on a thread, around what touches the files


class Look(NamedTuple):
    """One file as it was; 0, 0 when there is none."""

    inode: int
    size: int


@dataclass(frozen=True, slots=True)
class _Armed:
    watches: tuple[int, ...]
    looks: tuple[Look, ...]
    complete: bool  # all that can change is watched


class Growth:
    """One inotify instance for all who wait; what touches the file system runs on `threads`, as it may hang on a network."""

    def __init__(self, threads: Executor) -> None:
        self._threads = threads
        self._inotify: Inotify | None = None
        self._waiters: dict[int, set[asyncio.Event]] = {}
        self._arming = 0  # waiters whose watches are being made just now
        self._early: set[int] = set()  # news that came before its waiter knew the number of its watch

    async def changed(self, paths: Sequence[str], seen: tuple[Look, ...], as_whom: AsWhom = nullcontext, threads: Executor | None = None) -> tuple[Look, ...]:
        """Waits until the files do not look as `seen` any more, and returns how they look. `threads`: other than everybody's."""
        threads = threads or self._threads
        looks = await asyncio.get_running_loop().run_in_executor(threads, _look_as, as_whom, paths)
        if looks != seen:  # as with a writer that never pauses: nothing need be watched for it
            return looks
        while True:
            news = asyncio.Event()
            armed = await self._arm(paths, news, as_whom, threads)
            try:
                if armed.looks != seen:
                    return armed.looks
                with suppress(TimeoutError):
                    async with asyncio.timeout(SAFETY_S if armed.complete else POLL_S):
                        await news.wait()
            finally:
                self._disarm(armed.watches, news)

    def close(self) -> None:
        if self._inotify is not None:
            asyncio.get_running_loop().remove_reader(self._inotify.fd)
            self._inotify.close()
            self._inotify = None

    async def _arm(self, paths: Sequence[str], news: asyncio.Event, as_whom: AsWhom, threads: Executor) -> _Armed:
        """Watch first, look then: what changes in between is seen one way or the other."""
        loop = asyncio.get_running_loop()
        inotify = self._open(loop)
        self._arming += 1
        making = loop.run_in_executor(threads, _watch_and_look, inotify, paths, as_whom)
        try:
            armed = await asyncio.shield(making)
        except asyncio.CancelledError:
            making.add_done_callback(lambda made: None if made.exception() else self._disarm(made.result().watches, news))
            raise
        finally:
            self._arming -= 1
        for watch in armed.watches:
            self._waiters.setdefault(watch, set()).add(news)
        if not self._early.isdisjoint(armed.watches):
            news.set()
        if not self._arming:
            self._early.clear()
        return armed

    def _disarm(self, watches: Sequence[int], news: asyncio.Event) -> None:
        for watch in watches:
            waiters = self._waiters.get(watch, set())
            waiters.discard(news)
            if not waiters:
                self._waiters.pop(watch, None)
                if self._inotify is not None:
                    self._inotify.remove(watch)

    def _open(self, loop: asyncio.AbstractEventLoop) -> Inotify | None:
        if self._inotify is None:
            with suppress(OSError):  # no instance left: the next that waits tries again
                self._inotify = Inotify()
                loop.add_reader(self._inotify.fd, self._on_news)
        return self._inotify

    def _on_news(self) -> None:
        if self._inotify is None:
            return
        for watch in self._inotify.read():
            if watch == OVERFLOW_WATCH:
                self._wake_all()
            elif watch in self._waiters:
                for news in self._waiters.pop(watch):
                    news.set()
            elif self._arming:
                self._early.add(watch)

    def _wake_all(self) -> None:
        for waiters in self._waiters.values():
            for news in waiters:
                news.set()


def look_at(paths: Sequence[str]) -> tuple[Look, ...]:
    return tuple(_look(path) for path in paths)


def _look(path: str) -> Look:
    try:
        status = os.stat(path)
    except OSError:
        return Look(0, 0)
    return Look(status.st_ino, status.st_size)


def _look_as(as_whom: AsWhom, paths: Sequence[str]) -> tuple[Look, ...]:
    with as_whom():
        return look_at(paths)


def _watch_and_look(inotify: Inotify | None, paths: Sequence[str], as_whom: AsWhom) -> _Armed:
    with as_whom():
        watches = [watch for path in paths if inotify is not None and (watch := _watch(inotify, path)) is not None]
        return _Armed(tuple(watches), look_at(paths), len(watches) == len(paths))


def _watch(inotify: Inotify, path: str) -> int | None:
    """A watch on the file, or on the nearest directory above that exists; None when the kernel gives none."""
    try:
        return inotify.watch_file(path)
    except FileNotFoundError:
        above = os.path.dirname(os.path.abspath(path))
    except OSError:
        return None
    while True:
        try:
            return inotify.watch_directory(above)
        except FileNotFoundError:
            above = os.path.dirname(above)
        except OSError:
            return None
