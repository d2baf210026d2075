"""The gate by itself: whoever is refused in a loop turns slowly, streams rest when their user owes time, and nothing leaks."""

import asyncio

import pytest

from aiosd.access import rates
from aiosd.access.principal import Principal, Role
from aiosd.access.rates import Allowance, Rates
from aiosd.errors import AiosError, Denied, Exhausted, Unauthenticated
from aiosd.rpc import auth
from aiosd.rpc.auth import Call, Gate, NoTrail, caller, current, pace

ADA = Principal(1000, 1000, "ada", Role.USER)
PATH = "/aios.v1.Jobs/Get"


class Context:
    def peer(self) -> str:
        return "unix:"


class Answering:
    """Says the same of everybody."""

    def __init__(self, answer: Principal | AiosError) -> None:
        self.answer = answer

    async def principal(self, context: object) -> Principal:
        if isinstance(self.answer, AiosError):
            raise self.answer
        return self.answer


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long was slept; nobody really sleeps."""
    found: list[float] = []
    sleep = asyncio.sleep

    async def note(seconds: float) -> None:
        found.append(seconds)
        await sleep(0)

    monkeypatch.setattr(auth.asyncio, "sleep", note)
    return found


async def admitted(gate: Gate, path: str = PATH) -> Call:
    call = await gate.admit(path, Context())  # type: ignore[arg-type]
    assert call is not None
    return call


def test_strangers_are_refused_at_once_and_then_slowly(slept: list[float]) -> None:
    async def main() -> None:
        gate = Gate(Answering(Unauthenticated("who?")))
        for _ in range(int(auth.STRANGERS_BURST) + 20):
            with pytest.raises(Unauthenticated):
                await admitted(gate)
        assert 10 <= len(slept) <= 20
        assert set(slept) == {auth.LINGER_S}

    asyncio.run(main())


def test_not_all_that_are_refused_are_kept(slept: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "MOST_LINGERING", 3)

    async def main() -> None:
        gate = Gate(Answering(ADA), rates=Rates(Allowance(open_calls=0)))
        refused = await asyncio.gather(*(admitted(gate) for _ in range(10)), return_exceptions=True)
        assert all(isinstance(each, Exhausted) for each in refused)
        assert len(slept) == 3

    asyncio.run(main())


def test_what_is_denied_counts_as_a_call_and_stays_open_no_longer() -> None:
    async def main() -> None:
        limits = Rates(Allowance(open_calls=2))
        gate = Gate(Answering(ADA), rates=limits)
        for _ in range(20):
            with pytest.raises(Denied):
                await admitted(gate, "/aios.v1.Node/Stop")
        assert limits.enter(ADA.uid, 1.0, 0.0).refused == ""

    asyncio.run(main())


def test_what_one_user_is_denied_again_and_again_does_not_fill_the_trail() -> None:
    told: list[str] = []

    class Trail:
        def record(self, principal: Principal | None, method: str, object_: str, allowed: bool, detail: str = "") -> None:
            told.append(detail)

    async def main() -> None:
        gate = Gate(Answering(ADA), Trail(), Rates(Allowance(calls_per_s=1e6, burst=1e6)))
        for _ in range(300):
            with pytest.raises(Denied):
                await admitted(gate, "/aios.v1.Node/Stop")

    asyncio.run(main())
    assert rates.DENIALS_BURST <= len(told) < 200


def test_the_next_denial_that_is_written_down_says_how_many_were_not() -> None:
    account = Rates(Allowance())
    assert [account.denied("ada", 0.0) for _ in range(103)] == [0] * 100 + [-1] * 3
    assert account.denied("bob", 0.0) == 0
    assert [account.denied("ada", 2.0) for _ in range(3)] == [3, 0, -1]


def test_a_caller_who_leaves_while_it_waits_its_turn_gives_it_back() -> None:
    async def main() -> None:
        limits = Rates(Allowance(calls_per_s=1.0, burst=1.0, open_calls=2))
        gate = Gate(Answering(ADA), rates=limits)
        with await admitted(gate):
            waiting = asyncio.ensure_future(admitted(gate))
            await asyncio.sleep(0.01)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
        assert [limits.enter(ADA.uid, 0.0, 0.0).refused for _ in range(3)].count("") == 2

    asyncio.run(main())


def test_a_stream_rests_when_its_user_owes_time(slept: list[float]) -> None:
    async def main() -> None:
        gate = Gate(Answering(ADA), rates=Rates(Allowance(loop_share=0.1, loop_burst_s=0.1)))
        with await admitted(gate) as call:
            assert caller() == ADA
            assert current() is call
            await pace()
            assert not slept
            call.spend(0.3)
            await pace()
            assert len(slept) == 1
            assert 1.5 < slept[0] <= 2.0
            call.spend(1000.0)
            await pace()
            assert slept[1] == auth.LONGEST_REST_S

    asyncio.run(main())


def test_operators_are_neither_counted_nor_paced(slept: list[float]) -> None:
    async def main() -> None:
        gate = Gate(Answering(Principal(0, 0, "opa", Role.OPERATOR)), rates=Rates(Allowance(open_calls=0)))
        with await admitted(gate) as call:
            call.spend(1000.0)
            await pace()
            assert call.most_jobs(10_000) == 10_000
        assert not slept

    asyncio.run(main())


def test_outside_of_a_call_there_is_nothing_to_rest_for(slept: list[float]) -> None:
    asyncio.run(pace())
    assert not slept
    assert Call(ADA, "Jobs.Get", NoTrail()).most_jobs(5) == 5
