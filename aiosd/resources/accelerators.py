"""Which devices are free, in thousandths and in bytes of their memory, and which of them a job should get."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from aiosd.resources.choosing import Chooser, bits, chooser_of
from aiosd.resources.grant import DeviceGrant
from aiosd.resources.inventory import Device, DeviceLink
from aiosd.resources.kinds import is_model
from aiosd.resources.processors import WHOLE
from aiosd.resources.request import DeviceRequest
from aiosd.resources.shortage import Shortage
from aiosd.resources.topology import places_of

_MODELS_REMEMBERED = 256  # models come from users: what is remembered about them must not grow for ever
_SETS_REMEMBERED = 1024

Near = Callable[[], Collection[int]]  # the NUMA nodes that a single device should be on; asked only where that matters


def nowhere() -> Collection[int]:
    """No NUMA node is better than another."""
    return ()


@dataclass(frozen=True, slots=True)
class _Match:
    """The devices of a kind and model: as bits, and those that may be handed out, with the least and most memory of one of the latter."""

    known: int
    usable: int
    least_memory_bytes: int
    most_memory_bytes: int


@dataclass(frozen=True, slots=True)
class _Set:
    """Whole devices that were granted together. `grants` is looked at before it is believed: an identity may be another's by now."""

    grants: tuple[DeviceGrant, ...]
    mask: int
    nodes: Sequence[int]  # of each device, where it is known


@dataclass(slots=True)
class _Kin:
    """Devices of which one is a part of another: while one side is held, nobody gets the other."""

    excludes: dict[str, int] = field(default_factory=lambda: defaultdict(int))  # by id: the bits of the other side
    holders: dict[str, int] = field(default_factory=lambda: defaultdict(int))  # by id: how many grants have some of it

    def blocked(self) -> int:
        found = 0
        for device_id, count in self.holders.items():
            found |= self.excludes[device_id] if count > 0 else 0
        return found


class Accelerators:
    """The free parts of each device. Those out of use are known, so that what is held of them can be returned, but never picked.

    A device is a bit: its place by kind, index and id. Untouched ones are bits of one integer; of the others, `_parts` has what is
    free where it is not nothing: below 0 where a changed machine has less than was given out.
    """

    def __init__(self, devices: Iterable[Device], links: Iterable[DeviceLink] = (), parents: Mapping[str, str] | None = None) -> None:
        """`parents`: of MIG instances that were here before and may still be held, the GPU."""
        self._devices = sorted(devices, key=lambda device: (device.kind, device.index, device.id))
        self._links = tuple(links)
        self._place = {device.id: place for place, device in enumerate(self._devices)}
        self._wholes = [_grant(device, WHOLE, device.memory_bytes) for device in self._devices]  # made once
        self._untouched = (1 << len(self._devices)) - 1
        self._parts: dict[int, tuple[int, int]] = {}
        self._matches: dict[tuple[str, str], _Match] = {}
        self._choosers: dict[str, tuple[int, Chooser]] = {}  # by kind, with the place of its first device
        self._grants: dict[int, tuple[DeviceGrant, ...]] = {}  # sets of whole devices that were granted before
        self._sets: dict[int, _Set] = {}  # and the same by the identity of such a tuple
        self.parents = {**(parents or {}), **{device.id: device.parent_id for device in self._devices if device.parent_id}}
        self._kin = self._related() if self.parents else None
        self._blocked = 0
        self._node_bits: dict[int, int] = defaultdict(int)
        for place, device in enumerate(self._devices):
            self._node_bits[device.numa_node] |= 1 << place

    def _related(self) -> _Kin:
        kin = _Kin()
        for child, parent in self.parents.items():
            kin.excludes[parent] |= 1 << self._place[child] if child in self._place else 0
            kin.excludes[child] |= 1 << self._place[parent] if parent in self._place else 0
        return kin

    def _match(self, kind: str, model: str = "") -> _Match:
        found = self._matches.get((kind, model))
        if found is not None:
            return found
        of_model = [(1 << place, device) for place, device in enumerate(self._devices) if device.kind == kind and is_model(model, device.model)]
        usable = [(bit, device) for bit, device in of_model if device.usable]
        sizes = [device.memory_bytes for _, device in usable] or [0]
        found = _Match(sum(bit for bit, _ in of_model), sum(bit for bit, _ in usable), min(sizes), max(sizes))
        if len(self._matches) >= _MODELS_REMEMBERED:
            self._matches.clear()
        self._matches[kind, model] = found
        return found

    def _candidates(self, wish: DeviceRequest) -> int:
        """The devices that may be handed out for a wish, by what they are, not by what is free of them."""
        match = self._match(wish.kind, wish.model)
        if wish.memory_bytes <= match.least_memory_bytes:
            return match.usable
        if wish.memory_bytes > match.most_memory_bytes:
            return 0
        return sum(1 << place for place in bits(match.usable) if self._devices[place].memory_bytes >= wish.memory_bytes)

    def devices_for(self, wish: DeviceRequest) -> list[Device]:
        """The devices that may be handed out for a wish, by index, be they free or not."""
        return [self._devices[place] for place in bits(self._candidates(wish))]

    def pick(self, wishes: Sequence[DeviceRequest], near: Near = nowhere) -> tuple[DeviceGrant, ...] | DeviceRequest:
        """Devices for all wishes, or the first wish that cannot be met now.

        The wish with the fewest candidates goes first, so that "any gpu" does not take the only A100 from its neighbour.
        A single device comes from the NUMA nodes `near`, where one is free. Nothing is changed when this returns.
        """
        if len(wishes) == 1:
            grants = self._pick_one(wishes[0], near)
            return wishes[0] if grants is None else grants
        picked: list[DeviceGrant] = []
        unmet: DeviceRequest | None = None
        for wish in sorted(wishes, key=self._urgency):
            grants = self._pick_one(wish, near)
            if grants is None:
                unmet = wish
                break
            self.change(grants, -1)  # the next wish must see it gone
            picked += grants
        self.change(picked, +1)
        return tuple(picked) if unmet is None else unmet

    def _urgency(self, wish: DeviceRequest) -> tuple[int, int, int]:
        return self._candidates(wish).bit_count(), -wish.millis, -wish.memory_bytes

    def _pick_one(self, wish: DeviceRequest, near: Near = nowhere) -> tuple[DeviceGrant, ...] | None:
        if wish.millis < WHOLE:
            return self._pick_part(wish, near)
        count = wish.millis // WHOLE
        free = self._candidates(wish) & self._untouched & ~self._blocked
        return self._whole(self._choose(wish.kind, free, count, near)) if free.bit_count() >= count else None

    def _choose(self, kind: str, free: int, count: int, near: Near) -> int:
        """The best-connected of the free devices of a kind; a single one near to where there are processors for it."""
        if count == 1 and len(self._node_bits) > 1:
            close = 0
            for node in near():
                close |= self._node_bits.get(node, 0)
            free = free & close or free
        known = self._choosers.get(kind)
        if known is None:
            places = [place for place, device in enumerate(self._devices) if device.kind == kind]
            known = self._choosers[kind] = places[0], chooser_of(places_of(self._devices[place] for place in places), self._links)
        first, chooser = known
        return chooser.choose(free >> first, count) << first

    def _whole(self, mask: int) -> tuple[DeviceGrant, ...]:
        """Each device comes with all of its memory."""
        known = self._grants.get(mask)
        if known is None:
            if len(self._grants) >= _SETS_REMEMBERED:
                self._grants.clear()
                self._sets.clear()
            known = self._grants[mask] = tuple(self._wholes[place] for place in bits(mask))
            self._sets[id(known)] = _Set(known, mask, self._nodes_of(known))
        return known

    def _pick_part(self, wish: DeviceRequest, near: Near) -> tuple[DeviceGrant, ...] | None:
        """A part of the fullest device that has room for it, so that others stay whole; of those the one that is missed least."""
        usable = self._candidates(wish) & ~self._blocked
        fits = [
            (millis, memory, place)
            for place, (millis, memory) in self._parts.items()
            if millis >= wish.millis and usable >> place & 1 and memory >= (wish.memory_bytes or part_memory(self._devices[place], wish))
        ]
        if fits:
            place = min(fits)[2]
        elif free := usable & self._untouched:
            place = self._choose(wish.kind, free, 1, near).bit_length() - 1
        else:
            return None
        return (_grant(self._devices[place], wish.millis, part_memory(self._devices[place], wish)),)

    def pick_most(self, wishes: Sequence[DeviceRequest]) -> tuple[DeviceGrant, ...]:
        """As much of the wishes as is free; like `pick`, it changes nothing."""
        everything = self.pick(wishes)
        if not isinstance(everything, DeviceRequest):
            return everything
        picked: list[DeviceGrant] = []
        for wish in sorted(wishes, key=self._urgency):
            grants = self._pick_one(wish) or self._remains(wish)
            self.change(grants, -1)
            picked += grants
        self.change(picked, +1)
        return tuple(picked)

    def _remains(self, wish: DeviceRequest) -> tuple[DeviceGrant, ...]:
        """What is left of the emptiest devices that an unmet wish may have: nobody shall nibble at them either."""
        places = sorted(bits(self._candidates(wish)), key=lambda place: -self._free(place)[0])[: max(1, wish.millis // WHOLE)]
        return tuple(self._at_most(place, wish.millis, _most_memory(self._devices[place], wish)) for place in places)

    def of(self, amounts: Mapping[str, tuple[int, int]]) -> tuple[DeviceGrant, ...]:
        """So many thousandths and bytes of these devices, as far as they are free."""
        return tuple(self._at_most(self._place[device_id], *wanted) for device_id, wanted in amounts.items() if device_id in self._place)

    def _at_most(self, place: int, millis: int, memory_bytes: int) -> DeviceGrant:
        free, free_memory = self._free(place)
        return _grant(self._devices[place], max(0, min(free, millis)), max(0, min(free_memory, memory_bytes)))

    def _free(self, place: int) -> tuple[int, int]:
        if self._untouched >> place & 1:
            return WHOLE, self._devices[place].memory_bytes
        return self._parts.get(place, (0, 0))

    def shortage(self, wish: DeviceRequest) -> Shortage | None:
        """What is short for this wish alone; None when, alone, it could be met."""
        match = self._match(wish.kind, wish.model)
        large = self._candidates(wish)
        if match.usable and not large:
            return self._short_memory(wish, wish.memory_bytes, bits(match.usable))
        known = (self._devices[place] for place in bits(match.known))
        total = WHOLE * sum(device.promised and device.memory_bytes >= wish.memory_bytes for device in known)
        if wish.millis < WHOLE:
            return self._short_part(wish, list(bits(large & ~self._blocked)), total)
        free = WHOLE * (large & self._untouched & ~self._blocked).bit_count()
        return Shortage(_name(wish), wish.millis, free, total) if free < wish.millis else None

    def _short_part(self, wish: DeviceRequest, places: Sequence[int], total: int) -> Shortage | None:
        free = max((self._free(place)[0] for place in places), default=0)
        if free < wish.millis:
            return Shortage(_name(wish), wish.millis, max(0, free), total)
        roomy = [place for place in places if self._free(place)[0] >= wish.millis]
        wanted = {place: part_memory(self._devices[place], wish) for place in roomy}
        fits = any(self._free(place)[1] >= memory for place, memory in wanted.items())
        return None if fits else self._short_memory(wish, min(wanted.values()), roomy)

    def _short_memory(self, wish: DeviceRequest, asked: int, places: Iterable[int]) -> Shortage:
        rooms = [(self._free(place)[1], self._devices[place].memory_bytes) for place in places]
        return Shortage(f"{wish.kind} memory", asked, max(0, *(free for free, _ in rooms)), max(size for _, size in rooms))

    def together(self, kind: str) -> tuple[int, int]:
        """Thousandths of all usable devices of a kind: (free, total)."""
        places = list(bits(self._match(kind).usable))
        return sum(max(0, self._free(place)[0]) for place in places), WHOLE * len(places)

    def nodes_of(self, grants: Iterable[DeviceGrant]) -> Sequence[int]:
        """The NUMA node of each granted device, where it is known."""
        known = self._sets.get(id(grants))
        return known.nodes if known is not None and known.grants is grants else self._nodes_of(grants)

    def _nodes_of(self, grants: Iterable[DeviceGrant]) -> list[int]:
        nodes = [self._devices[self._place[grant.device_id]].numa_node for grant in grants]
        return [node for node in nodes if node >= 0]

    def free_of(self, device_id: str) -> tuple[int, int]:
        """Free thousandths and bytes of one device, in use or not; zeros when there is no such device."""
        place = self._place.get(device_id)
        if place is None:
            return 0, 0
        millis, memory_bytes = self._free(place)
        return max(0, millis), max(0, memory_bytes)

    def change(self, grants: Iterable[DeviceGrant], sign: int) -> None:
        """Take (-1) or return (+1) exactly these; devices that the machine does not have are passed over."""
        known = self._sets.get(id(grants))
        if known is not None and known.grants is grants and self._kin is None and self._change_whole(known.mask, sign):
            return
        for grant in grants:
            place = self._place.get(grant.device_id)
            if place is not None:
                bit, size = 1 << place, self._devices[place].memory_bytes
                millis, memory_bytes = (WHOLE, size) if self._untouched & bit else self._parts.pop(place, (0, 0))
                millis += sign * grant.millis
                memory_bytes += sign * grant.memory_bytes
                if millis == WHOLE and memory_bytes == size:
                    self._untouched |= bit
                else:
                    self._untouched &= ~bit
                    if millis or memory_bytes:
                        self._parts[place] = millis, memory_bytes
            if self._kin is not None and grant.device_id in self._kin.excludes:
                self._kin.holders[grant.device_id] -= sign
                self._blocked = self._kin.blocked()

    def _change_whole(self, mask: int, sign: int) -> bool:
        """The same for whole devices, all at once; False where one of them is not simply free, or taken."""
        if sign < 0 and not mask & ~self._untouched:
            self._untouched ^= mask
        elif sign > 0 and not mask & self._untouched and not (self._parts and any(mask >> place & 1 for place in self._parts)):
            self._untouched |= mask
        else:
            return False
        return True

    def all_free(self) -> tuple[DeviceGrant, ...]:
        """What is free of each device that may be handed out."""
        rooms = ((device, *self._free(place)) for place, device in enumerate(self._devices) if device.usable)
        return tuple(_grant(device, max(0, millis), max(0, memory)) for device, millis, memory in rooms if millis > 0 or memory > 0)


def part_memory(device: Device, wish: DeviceRequest) -> int:
    """Bytes of the device's memory that a part of it comes with."""
    return wish.memory_bytes or device.memory_bytes * wish.millis // WHOLE


def _name(wish: DeviceRequest) -> str:
    return f"{wish.kind}:{wish.model}" if wish.model else wish.kind


def _most_memory(device: Device, wish: DeviceRequest) -> int:
    return device.memory_bytes if wish.millis >= WHOLE else part_memory(device, wish)


def _grant(device: Device, millis: int, memory_bytes: int) -> DeviceGrant:
    return DeviceGrant(device.id, device.kind, device.index, millis, memory_bytes)
