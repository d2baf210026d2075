"""What each user has used of the machine under each account, in dominant share-seconds that fade with time."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import isfinite, log
from typing import NamedTuple

from aiosd.resources.grant import Grant
from aiosd.resources.inventory import Inventory
from aiosd.resources.request import Request

NOMINAL_S = 3600.0  # what a run that goes on is taken to use yet
HALF_LIFE_S = 7 * 86400.0


class Association(NamedTuple):
    """Whose usage it is: a user under one of its accounts; "": under none."""

    account: str
    user: str


def dominant_share(held: Request | Grant, inventory: Inventory) -> float:
    """The largest fraction of any one resource of the machine: in [0, 1] for whatever fits it.

    Source: Ghodsi et al., "Dominant Resource Fairness", NSDI 2011, section 4.
    """
    if isinstance(held, Request) and held.exclusive:
        return 1.0
    fractions = [
        _fraction(held.cpu_millis, inventory.cpu_millis),
        _fraction(held.memory_bytes, inventory.memory_bytes),
        _fraction(held.disk_bytes, inventory.disk_bytes),
    ]
    for kind in {device.kind for device in held.devices}:
        there = [device for device in inventory.devices if device.kind == kind]
        fractions.append(_fraction(sum(device.millis for device in held.devices if device.kind == kind), 1000 * len(there)))
        fractions.append(_fraction(_device_memory(held, kind), sum(device.memory_bytes for device in there)))
    return max(fractions)


def _device_memory(held: Request | Grant, kind: str) -> int:
    """Of all devices of a kind; a request names it for each device, and where it does not it is in proportion to what it has of them."""
    if isinstance(held, Grant):
        return sum(device.memory_bytes for device in held.devices if device.kind == kind)
    return sum(device.memory_bytes * -(-device.millis // 1000) for device in held.devices if device.kind == kind)


def _fraction(part: int, whole: int) -> float:
    return part / whole if whole > 0 else 0.0


@dataclass(slots=True)
class _Account:
    """`amount` is what was used until `at_s`, as it weighs there.

    For the runs that go on: `open_share` is the sum of their shares, `open_weight` the sum of share * 2**((begin - at_s) / half-life).
    """

    amount: float = 0.0
    at_s: float = 0.0
    open_share: float = 0.0
    open_weight: float = 0.0
    open_count: int = 0


class UsageLedger:
    """Usage by association with a half-life; every call costs the same, however many runs were or are counted.

    A run of share d from s to e weighs at `now` the integral of d * 2**((t - now) / half_life) over s..e.
    Times are of one clock; where it went backwards, nothing is used and nothing fades.
    """

    def __init__(self, half_life_s: float = HALF_LIFE_S) -> None:
        if half_life_s <= 0:
            raise ValueError(f"the half-life of usage must be positive, not {half_life_s} s")
        self._half_life_s = half_life_s
        self._accounts: dict[Association, _Account] = {}

    def begin(self, whose: Association, share: float, at_s: float) -> None:
        """A run begins to hold `share` of the machine; `finish` is to follow with the same share and time."""
        account = self._at(whose, at_s)
        account.open_share += share
        account.open_weight += share * self._fade(account.at_s - at_s)
        account.open_count += 1

    def finish(self, whose: Association, share: float, begun_at_s: float, at_s: float) -> None:
        """The run has ended; what it used is charged."""
        account = self._at(whose, at_s)
        account.open_share -= share
        account.open_weight -= share * self._fade(account.at_s - begun_at_s)
        account.open_count -= 1
        if account.open_count <= 0:
            account.open_share = account.open_weight = 0.0  # rounding must not pile up
            account.open_count = 0
        self.charge(whose, share, begun_at_s, at_s)

    def charge(self, whose: Association, dominant_share: float, from_s: float, to_s: float) -> None:
        """Add a run that is over."""
        account = self._at(whose, to_s)
        used = dominant_share * self._unit() * (1.0 - self._fade(to_s - from_s))
        account.amount += used * self._fade(account.at_s - to_s)

    def value(self, whose: Association, now_s: float) -> float:
        """Dominant share-seconds until now, what goes on included."""
        account = self._accounts.get(whose)
        if account is None:
            return 0.0
        fade = self._fade(now_s - account.at_s)
        going_on = self._unit() * max(0.0, account.open_share - account.open_weight * fade)
        return account.amount * fade + going_on

    def usage(self, now_s: float, of: Iterable[Association] | None = None) -> dict[Association, float]:
        """For `Snapshot.usage`: what was used, and a nominal hour more of all that goes on; of everybody, or of these alone.

        With it a pass that starts nothing new ranks the users as the pass did that started what runs.
        """
        asked = self._accounts if of is None else [whose for whose in of if whose in self._accounts]
        return {whose: self.value(whose, now_s) + NOMINAL_S * self._accounts[whose].open_share for whose in asked}

    def to_dict(self) -> dict[str, object]:
        """What has ended, for storage: [account, user, amount, at_s] each. Runs that go on are begun anew by whoever loads it."""
        return {"associations": [[*whose, account.amount, account.at_s] for whose, account in self._accounts.items() if account.amount > 1e-6]}

    @classmethod
    def from_dict(cls, stored: Mapping[str, object], half_life_s: float = HALF_LIFE_S) -> "UsageLedger":
        """The ledger that `to_dict` described; entries of another form are left out, for usage is no reason not to start.

        Before there were accounts it was {user: [amount, at_s]}: that was used under none.
        """
        ledger, rows = cls(half_life_s), stored.get("associations")
        if not isinstance(rows, list) or len(stored) != 1 or not all(isinstance(row, list) for row in rows):
            rows = [["", user, *entry] for user, entry in stored.items() if isinstance(entry, list)]
        for row in rows:
            match row:
                case [str() as account, str() as user, int() | float() as amount, int() | float() as at_s] if amount >= 0 and isfinite(amount + at_s):
                    ledger._accounts[Association(account, user)] = _Account(float(amount), float(at_s))
        return ledger

    def _at(self, whose: Association, at_s: float) -> _Account:
        """What is known of it, moved on to `at_s`; never back."""
        account = self._accounts.setdefault(whose, _Account(at_s=at_s))
        if at_s > account.at_s:
            fade = self._fade(at_s - account.at_s)
            account.amount *= fade
            account.open_weight *= fade
            account.at_s = at_s
        return account

    def _fade(self, elapsed_s: float) -> float:
        return float(2.0 ** (-max(0.0, elapsed_s) / self._half_life_s))

    def _unit(self) -> float:
        """The integral of the fading from the beginning of time: what a share of 1 tends to."""
        return self._half_life_s / log(2.0)
