"""What a thread reads from is closed when the thread has ended, and not before: a caller may hang up at any moment."""

import asyncio
import threading

import pytest

from aiosd.keeper.handing import to_its_end


def test_who_is_cancelled_waits_for_the_thread() -> None:
    begun, go_on, ended = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        go_on.wait(30)
        ended.set()

    async def story() -> None:
        doing = asyncio.ensure_future(to_its_end(work))
        await asyncio.to_thread(begun.wait, 30)
        doing.cancel()
        await asyncio.sleep(0.05)
        assert not doing.done()
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await doing
        assert ended.is_set()

    asyncio.run(story())
