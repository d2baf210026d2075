"""How long each user's runs held GPUs in the last 24 hours, runs that go on included."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from math import isfinite

SLOT_S = 900.0
SLOTS = 96  # of the last day, the one that goes on included
HOUR_MILLIS = 3600.0 * 1000


@dataclass(slots=True)
class _Account:
    """`slots`: thousandths of a GPU times seconds, by quarter of an hour since 1970; `running`: since when, how much."""

    slots: dict[int, float] = field(default_factory=dict)
    running: dict[Hashable, tuple[float, int]] = field(default_factory=dict)


class GpuLedger:
    """Times are of the wall clock; where it went backwards, nothing is used. What is older than a day by the quarter of an hour is forgotten.

    A user has few runs on GPUs at once, and at most a day of slots, so every call costs little.
    """

    def __init__(self) -> None:
        self._accounts: dict[str, _Account] = {}

    def begin(self, user: str, run: Hashable, gpu_millis: int, at_s: float) -> None:
        """A run begins to hold so much; `finish` is to follow."""
        self._accounts.setdefault(user, _Account()).running[run] = at_s, gpu_millis

    def finish(self, user: str, run: Hashable, at_s: float) -> None:
        """The run has ended; what it held is charged to the quarters of an hour in which it did."""
        account = self._accounts[user]
        since_s, gpu_millis = account.running.pop(run)
        first = _oldest(at_s)
        for slot in [slot for slot in account.slots if slot < first]:
            del account.slots[slot]
        for slot in range(max(first, _slot(since_s)), _slot(at_s) + 1):
            overlap_s = min(at_s, (slot + 1) * SLOT_S) - max(since_s, slot * SLOT_S)
            if overlap_s > 0:
                account.slots[slot] = account.slots.get(slot, 0.0) + overlap_s * gpu_millis

    def hours(self, user: str, now_s: float) -> float:
        """GPU hours of the last day until now."""
        account = self._accounts.get(user)
        if account is None:
            return 0.0
        first = _oldest(now_s)
        ended = sum(amount for slot, amount in account.slots.items() if slot >= first)
        going_on = sum(max(0.0, now_s - max(since_s, first * SLOT_S)) * gpu_millis for since_s, gpu_millis in account.running.values())
        return (ended + going_on) / HOUR_MILLIS

    def stored(self, user: str) -> dict[str, float]:
        """What has ended, for storage. Runs that go on are begun anew by whoever loads it."""
        account = self._accounts.get(user)
        return {str(slot): round(amount, 3) for slot, amount in account.slots.items()} if account is not None else {}

    def restore(self, user: str, stored: object) -> None:
        """What `stored` described; entries of another form are left out."""
        if not isinstance(stored, Mapping):
            return
        account = self._accounts.setdefault(user, _Account())
        for slot, amount in stored.items():
            if str(slot).isdecimal() and isinstance(amount, int | float) and isfinite(amount) and amount >= 0:
                account.slots[int(slot)] = float(amount)


def next_slot_in_s(now_s: float) -> float:
    """When the next quarter of an hour begins, and the oldest is forgotten."""
    return SLOT_S - now_s % SLOT_S


def _slot(at_s: float) -> int:
    return int(at_s // SLOT_S)


def _oldest(now_s: float) -> int:
    return _slot(now_s) - SLOTS + 1
