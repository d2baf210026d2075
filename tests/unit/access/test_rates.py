"""Allowances: who takes more waits, who would wait too long is refused, and nobody pays for another."""

from hypothesis import given, settings
from hypothesis import strategies as st

from aiosd.access.rates import MOST_REMEMBERED, Allowance, Bucket, Rates

ALLOWED = Allowance(calls_per_s=10.0, burst=5.0, loop_share=0.5, loop_burst_s=1.0, open_calls=3, longest_wait_s=2.0)


def test_a_bucket_gives_its_burst_at_once_and_then_makes_wait() -> None:
    bucket = Bucket(10.0, 5.0, 0.0)
    assert [bucket.take(1.0, 0.0) for _ in range(7)] == [0.0] * 5 + [0.1, 0.2]
    assert bucket.take(1.0, 0.3) == 0.0  # three came in, two were owed
    assert not bucket.is_full(0.4)
    assert bucket.is_full(10.0)
    bucket.give_back(100.0)
    assert [bucket.take(1.0, 10.0) for _ in range(6)][-1] > 0.0  # never more than a burst


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0, 3), st.floats(0, 5)), max_size=40))
def test_no_more_is_taken_without_a_wait_than_burst_and_rate_allow(steps: list[tuple[float, float]]) -> None:
    bucket, now_s, taken = Bucket(10.0, 5.0, 0.0), 0.0, 0.0
    for amount, pause_s in steps:
        now_s += pause_s
        wait_s = bucket.take(amount, now_s)
        taken += amount
        assert taken <= 5.0 + 10.0 * (now_s + wait_s) + 1e-6
        now_s += wait_s


def test_a_clock_that_stands_still_or_goes_back_gives_nothing() -> None:
    bucket = Bucket(10.0, 1.0, 100.0)
    assert bucket.take(1.0, 100.0) == 0.0
    assert bucket.take(1.0, 50.0) == 0.1
    assert bucket.take(0.0, 100.0) == 0.1


def test_calls_beyond_the_rate_wait_their_turn_and_then_are_refused() -> None:
    rates = Rates(ALLOWED)
    waits = []
    for _ in range(100):
        entry = rates.enter("ada", 1.0, 0.0)
        if entry.refused:
            break
        waits.append(entry.wait_s)
        rates.leave("ada")
    assert len(waits) == 25  # a burst of 5, and what 2 s of waiting bring
    assert waits == sorted(waits)
    assert "10 a second" in entry.refused
    assert rates.enter("ada", 1.0, 0.0).refused  # a refusal costs nothing and changes nothing
    assert not rates.enter("bob", 1.0, 0.0).wait_s  # and is nobody else's
    assert not rates.enter("ada", 1.0, 1.0).refused


def test_time_on_the_loop_counts_too() -> None:
    rates = Rates(ALLOWED)
    assert not rates.enter("ada", 1.0, 0.0).wait_s
    rates.spend("ada", 1.5, 0.0)
    rates.leave("ada")
    assert rates.enter("ada", 1.0, 0.0).wait_s == 1.0  # half a second too much, at half of the time
    rates.spend("ada", 3.0, 0.0)
    assert "50% of the daemon's time" in rates.enter("ada", 1.0, 0.0).refused


def test_open_calls_are_counted() -> None:
    rates = Rates(ALLOWED)
    assert [rates.enter("ada", 1.0, 0.0).refused for _ in range(3)] == ["", "", ""]
    assert "3 calls are open" in rates.enter("ada", 1.0, 0.0).refused
    rates.leave("ada")
    assert not rates.enter("ada", 1.0, 0.0).refused


def test_another_allowance_holds_at_once_and_forgets_nothing_that_is_open() -> None:
    rates = Rates(ALLOWED)
    rates.enter("ada", 5.0, 0.0)
    rates.use(Allowance(calls_per_s=1000.0, burst=1000.0, open_calls=2))
    assert not rates.enter("ada", 500.0, 0.0).wait_s
    assert "2 calls are open" in rates.enter("ada", 1.0, 0.0).refused


def test_those_who_call_no_more_are_forgotten() -> None:
    rates = Rates(ALLOWED)
    rates.enter("stays", 1.0, 0.0)
    for number in range(3 * MOST_REMEMBERED):
        rates.enter(number, 1.0, number * 10.0)
        rates.leave(number)
    assert len(rates) <= MOST_REMEMBERED
    rates.leave("stays")  # what is open is never forgotten
