"""Long calls: generators that are closed when their reader has gone, and calls that end when the daemon stops."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TypeVar

from aiosd.errors import Unavailable

Item = TypeVar("Item")


@asynccontextmanager
async def closing(items: AsyncIterator[Item]) -> AsyncIterator[AsyncIterator[Item]]:
    """`items`, closed at the end of the block and not when the garbage collector finds it."""
    try:
        yield items
    finally:
        if isinstance(items, AsyncGenerator):
            await items.aclose()


class OpenCalls:
    """The long calls in progress; `interrupt` ends each with Unavailable, which tells an SDK to reconnect and resume."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[object]] = set()
        self._interrupted: set[asyncio.Task[object]] = set()
        self._stopping = False

    def __len__(self) -> int:
        return len(self._tasks)

    @contextmanager
    def one(self) -> Iterator[None]:
        """The current task is in a long call. Works as asyncio.timeout does: a cancellation of our own becomes an error."""
        task = asyncio.current_task()
        assert task is not None
        if self._stopping:
            raise _stopping()
        self._tasks.add(task)
        try:
            yield
        except asyncio.CancelledError:
            if task in self._interrupted and task.uncancel() == 0:
                raise _stopping() from None
            raise  # the client has gone: its cancellation stands
        finally:
            self._tasks.discard(task)
            self._interrupted.discard(task)

    def interrupt(self) -> None:
        """End what is open, and refuse what would be opened."""
        self._stopping = True
        for task in self._tasks - self._interrupted:
            self._interrupted.add(task)
            task.cancel()


def _stopping() -> Unavailable:
    return Unavailable("the daemon is stopping", hint="repeat the call: running jobs go on, and the daemon may come back")
