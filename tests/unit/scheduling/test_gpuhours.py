"""GPU hours of the last day: as an exact sum has them, over restarts, jumps of the clock and midnights."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiosd.scheduling.gpuhours import HOUR_MILLIS, SLOT_S, SLOTS, GpuLedger, next_slot_in_s

NOW_S = 1_700_000_100.0
HOUR_S = 3600.0


def test_a_run_counts_as_it_goes_and_stays_counted_for_a_day() -> None:
    ledger = GpuLedger()
    ledger.begin("ada", 1, 2000, NOW_S)
    assert ledger.hours("ada", NOW_S) == 0.0
    assert ledger.hours("ada", NOW_S + HOUR_S) == pytest.approx(2.0)
    ledger.finish("ada", 1, NOW_S + 2 * HOUR_S)
    assert ledger.hours("ada", NOW_S + 2 * HOUR_S) == pytest.approx(4.0)
    assert ledger.hours("ada", NOW_S + 23 * HOUR_S) == pytest.approx(4.0)
    assert 0 < ledger.hours("ada", NOW_S + 25 * HOUR_S) < 4.0
    assert ledger.hours("ada", NOW_S + 26.1 * HOUR_S) == 0.0
    assert ledger.hours("bob", NOW_S) == 0.0


def test_a_run_of_many_days_counts_one_day() -> None:
    ledger = GpuLedger()
    ledger.begin("ada", 1, 1000, NOW_S)
    at_s = NOW_S + 10 * 24 * HOUR_S
    assert 23.7 < ledger.hours("ada", at_s) <= 24.0
    ledger.finish("ada", 1, at_s)
    assert 23.7 < ledger.hours("ada", at_s) <= 24.0
    assert len(ledger.stored("ada")) <= SLOTS


def test_what_ended_is_there_after_a_restart_and_nonsense_is_left_out() -> None:
    ledger = GpuLedger()
    ledger.begin("ada", 1, 1500, NOW_S)
    ledger.finish("ada", 1, NOW_S + 5000)
    again = GpuLedger()
    again.restore("ada", ledger.stored("ada"))
    assert again.hours("ada", NOW_S + 6000) == pytest.approx(ledger.hours("ada", NOW_S + 6000))
    for nonsense in (None, [], {"x": 1}, {"5": "y"}, {"5": float("nan")}, {"5": -1}):
        again.restore("bob", nonsense)
    assert again.hours("bob", NOW_S) == 0.0


def test_a_clock_that_goes_back_uses_nothing() -> None:
    ledger = GpuLedger()
    ledger.begin("ada", 1, 1000, NOW_S)
    assert ledger.hours("ada", NOW_S - 500) == 0.0
    ledger.finish("ada", 1, NOW_S - 500)
    assert ledger.hours("ada", NOW_S) == 0.0


@settings(deadline=None)
@given(st.floats(0, 2e9))
def test_the_next_slot_is_at_most_a_slot_away(now_s: float) -> None:
    assert 0 < next_slot_in_s(now_s) <= SLOT_S


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 40 * HOUR_S), st.floats(0, 30 * HOUR_S), st.sampled_from([100, 500, 1000, 8000])), max_size=8),
    st.floats(0, 80 * HOUR_S),
)
def test_it_is_the_integral_over_the_slots_of_the_last_day(runs: list[tuple[float, float, int]], until_s: float) -> None:
    now_s = NOW_S + until_s
    window_s = ((now_s // SLOT_S) - SLOTS + 1) * SLOT_S
    ledger, expected = GpuLedger(), 0.0
    for nth, (begin_s, length_s, millis) in enumerate(sorted(runs)):
        begun_s, ended_s = NOW_S + begin_s, NOW_S + begin_s + length_s
        if begun_s > now_s:
            continue
        ledger.begin("ada", nth, millis, begun_s)
        if ended_s <= now_s:
            ledger.finish("ada", nth, ended_s)
        expected += max(0.0, min(ended_s, now_s) - max(begun_s, window_s)) * millis / HOUR_MILLIS
    assert ledger.hours("ada", now_s) == pytest.approx(expected, abs=1e-4)
