"""How much of the daemon one user's calls may take: calls a second, time on its one loop, and calls open at once.

Whoever takes more is made to wait, so that a loop of calls becomes slow and not wrong; only who would wait too long is refused.
"""

from collections.abc import Hashable
from dataclasses import dataclass

DENIALS_PER_S, DENIALS_BURST = 1.0, 100.0  # of one user, that are written down one by one
MOST_REMEMBERED = 4096  # of users who call; those with nothing open and a full bucket are forgotten before


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What each user has. `loop_share` is the part of the daemon's time that the calls of one user may take, 0 to 1."""

    calls_per_s: float = 50.0
    burst: float = 200.0
    loop_share: float = 0.25
    loop_burst_s: float = 2.0
    open_calls: int = 200
    longest_wait_s: float = 10.0
    jobs_per_call: int = 1000  # submitted or steered; what a call leads to is one turn of the engine, which nothing interrupts


class Bucket:
    """Holds `burst` at most and gains `per_s`; it may be overdrawn, and the debt is time to wait."""

    __slots__ = ("_at_s", "_burst", "_level", "_per_s")

    def __init__(self, per_s: float, burst: float, now_s: float) -> None:
        self._per_s, self._burst = per_s, burst
        self._level, self._at_s = burst, now_s

    def take(self, amount: float, now_s: float) -> float:
        """Take `amount`, and say for how many seconds whoever takes it has to wait."""
        self._gain(now_s)
        self._level -= amount
        return max(0.0, -self._level / self._per_s)

    def give_back(self, amount: float) -> None:
        self._level = min(self._burst, self._level + amount)

    def is_full(self, now_s: float) -> bool:
        self._gain(now_s)
        return self._level >= self._burst

    def _gain(self, now_s: float) -> None:
        gained = max(0.0, now_s - self._at_s) * self._per_s
        self._level, self._at_s = min(self._burst, self._level + gained), max(now_s, self._at_s)


@dataclass(slots=True)
class Account:
    """What one user takes."""

    calls: Bucket
    loop: Bucket
    denials: Bucket
    open: int = 0
    denials_untold: int = 0


@dataclass(frozen=True, slots=True)
class Entry:
    """The answer to one who wants to call: after `wait_s`; or not at all, `refused` says why."""

    wait_s: float = 0.0
    refused: str = ""


class Rates:
    """The accounts of all who call; `key` tells them apart."""

    def __init__(self, allowance: Allowance) -> None:
        self.allowance = allowance
        self._accounts: dict[Hashable, Account] = {}

    def __len__(self) -> int:
        return len(self._accounts)

    def enter(self, key: Hashable, calls: float, now_s: float) -> Entry:
        """One call that counts as `calls`. When it is not refused, `leave` follows it."""
        allowed, account = self.allowance, self._account(key, now_s)
        if account.open >= allowed.open_calls:
            return Entry(refused=f"{account.open} calls are open at once, and that is the limit")
        wait_s = max(account.calls.take(calls, now_s), account.loop.take(0.0, now_s))
        if wait_s > allowed.longest_wait_s:
            account.calls.give_back(calls)
            return Entry(wait_s, f"more calls than {allowed.calls_per_s:g} a second, or more than {allowed.loop_share:.0%} of the daemon's time")
        account.open += 1
        return Entry(wait_s)

    def spend(self, key: Hashable, loop_s: float, now_s: float) -> None:
        """A call took so much of the loop's time."""
        self._account(key, now_s).loop.take(loop_s, now_s)

    def denied(self, key: Hashable, now_s: float) -> int:
        """How many denials since the last that was written down go unwritten before this one; -1: this one does too.

        What somebody may make happen as often as they like must not fill the disk with it.
        """
        account = self._account(key, now_s)
        if account.denials.take(1.0, now_s):
            account.denials.give_back(1.0)
            account.denials_untold += 1
            return -1
        untold, account.denials_untold = account.denials_untold, 0
        return untold

    def owed_s(self, key: Hashable, now_s: float) -> float:
        """For how long somebody has to rest who took more of the loop's time than is theirs."""
        return self._account(key, now_s).loop.take(0.0, now_s)

    def leave(self, key: Hashable) -> None:
        self._accounts[key].open -= 1

    def use(self, allowance: Allowance) -> None:
        """From now on; what is open stays counted."""
        self.allowance = allowance
        for account in self._accounts.values():
            account.calls, account.loop = self._buckets(0.0)

    def _account(self, key: Hashable, now_s: float) -> Account:
        account = self._accounts.get(key)
        if account is None:
            if len(self._accounts) >= MOST_REMEMBERED:
                self._forget(now_s)
            account = self._accounts[key] = Account(*self._buckets(now_s), Bucket(DENIALS_PER_S, DENIALS_BURST, now_s))
        return account

    def _buckets(self, now_s: float) -> tuple[Bucket, Bucket]:
        allowed = self.allowance
        return Bucket(allowed.calls_per_s, allowed.burst, now_s), Bucket(allowed.loop_share, allowed.loop_burst_s, now_s)

    def _forget(self, now_s: float) -> None:
        idle = [key for key, a in self._accounts.items() if not a.open and all(b.is_full(now_s) for b in (a.calls, a.loop, a.denials))]
        for key in idle:
            del self._accounts[key]
