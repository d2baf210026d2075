"""Parts of the machine that are kept for somebody for some time, and what that leaves to the others."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf

from aiosd.resources.accelerators import part_memory
from aiosd.resources.amounts import Amounts
from aiosd.resources.grant import Grant
from aiosd.resources.inventory import Device, Inventory
from aiosd.resources.kinds import is_model
from aiosd.resources.pool import Pool
from aiosd.resources.processors import WHOLE
from aiosd.resources.request import DeviceRequest, Request


@dataclass(frozen=True, slots=True)
class Reservation:
    """`users` as it was asked for, "@group" among them; `members`: the names that this meant when it was made."""

    id: int
    from_s: float  # wall
    until_s: float
    users: tuple[str, ...]
    members: frozenset[str]
    request: Request
    reason: str = ""
    created_by: str = ""

    def at(self, moment_s: float) -> bool:
        return self.from_s <= moment_s < self.until_s


@dataclass(frozen=True, slots=True)
class Holding:
    """What a run has, and until when at most; wall, inf: nobody knows."""

    user: str
    grant: Grant
    ends_s: float = inf


@dataclass(slots=True)
class _Moment:
    """One beginning of a reservation (or now), and what the runs that may go on until then hold at it."""

    at_s: float
    active: Sequence[Reservation]
    held: dict[str, Amounts] = field(default_factory=lambda: defaultdict(Amounts))  # by user
    total: Amounts = field(default_factory=Amounts)
    claims: dict[int, Amounts] | None = None  # by reservation: what is to be kept free of it; None: to be worked out
    chosen: dict[int, list[str]] = field(default_factory=dict)  # the devices of each
    short: set[int] = field(default_factory=set)  # of which not all can be had

    def add(self, user: str, grant: Grant) -> None:
        self.held[user].add(grant)
        self.total.add(grant)
        self.claims = None


class Keeper:
    """What has to be left free by whom, as runs begin during a pass.

    A job that may still run when a reservation of others is in force must leave what is reserved and not yet used by those it
    is for. What is used by runs that end before counts as free then, so that nothing idles for a reservation without need.
    """

    def __init__(
        self,
        reservations: Iterable[Reservation],
        holdings: Iterable[Holding],
        inventory: Inventory,
        now_s: float,
        liked: Mapping[int, Sequence[str]] | None = None,
    ) -> None:
        """`liked`: the devices that a reservation had so far."""
        self._reservations = sorted((r for r in reservations if r.until_s > now_s), key=lambda r: r.id)
        self._now_s = now_s
        self._inventory = inventory
        self._devices = [device for device in inventory.devices if device.usable]
        self._liked = liked or {}
        self._held_now = Amounts()
        self._idle: tuple[Keeper, Pool] | None = None
        times = sorted({max(now_s, r.from_s) for r in self._reservations})
        self._moments = [_Moment(at_s, [r for r in self._reservations if r.at(at_s)]) for at_s in times]
        self._holdings = list(holdings)
        for holding in self._holdings:
            self._hold(holding.user, holding.grant, holding.ends_s)

    @property
    def reservations(self) -> Sequence[Reservation]:
        """Those that are not over."""
        return self._reservations

    def started(self, user: str, lasts_s: float, grant: Grant) -> None:
        """A run has begun; it ends after `lasts_s` at the latest, 0: nobody knows when."""
        self._holdings.append(Holding(user, grant, self._now_s + lasts_s if lasts_s else inf))
        self._hold(user, grant, self._holdings[-1].ends_s)

    def without(self, gone: Iterable[tuple[str, Grant]]) -> "Keeper":
        """What would have to be left free if these (users and what they hold) ended now."""
        left = Counter((user, grant) for user, grant in gone)
        kept = []
        for holding in self._holdings:
            if left[holding.user, holding.grant] > 0:
                left[holding.user, holding.grant] -= 1
            else:
                kept.append(holding)
        return Keeper(self._reservations, kept, self._inventory, self._now_s, self._liked)

    def _hold(self, user: str, grant: Grant, ends_s: float) -> None:
        self._held_now.add(grant)
        for moment in self._moments:
            if ends_s > moment.at_s or moment.at_s <= self._now_s:
                moment.add(user, grant)

    def binding(self, user: str, lasts_s: float) -> tuple[int, ...]:
        """The reservations that a job of this user must respect if it starts now."""
        ends_s = self._now_s + lasts_s if lasts_s else inf
        return tuple(r.id for r in self._reservations if user not in r.members and max(r.from_s, self._now_s) < ends_s)

    def kept(self, binding: Sequence[int]) -> Amounts:
        """What of the pool as it is now is not for a job that these reservations bind."""
        kept = Amounts()
        for moment in self._moments:
            if not any(r.id in binding for r in moment.active):
                continue
            needed = Amounts()
            for number, claim in self._claims(moment).items():
                if number in binding:
                    needed.add(claim)
            needed.subtract(self._held_now.without(moment.total))
            kept.raise_to(needed)
        return kept

    def claims(self, binding: Sequence[int]) -> Iterator[tuple[float, float, Amounts]]:
        """From when until when these reservations keep how much, as far as those they are for do not use it already."""
        for moment in self._moments:
            for reservation in moment.active:
                if reservation.id in binding and moment.at_s == max(reservation.from_s, self._now_s):
                    yield moment.at_s, reservation.until_s, self._claims(moment)[reservation.id]

    def hopeless(self, binding: Sequence[int], request: Request) -> bool:
        """Whether these reservations leave no room for the request even on an idle machine."""
        if self._idle is None:
            self._idle = Keeper(self._reservations, (), self._inventory, self._now_s), Pool(self._inventory)
        keeper, pool = self._idle
        with pool.trial():
            pool.keep(keeper.kept(binding))
            return pool.take(request) is None

    def short(self) -> Mapping[int, float]:
        """The reservations of which something is held by others who may not have ended then, and when that is."""
        found: dict[int, float] = {}
        for moment in self._moments:
            self._claims(moment)
            for number in moment.short:
                found.setdefault(number, moment.at_s)
        return found

    def named(self, binding: Sequence[int], resource: str) -> int:
        """Of these reservations the first that has some of what is short."""
        kind = resource.removesuffix(" memory").partition(":")[0]
        having = (r.id for r in self._reservations if r.id in binding and kind in {"cpu", "memory", "disk"} | {wish.kind for wish in r.request.devices})
        return next(having, binding[0])

    @property
    def chosen(self) -> Mapping[int, Sequence[str]]:
        """The devices of the reservations that are in force now."""
        if not self._moments or self._moments[0].at_s > self._now_s:
            return {}
        self._claims(self._moments[0])
        return self._moments[0].chosen

    def _claims(self, moment: _Moment) -> Mapping[int, Amounts]:
        if moment.claims is None:
            moment.claims, moment.short = {}, set()
            left = {user: held.copy() for user, held in moment.held.items()}  # what is not yet counted for a reservation
            taken = Amounts()  # what earlier ones claim
            for reservation in moment.active:
                moment.claims[reservation.id] = self._claim(moment, reservation, left, taken)
            self._note_short_amounts(moment)
        return moment.claims

    def _claim(self, moment: _Moment, reservation: Reservation, left: Mapping[str, Amounts], taken: Amounts) -> Amounts:
        """What of a reservation its users do not use: that is to be kept free."""
        request = reservation.request
        claim = Amounts(request.cpu_millis, request.memory_bytes, request.disk_bytes)
        own = Amounts()
        for user in sorted(reservation.members & left.keys()):
            own.add(left[user])
        chosen: list[str] = []
        for wish in request.devices:
            chosen += self._choose(moment, reservation, wish, own, taken, claim)
        moment.chosen[reservation.id] = chosen
        for user in sorted(reservation.members & left.keys()):
            used = left[user].common(claim)
            claim.subtract(used)
            left[user].subtract(used)
        taken.add(claim)
        return claim

    def _choose(self, moment: _Moment, reservation: Reservation, wish: DeviceRequest, own: Amounts, taken: Amounts, claim: Amounts) -> list[str]:
        """Add devices for one wish to the claim: those that its users have, then what is free, rather what others still use for a while."""
        liked = self._liked.get(reservation.id, ())
        part = min(wish.millis, WHOLE)

        def room(device: Device) -> int:
            others = moment.total.millis_of(device.id) - own.millis_of(device.id)
            return WHOLE - others - taken.millis_of(device.id) - claim.millis_of(device.id)

        def rank(device: Device) -> tuple[bool, int, bool, bool, int]:
            soon_free = self._held_now.millis_of(device.id) > moment.total.millis_of(device.id)
            used = min(own.millis_of(device.id) - claim.millis_of(device.id), part)
            return room(device) < part, -max(0, used), not soon_free, device.id not in liked, device.index

        count, got = max(1, wish.millis // WHOLE), 0
        best = [device for device in sorted(filter(lambda d: _fits(d, wish), self._devices), key=rank) if room(device) > 0][:count]
        for device in best:
            millis = min(part, room(device))
            got += millis
            memory_bytes = device.memory_bytes if part == WHOLE else part_memory(device, wish)
            claim.add_device(device.id, millis, memory_bytes * millis // part)
        if got < part * count:
            moment.short.add(reservation.id)
        return [device.id for device in best]

    def _note_short_amounts(self, moment: _Moment) -> None:
        """Whether the processors, memory and disk that are still claimed are free."""
        assert moment.claims is not None
        wanted = Amounts()
        for number, claim in moment.claims.items():
            wanted.add(claim)
            if (
                wanted.cpu_millis > max(0, self._inventory.cpu_millis - moment.total.cpu_millis)
                or wanted.memory_bytes > max(0, self._inventory.memory_bytes - moment.total.memory_bytes)
                or wanted.disk_bytes > max(0, self._inventory.disk_bytes - moment.total.disk_bytes)
            ):
                moment.short.add(number)


def _fits(device: Device, wish: DeviceRequest) -> bool:
    return device.kind == wish.kind and device.memory_bytes >= wish.memory_bytes and is_model(wish.model, device.model)


def beside(reservation: Reservation, others: Iterable[Reservation], inventory: Inventory) -> float | None:
    """The first moment at which this one and the others would together ask for more than the machine has; None: never."""
    overlapping = [r for r in (*others, reservation) if r.from_s < reservation.until_s and reservation.from_s < r.until_s]
    for at_s in sorted({max(r.from_s, reservation.from_s) for r in overlapping}):
        pool = Pool(inventory.promise)
        if any(pool.take(r.request) is None for r in overlapping if r.at(at_s)):
            return at_s
    return None


def everything(inventory: Inventory) -> Request:
    """A request of the whole machine, spelt out."""
    kinds: dict[str, int] = defaultdict(int)
    for device in inventory.devices:
        kinds[device.kind] += WHOLE * device.promised
    wishes = tuple(DeviceRequest(kind, millis) for kind, millis in sorted(kinds.items()) if millis)
    return Request(inventory.cpu_millis, inventory.memory_bytes, wishes, inventory.disk_bytes)
