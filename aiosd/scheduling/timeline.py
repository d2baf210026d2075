"""How much of the machine is free at which time: what is expected to be given back, less what is promised to those that wait."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate
from math import inf, nextafter
from operator import itemgetter
from typing import NamedTuple

from aiosd.resources.accelerators import part_memory
from aiosd.resources.amounts import Amounts
from aiosd.resources.grant import DeviceGrant, Grant
from aiosd.resources.inventory import Device
from aiosd.resources.pool import Pool
from aiosd.resources.processors import WHOLE
from aiosd.resources.request import DeviceRequest, Request


class Steps:
    """An amount over time: `values[i]` from `times[i]` on, until the next. All questions and promises are about times from `times[0]` on."""

    __slots__ = ("_lowest", "_rising", "times", "values")

    def __init__(self, times: list[float], values: list[int], *, rising: bool = False) -> None:
        """`rising`: no value is below the one before."""
        self.times = times
        self.values = values
        self._rising = rising
        self._lowest: list[int] | None = None

    def copy(self) -> "Steps":
        return Steps(self.times.copy(), self.values.copy(), rising=self._rising)

    @property
    def now(self) -> int:
        return self.values[0]

    def lowest_until(self, until_s: float) -> int:
        """The least that is free from the beginning until then."""
        if self._rising or len(self.values) == 1:
            return self.values[0]
        if self._lowest is None:
            self._lowest = list(accumulate(self.values, min))
        return self._lowest[max(0, bisect_left(self.times, until_s) - 1)]

    def lowest(self, from_s: float, until_s: float) -> int:
        """The least that is free between the two."""
        first = bisect_right(self.times, from_s) - 1
        if self._rising:
            return self.values[first]
        return min(self.values[first : max(first + 1, bisect_left(self.times, until_s))])

    def first(self, from_s: float, lasts_s: float, amount: int) -> float:
        """The first time, not before `from_s`, from which so much is free for so long; inf: there is none."""
        times, values = self.times, self.values
        at, count = bisect_right(times, from_s) - 1, len(values)
        if self._rising:
            at = max(at, bisect_left(values, amount))
            return max(from_s, times[at]) if at < count else inf
        while True:
            while at < count and values[at] < amount:
                at += 1
            if at == count:
                return inf
            start_s = times[at] if times[at] > from_s else from_s
            end_s, at = start_s + lasts_s, at + 1
            while at < count and values[at] >= amount and times[at] < end_s:
                at += 1
            if at == count or times[at] >= end_s:
                return start_s

    def take(self, from_s: float, until_s: float, amount: int) -> None:
        """So much less between the two."""
        if amount:
            first, end = self._split(from_s), self._split(until_s)
            self.values[first:end] = [value - amount for value in self.values[first:end]]
            self._rising = False
            self._lowest = None

    def _split(self, at_s: float) -> int:
        """The place of the step that begins then, made where there is none."""
        if at_s == inf:
            return len(self.times)
        at = bisect_left(self.times, at_s)
        if at == len(self.times) or self.times[at] != at_s:
            self.times.insert(at, at_s)
            self.values.insert(at, self.values[at - 1])
        return at


def _rising(times: Sequence[float], values: Iterable[int]) -> Steps:
    """Of what comes at the same time all at once."""
    steps = dict(zip(times, values, strict=True))
    return Steps(list(steps), list(steps.values()), rising=True)


class Release(NamedTuple):
    """What comes back when a run ends; wall."""

    at_s: float
    cpu_millis: int
    memory_bytes: int
    disk_bytes: int
    devices: tuple[DeviceGrant, ...]


def release_of(grant: Grant, at_s: float) -> Release:
    return Release(at_s, grant.cpu_millis, grant.memory_bytes, grant.disk_bytes, grant.devices)


class Place(NamedTuple):
    """Where and when there is room for a request."""

    at_s: float
    amounts: Amounts


class Timeline:
    """The machine from now on. Processors are an amount: which of them is decided when a run begins; devices are told apart."""

    def __init__(self, now_s: float, pool: Pool, releases: Iterable[Release]) -> None:
        """`releases`: of runs that hold what the pool has given out; those at inf never come. What is due already comes as good as now."""
        self.now_s = now_s
        self._soon_s = nextafter(now_s, inf)
        self._pool = pool
        self._coming = sorted((r for r in releases if r.at_s < inf), key=itemgetter(0))
        times = [now_s, *(max(self._soon_s, r.at_s) for r in self._coming)]
        cpu_millis, memory_bytes, disk_bytes = pool.free_amounts
        self.cpu = _rising(times, accumulate((r.cpu_millis for r in self._coming), initial=cpu_millis))
        self.memory = _rising(times, accumulate((r.memory_bytes for r in self._coming), initial=memory_bytes))
        self.disk = _rising(times, accumulate((r.disk_bytes for r in self._coming), initial=disk_bytes))
        self._by_device: dict[str, tuple[Steps, Steps]] | None = None  # thousandths and bytes; None: nobody has asked for devices yet
        self._known: dict[DeviceRequest, list[_Room]] = {}

    def copy(self) -> "Timeline":
        """The same, to be changed by itself."""
        other = object.__new__(Timeline)
        other.now_s, other._soon_s, other._pool, other._coming = self.now_s, self._soon_s, self._pool, self._coming.copy()
        other.cpu, other.memory, other.disk = self.cpu.copy(), self.memory.copy(), self.disk.copy()
        other._known = {}
        known = self._by_device
        other._by_device = None if known is None else {device_id: (millis.copy(), memory.copy()) for device_id, (millis, memory) in known.items()}
        return other

    @property
    def _devices(self) -> dict[str, tuple[Steps, Steps]]:
        if self._by_device is None:
            free = self._pool.free_devices
            self._by_device = {part.device_id: (Steps([self.now_s], [part.millis]), Steps([self.now_s], [part.memory_bytes])) for part in free}
            for release in self._coming:
                for part in release.devices:
                    self._change_device(part.device_id, max(self._soon_s, release.at_s), inf, -part.millis, -part.memory_bytes)
        return self._by_device

    def begin(self, grant: Grant, until_s: float) -> None:
        """The pool has given this to a run that is expected to end then."""
        self._take_scalars(self.now_s, until_s, grant.cpu_millis, grant.memory_bytes, grant.disk_bytes)
        if not grant.devices:
            return
        if self._by_device is None:
            if until_s < inf:
                self._coming.append(release_of(grant, until_s))
            return
        for part in grant.devices:
            self._change_device(part.device_id, self.now_s, until_s, part.millis, part.memory_bytes)

    def promise(self, from_s: float, until_s: float, amounts: Amounts) -> None:
        """So much less between the two."""
        from_s = max(from_s, self.now_s)
        if until_s <= from_s:
            return
        self._take_scalars(from_s, until_s, amounts.cpu_millis, amounts.memory_bytes, amounts.disk_bytes)
        for device_id, (millis, memory_bytes) in amounts.devices.items():
            self._change_device(device_id, from_s, until_s, millis, memory_bytes)

    def _take_scalars(self, from_s: float, until_s: float, cpu_millis: int, memory_bytes: int, disk_bytes: int) -> None:
        self.cpu.take(from_s, until_s, cpu_millis)
        self.memory.take(from_s, until_s, memory_bytes)
        self.disk.take(from_s, until_s, disk_bytes)

    def _change_device(self, device_id: str, from_s: float, until_s: float, millis: int, memory_bytes: int) -> None:
        steps = self._devices.get(device_id)  # None: it is gone, or out of use
        if steps is not None:
            steps[0].take(from_s, until_s, millis)
            steps[1].take(from_s, until_s, memory_bytes)

    # From now on

    def fits_until(self, request: Request, until_s: float) -> bool:
        """Whether a run that begins now and ends then leaves what is promised of all but devices; of those see `kept_until`."""
        return (
            request.cpu_millis <= self.cpu.lowest_until(until_s)
            and request.memory_bytes <= self.memory.lowest_until(until_s)
            and request.disk_bytes <= self.disk.lowest_until(until_s)
        )

    def kept_until(self, until_s: float) -> Amounts:
        """What of all that is free now is not for a run that ends then."""
        cpu_millis, memory_bytes, disk_bytes = (max(0, steps.now - steps.lowest_until(until_s)) for steps in (self.cpu, self.memory, self.disk))
        kept = Amounts(cpu_millis, memory_bytes, disk_bytes)
        for device_id, (millis, memory) in (self._by_device or {}).items():
            parts = max(0, millis.now - millis.lowest_until(until_s)), max(0, memory.now - memory.lowest_until(until_s))
            if any(parts):
                kept.devices[device_id] = parts
        return kept

    # Later

    def place(self, request: Request, lasts_s: float) -> Place | None:
        """The first time at which the request can be had for so long, and of what; None: nobody can say when."""
        if request.exclusive:
            request = self._everything()
        at_s = self.now_s
        while at_s < inf:
            not_before_s = self._not_before(request, at_s, lasts_s)
            if not_before_s > at_s:
                at_s = not_before_s
                continue
            chosen = self._choose(request.devices, at_s, at_s + lasts_s) if request.devices else {}
            if chosen is not None:
                return Place(at_s, Amounts(request.cpu_millis, request.memory_bytes, request.disk_bytes, chosen))
            at_s = self._next_change(at_s)
        return None

    def _not_before(self, request: Request, at_s: float, lasts_s: float) -> float:
        """No resource alone is there before that; `at_s` where each of them is."""
        for steps, amount in ((self.cpu, request.cpu_millis), (self.memory, request.memory_bytes), (self.disk, request.disk_bytes)):
            if amount:
                at_s = steps.first(at_s, lasts_s, amount)
        for wish in request.devices:
            at_s = self._first_for(wish, at_s, lasts_s)
        return at_s

    def _everything(self) -> Request:
        """The whole machine, spelt out: nothing else may run on it."""
        inventory = self._pool.inventory
        wishes: dict[str, int] = {}
        for device in inventory.devices:
            if device.usable:
                wishes[device.kind] = wishes.get(device.kind, 0) + WHOLE
        devices = tuple(DeviceRequest(kind, millis) for kind, millis in wishes.items())
        return Request(inventory.cpu_millis, inventory.memory_bytes, devices, inventory.disk_bytes)

    def _rooms(self, wish: DeviceRequest) -> list["_Room"]:
        """The devices for this wish, and what it takes of each."""
        found = self._known.get(wish)
        if found is None:
            devices = self._devices
            known = ((device, devices[device.id]) for device in self._pool.matching(wish) if device.id in devices)
            found = self._known[wish] = [_Room(device.id, *steps, *_of_each(device, wish)) for device, steps in known]
        return found

    def _first_for(self, wish: DeviceRequest, from_s: float, lasts_s: float) -> float:
        """No device for this wish is there before that, were it the only one."""
        count = max(1, wish.millis // WHOLE)
        firsts = []
        for room in self._rooms(wish):
            at_s = room.steps.first(from_s, lasts_s, room.millis)
            if room.memory_bytes and at_s < inf:
                at_s = room.memory.first(at_s, lasts_s, room.memory_bytes)
            firsts.append(at_s)
            if at_s == from_s:
                count -= 1
                if not count:
                    return from_s
        later = sorted(at_s for at_s in firsts if at_s > from_s)
        return later[count - 1] if count <= len(later) else inf

    def _choose(self, wishes: Sequence[DeviceRequest], from_s: float, until_s: float) -> dict[str, tuple[int, int]] | None:
        """Devices for all wishes, rather those that are not free before, so that what is free now is left to others."""
        chosen = Amounts()
        for wish in sorted(wishes, key=lambda wish: (len(self._rooms(wish)), -wish.millis, -wish.memory_bytes)):
            fits: list[tuple[int, int, int, _Room]] = []
            for room in self._rooms(wish):
                taken, memory_taken = chosen.devices.get(room.device_id, (0, 0))
                free = room.steps.lowest(from_s, until_s) - taken
                if free >= room.millis and room.memory.lowest(from_s, until_s) - memory_taken >= room.memory_bytes:
                    fits.append((max(0, min(room.steps.now, room.millis)), free, len(fits), room))
            count = max(1, wish.millis // WHOLE)
            if len(fits) < count:
                return None
            for *_, room in sorted(fits)[:count]:
                chosen.add_device(room.device_id, room.millis, room.memory_bytes)
        return chosen.devices

    def _next_change(self, after_s: float) -> float:
        """When the next device is more or less free."""
        changes = (steps.times for both in self._devices.values() for steps in both)
        times = (times[at] for times in changes if (at := bisect_right(times, after_s)) < len(times))
        return min(times, default=inf)


class _Room(NamedTuple):
    """A device over time, and how much of it one wish takes."""

    device_id: str
    steps: Steps
    memory: Steps
    millis: int
    memory_bytes: int


def _of_each(device: Device, wish: DeviceRequest) -> tuple[int, int]:
    """Thousandths and bytes of one device that the wish takes."""
    if wish.millis >= WHOLE:
        return WHOLE, device.memory_bytes
    return wish.millis, part_memory(device, wish)
