"""Latches and streaks."""

from hypothesis import given
from hypothesis import strategies as st

from aiosd.monitoring.steady import GAP_S, Latch, Streaks


@given(st.integers(1, 5), st.integers(1, 5), st.lists(st.booleans(), max_size=60))
def test_a_latch_turns_only_after_enough_looks_in_a_row(looks_on: int, looks_off: int, seen: list[bool]) -> None:
    latch = Latch(looks_on, looks_off)
    before = False
    for at, each in enumerate(seen):
        after = latch.feed(each)
        needed = looks_on if after else looks_off
        if after is not before:
            assert seen[at + 1 - needed : at + 1] == [after] * needed
        before = after
    if len(seen) >= 5 and len(set(seen[-5:])) == 1:
        assert latch.on is seen[-1] and latch.settled


def test_a_streak_ends_with_a_gap_and_one_moment_counts_once() -> None:
    streaks: Streaks[str] = Streaks()
    for now_s in (1.0, 2.0, 2.0, 4.0):
        streak = streaks.seen("a", now_s)
    assert (streak.looks, streak.lasts_s) == (3, 3.0)
    assert streaks.seen("a", 4.5 + GAP_S).looks == 1
    streaks.keep(lambda key: key != "a")
    assert streaks.by_key == {}
