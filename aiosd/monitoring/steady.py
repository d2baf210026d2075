"""Beliefs that one odd look does not change: a latch that needs several looks in a row, and a streak that knows since when."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

GAP_S = 30.0  # between two looks, after which nothing is known of what was in between

K = TypeVar("K", bound=Hashable)


@dataclass(slots=True)
class Latch:
    """On after `looks_on` looks in a row that say so, off again after `looks_off` that do not."""

    looks_on: int
    looks_off: int
    on: bool = False
    contrary: int = 0  # looks in a row that say the opposite

    def feed(self, seen: bool) -> bool:
        if seen is self.on:
            self.contrary = 0
            return self.on
        self.contrary += 1
        if self.contrary >= (self.looks_on if seen else self.looks_off):
            self.on, self.contrary = seen, 0
        return self.on

    @property
    def settled(self) -> bool:
        return self.contrary == 0


@dataclass(slots=True)
class Streak:
    """Something that was seen in each look since `since_s`."""

    since_s: float
    last_s: float
    looks: int = 1

    @property
    def lasts_s(self) -> float:
        return self.last_s - self.since_s


@dataclass(slots=True)
class Streaks(Generic[K]):
    """A streak for each of many things; after a gap it begins anew."""

    by_key: dict[K, Streak] = field(default_factory=dict)

    def seen(self, key: K, now_s: float) -> Streak:
        streak = self.by_key.get(key)
        if streak is None or now_s - streak.last_s > GAP_S:
            streak = self.by_key[key] = Streak(now_s, now_s)
        elif now_s > streak.last_s:
            streak.last_s = now_s
            streak.looks += 1
        return streak

    def drop(self, key: K) -> None:
        self.by_key.pop(key, None)

    def keep(self, wanted: Callable[[K], bool]) -> None:
        """Forget all others."""
        self.by_key = {key: streak for key, streak in self.by_key.items() if wanted(key)}
