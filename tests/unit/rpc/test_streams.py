"""Generators are closed when their block ends, and an interruption is told apart from a client that has gone."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from aiosd.errors import Unavailable
from aiosd.rpc.streams import OpenCalls, closing


def test_closing_closes_at_once_whatever_happens() -> None:
    closed: list[str] = []

    async def numbers(name: str) -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            closed.append(name)

    async def main() -> None:
        async with closing(numbers("left early")) as items:
            assert await anext(items) == 1
        assert closed == ["left early"]
        with suppress(ZeroDivisionError):
            async with closing(numbers("failed")) as items:
                await anext(items)
                raise ZeroDivisionError
        assert closed == ["left early", "failed"]

    asyncio.run(main())


def test_what_is_open_is_interrupted_and_nothing_more_is_opened() -> None:
    async def main() -> None:
        calls, entered = OpenCalls(), asyncio.Event()

        async def lasting() -> None:
            with calls.one():
                entered.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(lasting())
        await entered.wait()
        assert len(calls) == 1
        calls.interrupt()
        calls.interrupt()  # again, for nothing
        with pytest.raises(Unavailable, match="stopping"):
            await task
        assert len(calls) == 0
        with pytest.raises(Unavailable, match="stopping"):
            await lasting()

    asyncio.run(main())


def test_a_client_that_has_gone_is_a_cancellation_even_while_stopping() -> None:
    async def main() -> None:
        calls = OpenCalls()

        async def lasting() -> None:
            with calls.one():
                await asyncio.Event().wait()

        gone, both = asyncio.create_task(lasting()), asyncio.create_task(lasting())
        await asyncio.sleep(0)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        both.cancel()
        calls.interrupt()
        with pytest.raises(asyncio.CancelledError):
            await both

    asyncio.run(main())


def test_a_call_that_goes_on_after_its_interruption_can_still_await() -> None:
    async def main() -> None:
        calls = OpenCalls()

        async def lasting() -> str:
            try:
                with calls.one():
                    await asyncio.Event().wait()
            except Unavailable:
                await asyncio.sleep(0)  # as sending the status does
                return "told"
            return "not interrupted"

        task = asyncio.create_task(lasting())
        await asyncio.sleep(0)
        calls.interrupt()
        assert await task == "told"

    asyncio.run(main())
