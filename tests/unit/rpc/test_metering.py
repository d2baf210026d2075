"""What a call costs the loop: its steps are timed, its waits are not, and it behaves as it would unmetered."""

import asyncio
import time

import pytest

from aiosd.rpc.metering import metered


def test_steps_count_and_waits_do_not() -> None:
    spent: list[float] = []

    async def work() -> str:
        until_s = time.perf_counter() + 0.05
        while time.perf_counter() < until_s:
            await asyncio.sleep(0)
        await asyncio.sleep(0.2)
        return "done"

    async def main() -> None:
        began_s = time.perf_counter()
        assert await metered(work(), spent.append) == "done"
        assert sum(spent) <= time.perf_counter() - began_s - 0.2 + 0.01

    asyncio.run(main())
    assert len(spent) > 10
    assert all(each >= 0 for each in spent)


def test_errors_and_cancellations_are_the_works_own() -> None:
    notes: list[str] = []

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            notes.append("cancelled")
            await asyncio.sleep(0)
            raise ZeroDivisionError from None

    async def main() -> None:
        task = asyncio.ensure_future(metered(work(), lambda _: None))  # type: ignore[arg-type]
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(ZeroDivisionError):
            await task

    asyncio.run(main())
    assert notes == ["cancelled"]
