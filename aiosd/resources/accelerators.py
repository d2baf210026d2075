"""Which devices are free, in thousandths and in bytes of their memory, and which of them a job should get."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from aiosd.resources.grant import DeviceGrant
from aiosd.resources.inventory import Device
from aiosd.resources.processors import WHOLE
from aiosd.resources.request import DeviceRequest
from aiosd.resources.shortage import Shortage

_MODELS_REMEMBERED = 256  # models come from users: what is remembered about them must not grow for ever


def plain(name: str) -> str:
    """A model's name as it is compared: `NVIDIA A100-SXM4` and `a100 sxm4` have the same letters."""
    return "".join(letter for letter in name.lower() if letter not in " -_")


@dataclass(slots=True)
class _Room:
    """One device and what is free of it; below 0 where a changed machine has less than was given out."""

    device: Device
    millis: int
    memory_bytes: int

    @property
    def untouched(self) -> bool:
        return self.millis == WHOLE and self.memory_bytes == self.device.memory_bytes


class Accelerators:
    """The free parts of each device. Those out of use are known, so that what is held of them can be returned, but never picked."""

    def __init__(self, devices: Iterable[Device]) -> None:
        self._rooms = {device.id: _Room(device, WHOLE, device.memory_bytes) for device in devices}
        self._matching: dict[tuple[str, str], tuple[_Room, ...]] = {}

    def matching(self, kind: str, model: str = "") -> tuple[_Room, ...]:
        """The devices of a kind that may be handed out and whose model's name contains `model`, by index."""
        known = self._matching.get((kind, model))
        if known is not None:
            return known
        wanted = plain(model)
        rooms = [r for r in self._rooms.values() if r.device.kind == kind and r.device.usable and wanted in plain(r.device.model)]
        found = tuple(sorted(rooms, key=lambda room: (room.device.index, room.device.id)))
        if len(self._matching) >= _MODELS_REMEMBERED:
            self._matching.clear()
        self._matching[kind, model] = found
        return found

    def pick(self, wishes: Sequence[DeviceRequest]) -> tuple[DeviceGrant, ...] | DeviceRequest:
        """Devices for all wishes, or the first wish that cannot be met now.

        The wish with the fewest candidates goes first, so that "any gpu" does not take the only A100 from its neighbour.
        Nothing is changed when this returns.
        """
        if len(wishes) == 1:
            grants = self._pick_one(wishes[0])
            return wishes[0] if grants is None else tuple(grants)
        picked: list[DeviceGrant] = []
        unmet: DeviceRequest | None = None
        for wish in sorted(wishes, key=self._urgency):
            grants = self._pick_one(wish)
            if grants is None:
                unmet = wish
                break
            self.change(grants, -1)  # the next wish must see it gone
            picked += grants
        self.change(picked, +1)
        return tuple(picked) if unmet is None else unmet

    def _urgency(self, wish: DeviceRequest) -> tuple[int, int, int]:
        candidates = sum(room.device.memory_bytes >= wish.memory_bytes for room in self.matching(wish.kind, wish.model))
        return candidates, -wish.millis, -wish.memory_bytes

    def _pick_one(self, wish: DeviceRequest) -> list[DeviceGrant] | None:
        if wish.millis >= WHOLE:
            return self._pick_whole(wish)
        return self._pick_part(wish)

    def _pick_whole(self, wish: DeviceRequest) -> list[DeviceGrant] | None:
        """Untouched devices, lowest index first; each comes with all of its memory."""
        count = wish.millis // WHOLE
        grants: list[DeviceGrant] = []
        for room in self.matching(wish.kind, wish.model):
            if room.untouched and room.device.memory_bytes >= wish.memory_bytes:
                grants.append(_grant(room, WHOLE, room.device.memory_bytes))
                if len(grants) == count:
                    return grants
        return None

    def _pick_part(self, wish: DeviceRequest) -> list[DeviceGrant] | None:
        """A part of the fullest device that has room for it, so that others stay whole."""
        rooms = self.matching(wish.kind, wish.model)
        fits = [room for room in rooms if room.millis >= wish.millis and room.memory_bytes >= part_memory(room.device, wish)]
        if not fits:
            return None
        fullest = min(fits, key=lambda room: (room.millis, room.memory_bytes))  # min keeps the first: the lowest index
        return [_grant(fullest, wish.millis, part_memory(fullest.device, wish))]

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

    def _remains(self, wish: DeviceRequest) -> list[DeviceGrant]:
        """What is left of the emptiest devices that an unmet wish may have: nobody shall nibble at them either."""
        rooms = [room for room in self.matching(wish.kind, wish.model) if room.device.memory_bytes >= wish.memory_bytes]
        emptiest = sorted(rooms, key=lambda room: -room.millis)[: max(1, wish.millis // WHOLE)]
        return [_grant(room, max(0, min(room.millis, wish.millis)), max(0, min(room.memory_bytes, _most_memory(room.device, wish)))) for room in emptiest]

    def of(self, amounts: Mapping[str, tuple[int, int]]) -> tuple[DeviceGrant, ...]:
        """So many thousandths and bytes of these devices, as far as they are free."""
        known = ((self._rooms[device_id], wanted) for device_id, wanted in amounts.items() if device_id in self._rooms)
        return tuple(_grant(room, max(0, min(room.millis, millis)), max(0, min(room.memory_bytes, memory))) for room, (millis, memory) in known)

    def shortage(self, wish: DeviceRequest) -> Shortage | None:
        """What is short for this wish alone; None when, alone, it could be met."""
        rooms = self.matching(wish.kind, wish.model)
        large = [room for room in rooms if room.device.memory_bytes >= wish.memory_bytes]
        if rooms and not large:
            return _short_memory(wish, wish.memory_bytes, rooms)
        total = WHOLE * self._count_promised(wish)
        if wish.millis < WHOLE:
            return self._short_part(wish, large, total)
        free = WHOLE * sum(room.untouched for room in large)
        return Shortage(_name(wish), wish.millis, free, total) if free < wish.millis else None

    def _count_promised(self, wish: DeviceRequest) -> int:
        """How many devices the machine has for this wish, with those that are out of use for a time."""
        wanted = plain(wish.model)
        known = (room.device for room in self._rooms.values())
        return sum(d.kind == wish.kind and d.promised and wanted in plain(d.model) and d.memory_bytes >= wish.memory_bytes for d in known)

    def _short_part(self, wish: DeviceRequest, rooms: Sequence[_Room], total: int) -> Shortage | None:
        free = max((room.millis for room in rooms), default=0)
        if not rooms or free < wish.millis:
            return Shortage(_name(wish), wish.millis, max(0, free), total)
        roomy = [room for room in rooms if room.millis >= wish.millis]
        least = min(part_memory(room.device, wish) for room in roomy)
        fits = any(room.memory_bytes >= part_memory(room.device, wish) for room in roomy)
        return None if fits else _short_memory(wish, least, roomy)

    def node_of(self, grants: Iterable[DeviceGrant]) -> list[int]:
        """The NUMA nodes of granted devices, where they are known."""
        nodes = (self._rooms[grant.device_id].device.numa_node for grant in grants)
        return list(dict.fromkeys(node for node in nodes if node >= 0))

    def free_of(self, device_id: str) -> tuple[int, int]:
        """Free thousandths and bytes of one device, in use or not; zeros when there is no such device."""
        room = self._rooms.get(device_id)
        return (0, 0) if room is None else (max(0, room.millis), max(0, room.memory_bytes))

    def change(self, grants: Iterable[DeviceGrant], sign: int) -> None:
        """Take (-1) or return (+1) exactly these; devices that the machine does not have are passed over."""
        for grant in grants:
            room = self._rooms.get(grant.device_id)
            if room is not None:
                room.millis += sign * grant.millis
                room.memory_bytes += sign * grant.memory_bytes

    def all_free(self) -> tuple[DeviceGrant, ...]:
        """What is free of each device that may be handed out."""
        rooms = (room for room in self._rooms.values() if room.device.usable)
        return tuple(_grant(room, max(0, room.millis), max(0, room.memory_bytes)) for room in rooms if room.millis > 0 or room.memory_bytes > 0)


def part_memory(device: Device, wish: DeviceRequest) -> int:
    """Bytes of the device's memory that a part of it comes with."""
    return wish.memory_bytes or device.memory_bytes * wish.millis // WHOLE


def _name(wish: DeviceRequest) -> str:
    return f"{wish.kind}:{wish.model}" if wish.model else wish.kind


def _short_memory(wish: DeviceRequest, asked: int, rooms: Sequence[_Room]) -> Shortage:
    free = max(room.memory_bytes for room in rooms)
    return Shortage(f"{wish.kind} memory", asked, max(0, free), max(room.device.memory_bytes for room in rooms))


def _most_memory(device: Device, wish: DeviceRequest) -> int:
    return device.memory_bytes if wish.millis >= WHOLE else part_memory(device, wish)


def _grant(room: _Room, millis: int, memory_bytes: int) -> DeviceGrant:
    return DeviceGrant(room.device.id, room.device.kind, room.device.index, millis, memory_bytes)
