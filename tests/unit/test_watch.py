"""A feed: many followers, each at its own pace, none of whom misses a change or is given one twice; and those who wait for one."""

import asyncio
from contextlib import aclosing

import pytest

from aiosd.watch import Feed, Lagged, Waiters


async def take(feed: Feed[str], revision: int, count: int) -> list[tuple[int, str]]:
    taken = []
    async with aclosing(feed.follow(revision)) as changes:  # type: ignore[type-var]
        async for change in changes:
            taken.append(change)
            if len(taken) == count:
                return taken
    return taken


def test_followers_begin_anywhere_and_see_all_that_comes() -> None:
    async def scenario() -> None:
        feed: Feed[str] = Feed(10)
        for revision in (11, 13, 14):
            feed.publish(revision, str(revision))
        assert await take(feed, 10, 3) == [(11, "11"), (13, "13"), (14, "14")]
        assert await take(feed, 12, 2) == [(13, "13"), (14, "14")]
        late = asyncio.ensure_future(take(feed, 14, 2))
        await asyncio.sleep(0)
        for revision in (20, 21):
            feed.publish(revision, "x")
            feed.wake()
        assert await late == [(20, "x"), (21, "x")]

    asyncio.run(scenario())


def test_what_it_knows() -> None:
    feed: Feed[str] = Feed(10, capacity=2)
    assert feed.knows(10) and not feed.knows(9) and not feed.knows(11)
    for revision in (11, 12, 13):
        feed.publish(revision, "x")
    assert [r for r in range(9, 15) if feed.knows(r)] == [11, 12, 13]


def test_who_wants_what_is_no_longer_kept_is_told() -> None:
    async def scenario() -> None:
        feed: Feed[str] = Feed(0, capacity=2)
        slow = feed.follow(0)
        feed.publish(1, "a")
        assert await anext(slow) == (1, "a")
        for revision in range(2, 9):
            feed.publish(revision, "x")
        with pytest.raises(Lagged):
            await anext(slow)
        with pytest.raises(Lagged):
            await take(feed, 3, 1)

    asyncio.run(scenario())


def test_a_restart_tells_everybody_even_who_had_seen_all() -> None:
    async def scenario() -> None:
        feed: Feed[str] = Feed(0)
        feed.publish(1, "a")
        up_to_date = asyncio.ensure_future(take(feed, 1, 1))
        await asyncio.sleep(0)
        feed.restart(100)
        with pytest.raises(Lagged):
            await up_to_date
        assert not feed.knows(1) and feed.knows(100)

    asyncio.run(scenario())


def test_those_who_wait_are_told_once_and_those_who_give_up_are_forgotten() -> None:
    async def scenario() -> None:
        waiters: Waiters[str] = Waiters()
        first, second, other = waiters.next("a"), waiters.next("a"), waiters.next("b")
        second.cancel()
        await asyncio.sleep(0)
        assert len(waiters) == 2
        waiters.tell("a")
        waiters.tell("nobody waits for this")
        assert first.done() and not other.done() and len(waiters) == 1
        other.cancel()
        await asyncio.sleep(0)
        assert not waiters

    asyncio.run(scenario())
