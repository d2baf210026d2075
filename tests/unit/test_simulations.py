"""Who may simulate how much at once, and what of this machine goes into it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace

import pytest

from aiosd.errors import Exhausted, InvalidArgument
from aiosd.ids import JobId
from aiosd.jobs.job import Job, Phase
from aiosd.jobs.ports import Changes, Loaded
from aiosd.jobs.settings import JobsSettings
from aiosd.simulation.history import TITLES
from aiosd.simulations import _PAGE, Simulations
from tests.fakes.journal import FakeJournal
from tests.fakes.launcher import StillClock
from tests.unit.jobs.world import World, machine
from tests.unit.simulation.test_history import ENDED

Line = Mapping[str, object]


@dataclass
class FakeAside:
    """Takes what it is sent, and says one line, once `going_on` is set."""

    going_on: asyncio.Event = field(default_factory=asyncio.Event)
    asked: list[Line] = field(default_factory=list)
    sent: bytes = b""

    async def ask(self, request: Line, data: AsyncIterator[bytes]) -> AsyncIterator[Line]:
        self.asked.append(request)
        async for piece in data:
            self.sent += piece
        yield {"notes": []}
        await self.going_on.wait()
        yield {"outcome": {}}


def ended(number: int, submitted_at_s: float = 100.0) -> Job:
    return replace(ENDED, id=JobId(number), phase=Phase.SUCCEEDED, submitted_at_s=submitted_at_s, eligible_at_s=0.0)


def simulations(aside: FakeAside, journal: FakeJournal | None = None, at_once: int = 2, trace_bytes: int = 100) -> Simulations:
    settings = JobsSettings(policy="priority", shares={"ada": 2.0})
    state = World(machine(cpus=4, gpus=2), settings, loaded=Loaded((), (), {}, 1, 0)).engine.state
    return Simulations(aside, journal or FakeJournal(), lambda: state, StillClock(10_000.0), at_once, trace_bytes)


async def trace(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


def run(talk: Callable[[FakeAside], Awaitable[None]]) -> FakeAside:
    async def main() -> FakeAside:
        aside = FakeAside()
        await asyncio.wait_for(talk(aside), 30)
        return aside

    return asyncio.run(main())


def test_the_request_is_completed_with_this_machine() -> None:
    async def talk(aside: FakeAside) -> None:
        aside.going_on.set()
        lines = [line async for line in simulations(aside).simulate(1, {"source": "trace", "since_s": 5.0}, trace(b"a", b"b"))]
        assert lines == [{"notes": []}, {"outcome": {}}]

    aside = run(talk)
    assert aside.asked == [{"verb": "simulate", "source": "trace", "here": {"cpu_millis": 4000, "memory_bytes": 16 << 30, "gpus": 2}}]
    assert aside.sent == b"ab"


def test_rules_are_those_in_force() -> None:
    rules = simulations(FakeAside()).setup()
    assert (rules["policy"], rules["shares"]) == ("priority", {"ada": 2.0})
    assert {"backfill", "weights", "backfill_order"} <= rules["rules"].keys()  # type: ignore[attr-defined]
    assert "default" in rules["queues"]  # type: ignore[operator]


def test_one_of_each_user_and_so_many_in_all() -> None:
    async def talk(aside: FakeAside) -> None:
        offered = simulations(aside)
        async with aclosing(offered.simulate(1, {}, trace())) as first, aclosing(offered.simulate(2, {}, trace())) as second:
            await anext(first)
            await anext(second)
            with pytest.raises(Exhausted, match="a simulation of yours is going on already"):
                await anext(offered.simulate(1, {}, trace()))
            with pytest.raises(Exhausted, match="2 simulations are going on"):
                await anext(offered.forecast(3, {}))
        await anext(offered.simulate(1, {}, trace()))  # who left made room

    run(talk)


def test_none_where_none_is_allowed() -> None:
    async def talk(aside: FakeAside) -> None:
        with pytest.raises(Exhausted, match="0 simulations are going on"):
            await anext(simulations(aside, at_once=0).simulate(1, {}, trace()))

    run(talk)


def test_a_trace_that_is_too_large_is_refused() -> None:
    async def talk(aside: FakeAside) -> None:
        with pytest.raises(InvalidArgument, match="larger than 100 bytes"):
            await anext(simulations(aside).simulate(1, {}, trace(b"x" * 60, b"x" * 60)))

    run(talk)


@pytest.mark.parametrize(("since_s", "count"), [(0.0, _PAGE + 3), (100.0, 100)])
def test_history_is_all_that_ended_since(since_s: float, count: int) -> None:
    async def talk(aside: FakeAside) -> None:
        journal = FakeJournal()
        jobs = [ended(number, 10_000.0 - _PAGE - 3 + number) for number in range(1, _PAGE + 4)]
        await journal.commit(Changes(ended=jobs))
        aside.going_on.set()
        _ = [line async for line in simulations(aside, journal).forecast(1, {"since_s": since_s})]

    aside = run(talk)
    lines = aside.sent.decode().splitlines(keepends=True)
    assert lines[0] == TITLES
    assert abs(len(lines) - 1 - count) <= 1
    assert aside.asked[0]["verb"] == "forecast"


def test_no_history_is_a_table_without_lines() -> None:
    async def talk(aside: FakeAside) -> None:
        await anext(simulations(aside).simulate(1, {"source": "history"}, trace()))

    assert run(talk).sent == TITLES.encode()
