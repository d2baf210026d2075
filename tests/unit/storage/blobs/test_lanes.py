"""Steps that go on side by side: each in order, bounded, and over when the block is."""

import threading
from collections.abc import Iterator

import pytest

from aiosd.storage.blobs.lanes import AHEAD, side_by_side


def test_each_step_sees_every_window_in_order_and_the_results_come_together() -> None:
    seen: list[int] = []
    with side_by_side(range(50), seen.append, lambda window: window * 2) as passed:
        assert [(window, double) for window, (_, double) in passed] == [(window, window * 2) for window in range(50)]
    assert seen == list(range(50))


def test_no_more_windows_are_read_than_are_good_together() -> None:
    read = 0

    def windows() -> Iterator[int]:
        nonlocal read
        while read < 20:
            read += 1
            yield read

    with side_by_side(windows(), str) as passed:
        for window, _ in passed:
            assert read <= window + AHEAD - 1


def test_a_step_that_fails_ends_the_pass_and_nothing_is_under_way_behind_it() -> None:
    def fails(window: int) -> None:
        if window == 2:
            raise OSError("no space")

    before, slow = threading.active_count(), threading.Event()
    with side_by_side(range(9), fails, lambda _: slow.wait(0.05)) as passed, pytest.raises(OSError, match="no space"):
        list(passed)
    assert threading.active_count() <= before


def test_whoever_stops_early_leaves_nothing_under_way() -> None:
    finished: list[int] = []
    before = threading.active_count()
    with side_by_side(range(9), finished.append) as passed:
        next(passed)
    assert finished == list(range(len(finished)))
    assert len(finished) <= AHEAD
    assert threading.active_count() <= before
