"""Which logical processors are free, in thousandths of each, and which of them a job should get."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from itertools import pairwise
from operator import attrgetter

from aiosd.resources.choosing import bits, lowest
from aiosd.resources.grant import CpuGrant
from aiosd.resources.inventory import Cpu, NumaNode

WHOLE = 1000  # millis of one logical processor, or of one device
_SETS_REMEMBERED = 1024
_ELSEWHERE = 20  # how far another NUMA node is where the firmware does not tell; 10 is none at all (ACPI, SLIT)
_HERE = 10
_number = attrgetter("cpu")


class Processors:
    """The free thousandths of each processor. Wholly free ones are bits of one integer, so that picking is cheap.

    Positions, not the kernel's numbers, are the bits: ordered by node, socket, core, number, so that neighbours are beside each
    other. `_parts` has what is free of the others where it is not nothing: below 0 where a changed machine has less than was given out.
    """

    def __init__(self, cpus: Iterable[Cpu], numa_nodes: Iterable[NumaNode] = ()) -> None:
        self._order = sorted(cpus, key=lambda cpu: (cpu.numa_node, cpu.socket, cpu.core, cpu.id))
        self._position = {cpu.id: position for position, cpu in enumerate(self._order)}
        self._wholes = [CpuGrant(cpu.id, WHOLE) for cpu in self._order]  # made once: they are most of all grants
        self._nodes = sorted({cpu.numa_node for cpu in self._order})
        self._node_mask = dict.fromkeys(self._nodes, 0)
        for position, cpu in enumerate(self._order):
            self._node_mask[cpu.numa_node] |= 1 << position
        self._in_order = all(before.id < after.id for before, after in pairwise(self._order))
        self._cores = _cores(self._order)
        self._far = _distances(self._nodes, known := sorted(numa_nodes, key=lambda node: node.id))
        self._home = {node.id: self._closest(node.id) for node in known if node.distances} | {node: node for node in self._nodes}
        self._full = (1 << len(self._order)) - 1
        self._parts: dict[int, int] = {}  # position -> free, neither 0 nor WHOLE
        self._grants: dict[int, tuple[CpuGrant, ...]] = {}  # sets of whole processors that were granted before
        self._masks: dict[int, tuple[tuple[CpuGrant, ...], int]] = {}  # and which set such a tuple is, by its identity
        self.free_millis = WHOLE * len(self._order)

    def _closest(self, node: int) -> int:
        """The node with processors that is closest to one that may have none, only memory."""
        return min(self._nodes, key=lambda other: (self._far.get((node, other), _ELSEWHERE), other), default=node)

    def pick(self, millis: int, near: Sequence[int] = ()) -> tuple[CpuGrant, ...]:
        """The processors for `millis`, which must be free in sum; on the NUMA nodes `near`, where there is room.

        `near` names a node once for each device on it: each gets its part. Without it whole processors are packed on the node
        with the least sufficient room. What is left below one processor goes to the fullest partly used one with room for it.
        Where whole ones run out, partly used ones make up the sum.
        """
        count, rest = divmod(millis, WHOLE)
        if near:
            near = [self._home[node] for node in near if node in self._home]
        chosen = self._pick_whole(count, near) if count else 0
        rest += WHOLE * (count - chosen.bit_count())
        if not rest:
            return self._whole(chosen)
        home = {self._order[position].numa_node for position in bits(chosen)} if chosen else set(near)
        grants = [self._wholes[position] for position in bits(chosen)] + self._pick_rest(rest, home, chosen)
        return tuple(sorted(grants, key=_number)) if len(grants) > 1 else tuple(grants)

    def nodes_with(self, millis: int) -> Collection[int]:
        """The NUMA nodes that have so much in whole processors; () where it does not matter."""
        if len(self._nodes) < 2:
            return ()
        count = -(-millis // WHOLE)
        return [node for node in self._nodes if (self._full & self._node_mask[node]).bit_count() >= count]

    def _pick_whole(self, count: int, near: Sequence[int]) -> int:
        """Up to `count` wholly free positions: on one node with room for all, the nearest or else the fullest; or on a few."""
        if len(self._nodes) <= 1:
            return self._on_node(self._full, count)
        if len(near) > 1 and len(set(near)) > 1:
            return self._divided(count, near)
        nearest = near[0] if near else -1
        best, least, among = -1, 0, 0
        for node, mask in self._node_mask.items():
            free = self._full & mask
            room = free.bit_count()
            if node == nearest and room >= count:
                return self._on_node(free, count)
            if room >= count and (best < 0 or room < least):
                best, least, among = node, room, free
        if best >= 0 and not near:
            return self._on_node(among, count)
        return self._over(self._nodes_for(count, near), count)

    def _divided(self, count: int, near: Sequence[int]) -> int:
        """To each device its part, rounded down; the rest is near to some of them."""
        chosen = 0
        for node, devices in sorted(Counter(near).items()):
            chosen |= self._on_node(self._full & self._node_mask[node], count * devices // len(near))
        return chosen | self._over(self._by_distance(near), count - chosen.bit_count(), chosen)

    def _over(self, nodes: Iterable[int], count: int, chosen: int = 0) -> int:
        """Up to `count` that are not yet chosen, from these nodes in order."""
        picked = 0
        for node in nodes:
            if count <= 0:
                break
            found = self._on_node(self._full & self._node_mask[node] & ~chosen, count)
            picked |= found
            count -= found.bit_count()
        return picked

    def _nodes_for(self, count: int, near: Sequence[int]) -> Sequence[int]:
        """The nodes to take from, in order: the nearest with room for all, else the nearest; else few that are close to each other."""
        room = {node: (self._full & mask).bit_count() for node, mask in self._node_mask.items()}
        if near:
            nearest = self._by_distance(near)
            return next(((node,) for node in nearest if room[node] >= count), nearest)
        first = max(self._nodes, key=lambda node: (room[node], -node))
        return sorted(self._nodes, key=lambda node: (node != first, self._far[first, node], -room[node], node))

    def _by_distance(self, near: Sequence[int]) -> list[int]:
        """All nodes, the nearest first; of equally near ones the fullest, and then the first."""

        def rank(node: int) -> tuple[bool, int, int, int]:
            return node not in near, min(self._far[one, node] for one in near), (self._full & self._node_mask[node]).bit_count(), node

        return sorted(self._nodes, key=rank)

    def _on_node(self, free: int, count: int) -> int:
        """Up to `count` of these: whole cores as far as they go, and single threads first of cores that others use already."""
        if self._cores[0][0] == 1:
            return lowest(free, count) if count < free.bit_count() else free
        if count >= free.bit_count():
            return free
        chosen, taken = 0, free
        for width, heads in self._cores:
            whole = heads & free
            for thread in range(1, width):
                whole &= free >> thread
            some = lowest(whole, min(whole.bit_count(), (count - chosen.bit_count()) // width))
            for thread in range(width):
                chosen |= some << thread
                taken &= ~(whole << thread)
        left = count - chosen.bit_count()
        if left:  # fewer than the threads of a core, or no whole core is left
            broken = taken & ~chosen
            chosen |= lowest(broken, min(left, broken.bit_count()))
            left = count - chosen.bit_count()
        return chosen | lowest(free & ~chosen, left) if left else chosen

    def _whole(self, mask: int) -> tuple[CpuGrant, ...]:
        """The grants of these whole processors, by number."""
        known = self._grants.get(mask)
        if known is None:
            if len(self._grants) >= _SETS_REMEMBERED:
                self._grants.clear()
                self._masks.clear()
            wholes = [self._wholes[position] for position in bits(mask)]
            if not self._in_order:
                wholes.sort(key=_number)
            known = self._grants[mask] = tuple(wholes)
            self._masks[id(known)] = known, mask
        return known

    def _pick_rest(self, millis: int, home: Collection[int], chosen: int) -> list[CpuGrant]:
        """`millis` from partly used processors, or a part of a free one that is not `chosen`; on the nodes `home`, where possible."""
        if millis < WHOLE:
            fits = [(bool(home) and self._order[p].numa_node not in home, free, p) for p, free in self._parts.items() if free >= millis]
            position = min(fits)[2] if fits else self._next_free(home, chosen)
            if position >= 0:
                return [CpuGrant(self._order[position].id, millis)]
        return self._spread(millis)

    def _next_free(self, home: Collection[int], chosen: int) -> int:
        """A wholly free position at home, else on the node with the fewest; -1 when there is none."""
        free = self._full & ~chosen
        room = [(node not in home, here.bit_count(), node) for node, mask in self._node_mask.items() if (here := free & mask)]
        return self._on_node(free & self._node_mask[min(room)[2]], 1).bit_length() - 1 if room else -1

    def _spread(self, millis: int) -> list[CpuGrant]:
        """`millis` from as few partly used processors as possible."""
        grants = []
        for position in sorted(self._parts, key=lambda position: (-self._parts[position], position)):
            share = min(millis, self._parts[position])
            grants.append(CpuGrant(self._order[position].id, share))
            millis -= share
            if not millis:
                break
        return grants

    def free_of(self, cpu: int) -> int:
        """Free thousandths of one processor; 0 when the machine has none of that number."""
        position = self._position.get(cpu)
        return 0 if position is None else max(0, self._free(position))

    def _free(self, position: int) -> int:
        return WHOLE if self._full >> position & 1 else self._parts.get(position, 0)

    def change(self, cpus: Iterable[CpuGrant], sign: int) -> None:
        """Take (-1) or return (+1) exactly these; processors that the machine does not have are passed over."""
        known = self._masks.get(id(cpus))
        if known is not None and known[0] is cpus and self._change_whole(known[1], sign):  # an identity may be another's by now
            return
        for grant in cpus:
            position = self._position.get(grant.cpu)
            if position is not None:
                bit = 1 << position
                before = WHOLE if self._full & bit else self._parts.pop(position, 0)
                after = before + sign * grant.millis
                self.free_millis += max(0, after) - max(0, before)
                if after == WHOLE:
                    self._full |= bit
                    continue
                self._full &= ~bit
                if after:
                    self._parts[position] = after

    def _change_whole(self, mask: int, sign: int) -> bool:
        """The same for whole processors, all at once; False where one of them is not simply free, or taken."""
        if sign < 0 and not mask & ~self._full:
            self._full ^= mask
        elif sign > 0 and not mask & self._full and not (self._parts and any(mask >> position & 1 for position in self._parts)):
            self._full |= mask
        else:
            return False
        self.free_millis += sign * WHOLE * mask.bit_count()
        return True

    def all_free(self) -> tuple[CpuGrant, ...]:
        """Everything that is free, by number."""
        return tuple(CpuGrant(cpu, free) for cpu in sorted(self._position) if (free := self.free_of(cpu)))


def _cores(order: Sequence[Cpu]) -> list[tuple[int, int]]:
    """(threads, the positions of the first threads) of the cores with so many; the threads of a core are beside each other."""
    threads: dict[tuple[int, int, int], list[int]] = defaultdict(list)
    for position, cpu in enumerate(order):
        threads[cpu.numa_node, cpu.socket, cpu.core].append(position)
    heads: dict[int, int] = defaultdict(int)
    for positions in threads.values():
        heads[len(positions)] |= 1 << positions[0]
    return sorted(heads.items(), reverse=True) or [(1, 0)]


def _distances(nodes: Sequence[int], listed: Sequence[NumaNode]) -> dict[tuple[int, int], int]:
    """How far each NUMA node is from each; as the firmware tells it, which counts all nodes of the machine in order."""
    far = {(a, b): _HERE if a == b else _ELSEWHERE for a in nodes for b in nodes}
    for node in listed:
        if len(node.distances) == len(listed):
            far.update({(node.id, other.id): distance for other, distance in zip(listed, node.distances, strict=True)})
    return far
