"""Which logical processors are free, in thousandths of each, and which of them a job should get."""

from collections.abc import Collection, Iterable, Sequence

from aiosd.resources.grant import CpuGrant
from aiosd.resources.inventory import Cpu

WHOLE = 1000  # millis of one logical processor, or of one device


class Processors:
    """The free thousandths of each processor. Wholly free ones are bits of one integer a NUMA node, so that picking is cheap.

    Positions, not the kernel's numbers, are the bits: ordered by node, socket, core, number, so that the lowest bits are
    neighbours and the threads of one core go to one job.
    """

    def __init__(self, cpus: Iterable[Cpu]) -> None:
        self._order = sorted(cpus, key=lambda cpu: (cpu.numa_node, cpu.socket, cpu.core, cpu.id))
        self._position = {cpu.id: position for position, cpu in enumerate(self._order)}
        self._node_index = {node: index for index, node in enumerate(sorted({cpu.numa_node for cpu in self._order}))}
        self._node = [self._node_index[cpu.numa_node] for cpu in self._order]
        self._wholes = [CpuGrant(cpu.id, WHOLE) for cpu in self._order]  # made once: they are most of all grants
        self._free = [WHOLE] * len(self._order)
        self._full = [0] * len(self._node_index)  # by node: the positions that are wholly free
        for position, node in enumerate(self._node):
            self._full[node] |= 1 << position
        self._partial: dict[int, int] = {}  # position -> free, where 0 < free < WHOLE
        self.free_millis = WHOLE * len(self._order)

    def pick(self, millis: int, near: Collection[int] = ()) -> tuple[CpuGrant, ...]:
        """The processors for `millis`, which must be free in sum; on the NUMA nodes `near`, where there is room.

        Whole processors are packed on the node with the least sufficient room. What is left below one processor goes to
        the fullest partly used one with room for it. Where whole ones run out, partly used ones make up the sum.
        """
        wanted = [self._node_index[node] for node in near if node in self._node_index]
        picked, chosen, left = self._pick_whole(millis // WHOLE, self._nodes_for(millis // WHOLE, wanted))
        grants = [self._wholes[position] for position in picked]
        remainder = left * WHOLE + millis % WHOLE
        if remainder:
            home = {self._node[position] for position in picked} or set(wanted)
            grants += self._pick_rest(remainder, home, chosen)
        if len(grants) > 1:
            grants.sort(key=lambda grant: grant.cpu)
        return tuple(grants)

    def _nodes_for(self, count: int, near: Sequence[int]) -> Sequence[int]:
        """The nodes to take `count` whole processors from, in order."""
        if len(self._full) <= 1 or count == 0:
            return range(len(self._full))
        room = [mask.bit_count() for mask in self._full]
        for node in near:
            if room[node] >= count:
                return (node,)
        best = min(((free, node) for node, free in enumerate(room) if free >= count), default=None)
        if best is not None:
            return (best[1],)
        return sorted(range(len(room)), key=lambda node: (node not in near, -room[node], node))

    def _pick_whole(self, count: int, nodes: Sequence[int]) -> tuple[list[int], int, int]:
        """Up to `count` wholly free positions: (positions, the same as bits, how many could not be had)."""
        picked: list[int] = []
        chosen = 0
        for node in nodes:
            mask = self._full[node]
            while mask and count:
                lowest = mask & -mask
                picked.append(lowest.bit_length() - 1)
                chosen |= lowest
                mask ^= lowest
                count -= 1
        return picked, chosen, count

    def _pick_rest(self, millis: int, home: Collection[int], chosen: int) -> list[CpuGrant]:
        """`millis` from partly used processors, or a part of a free one that is not `chosen`; on the nodes `home`, where possible."""
        if millis < WHOLE:
            fits = [(bool(home) and self._node[p] not in home, free, p) for p, free in self._partial.items() if free >= millis]
            position = min(fits)[2] if fits else self._next_free(home, chosen)
            if position >= 0:
                return [CpuGrant(self._order[position].id, millis)]
        return self._spread(millis)

    def _next_free(self, home: Collection[int], chosen: int) -> int:
        """A wholly free position at home, else on the node with the fewest; -1 when there is none."""
        masks = [mask & ~chosen for mask in self._full]
        room = [(node not in home, mask.bit_count(), mask) for node, mask in enumerate(masks) if mask]
        if not room:
            return -1
        mask = min(room)[2]
        return (mask & -mask).bit_length() - 1

    def _spread(self, millis: int) -> list[CpuGrant]:
        """`millis` from as few partly used processors as possible."""
        grants = []
        for position in sorted(self._partial, key=lambda position: (-self._partial[position], position)):
            share = min(millis, self._partial[position])
            grants.append(CpuGrant(self._order[position].id, share))
            millis -= share
            if not millis:
                break
        return grants

    def free_of(self, cpu: int) -> int:
        """Free thousandths of one processor; 0 when the machine has none of that number."""
        position = self._position.get(cpu)
        return 0 if position is None else max(0, self._free[position])

    def change(self, cpus: Iterable[CpuGrant], sign: int) -> None:
        """Take (-1) or return (+1) exactly these; processors that the machine does not have are passed over."""
        for grant in cpus:
            position = self._position.get(grant.cpu)
            if position is not None:
                self._set(position, self._free[position] + sign * grant.millis)

    def _set(self, position: int, free: int) -> None:
        before = self._free[position]
        self._free[position] = free
        self.free_millis += max(0, free) - max(0, before)
        bit = 1 << position
        if free == WHOLE:
            self._full[self._node[position]] |= bit
        else:
            self._full[self._node[position]] &= ~bit
        if 0 < free < WHOLE:
            self._partial[position] = free
        else:
            self._partial.pop(position, None)

    def all_free(self) -> tuple[CpuGrant, ...]:
        """Everything that is free, by number."""
        return tuple(CpuGrant(cpu, free) for cpu in sorted(self._position) if (free := self.free_of(cpu)))
