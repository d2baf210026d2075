"""Which of the free devices go together best, and leave the best-connected rest to others."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from math import comb

from aiosd.resources.inventory import DeviceLink
from aiosd.resources.topology import Place, Topology, topology_of

MOST_COMPARED = 13_000  # sets that are compared one by one: all halves of 16 devices
MOST_COMPARED_OF_MANY = 2_000  # the same where more than 16 are free; beyond that they are grown and mended
_MANY = 17
_MOST_REMEMBERED = 4096
_MOST_CONNECTED = 128  # devices of one kind: of more, which are declared things that are counted, the first are taken

Score = tuple[int, int, int]  # see `score`


def lowest(mask: int, count: int) -> int:
    """The `count` lowest bits of a mask that has at least so many."""
    if count == 1:
        return mask & -mask
    if count >= mask.bit_count():
        return mask
    low, high = 0, mask.bit_length()
    while low < high:  # the shortest prefix that holds so many
        middle = (low + high) // 2
        if (mask & ((1 << middle) - 1)).bit_count() < count:
            low = middle + 1
        else:
            high = middle
    return mask & ((1 << low) - 1)


def bits(mask: int) -> Iterator[int]:
    """The places of the bits that are set, lowest first."""
    while mask:
        bit = mask & -mask
        yield bit.bit_length() - 1
        mask ^= bit


def score(topology: Topology, chosen: Sequence[int], free: Sequence[int]) -> Score:
    """How good a set is, the larger the better: (bottleneck, sum, rest), in bytes a second.

    bottleneck   the most that every two of the set can exchange through members of it: the weakest edge of the widest tree
    sum          of all pairs of the set, with what breaks ties
    rest         the same sum of those that stay free
    """
    if len(chosen) < 2:
        return 0, 0, _sum(topology, [one for one in free if one not in chosen])
    inside, weakest = {chosen[0]}, None
    while len(inside) < len(chosen):  # Prim's algorithm, for the widest instead of the shortest tree
        width, best = max((topology.bandwidth[a][b], -b) for a in inside for b in chosen if b not in inside)
        inside.add(-best)
        weakest = width if weakest is None else min(weakest, width)
    return weakest or 0, _sum(topology, chosen), _sum(topology, [one for one in free if one not in inside])


def _sum(topology: Topology, devices: Sequence[int]) -> int:
    return sum(topology.weight[a][b] for at, a in enumerate(devices) for b in devices[at + 1 :])


@lru_cache(maxsize=8)
def chooser_of(places: tuple[Place, ...], links: tuple[DeviceLink, ...]) -> "Chooser":
    """The chooser for devices at these places; made once for a machine, which many pools are made of."""
    return Chooser(topology_of(places, links))


class Chooser:
    """Chooses among the devices of one kind; a bit of a mask is a place in the topology. What was chosen once is remembered.

    Devices that reach all others equally well are twins: which of them is taken makes no difference, so that only the number
    of each sort is searched for. That makes a box whose GPUs hang on one NVLink switch, or on a tree of PCIe, cheap to search.
    """

    def __init__(self, topology: Topology) -> None:
        self._plain = len(topology.weight) > _MOST_CONNECTED
        self._sorts = [] if self._plain else _twins(topology)
        self._known: dict[tuple[int, int], int] = {}
        heads = [(mask & -mask).bit_length() - 1 for mask in self._sorts]
        seconds = [next(bits(mask & (mask - 1)), head) for mask, head in zip(self._sorts, heads, strict=True)]
        self._weight = [[topology.weight[a][b if a != b else other] for b in heads] for a, other in zip(heads, seconds, strict=True)]
        self._bandwidth = [[topology.bandwidth[a][b if a != b else other] for b in heads] for a, other in zip(heads, seconds, strict=True)]

    def choose(self, free: int, count: int) -> int:
        """`count` of the free devices, of which there are at least so many: the best by `score`, and then the lowest places."""
        if self._plain or count >= free.bit_count():
            return lowest(free, count)
        known = self._known.get((free, count))
        if known is None:
            if len(self._known) >= _MOST_REMEMBERED:
                self._known.clear()
            known = self._known[free, count] = self._search(free, count)
        return known

    def _search(self, free: int, count: int) -> int:
        there = [(sort, mask & free) for sort, mask in enumerate(self._sorts) if mask & free]
        if len(there) == 1:
            return lowest(free, count)
        found = _Search([sort for sort, _ in there], [mask.bit_count() for _, mask in there], count, self._weight, self._bandwidth).best()
        chosen = 0
        for (_, mask), number in zip(there, found, strict=True):
            chosen |= lowest(mask, number) if number else 0
        return chosen


def _twins(topology: Topology) -> list[int]:
    """The sorts of devices, as masks, by their lowest place: two are of one sort if every other one is equally far from both."""
    sorts: list[int] = []
    size = len(topology.weight)
    for one in range(size):
        for at, mask in enumerate(sorts):
            other = (mask & -mask).bit_length() - 1
            if all(topology.weight[one][x] == topology.weight[other][x] for x in range(size) if x not in (one, other)):
                sorts[at] |= 1 << one
                break
        else:
            sorts.append(1 << one)
    return sorts


class _Search:
    """How many of each sort: first those that reach each other at the best bottleneck, of them the largest sum, then the best rest."""

    def __init__(self, sorts: list[int], there: list[int], count: int, weight: list[list[int]], bandwidth: list[list[int]]) -> None:
        self._there = there  # how many of each are free
        self._count = count
        self._size = len(sorts)
        self._weight = [[weight[a][b] for b in sorts] for a in sorts]
        self._bandwidth = [[bandwidth[a][b] for b in sorts] for a in sorts]
        # To what stays free one device is worth the sum of its edges; the set with the least of it leaves the best rest.
        self._worth = [sum(n * w for n, w in zip(there, row, strict=True)) - row[at] for at, row in enumerate(self._weight)]
        self._best: tuple[int, int] | None = None  # (sum, -worth)
        self._numbers: list[int] = []

    def best(self) -> list[int]:
        widths = sorted({width for row in self._bandwidth for width in row}, reverse=True) if self._count > 1 else [0]
        most = MOST_COMPARED if sum(self._there) < _MANY else MOST_COMPARED_OF_MANY
        for width in widths:
            for part in self._parts(width):
                if self._ways(part) <= most:
                    top = max(self._weight[a][b] for a in part for b in part)
                    meshed = all(self._bandwidth[a][b] >= width for a in part for b in part)
                    self._compare(part, 0, [0] * self._size, self._count, 0, 0, width, top, meshed=meshed)
                else:
                    self._grow_all(part, width)
            if self._best is not None:
                break
        return self._numbers

    def _parts(self, width: int) -> list[list[int]]:
        """The sorts that reach each other at `width`, where there are enough devices of them; in order."""
        left, parts = list(range(self._size)), []
        while left:
            part = [left.pop(0)]
            for one in part:
                near = [other for other in left if self._bandwidth[one][other] >= width]
                part += near
                left = [other for other in left if other not in near]
            alone = len(part) == 1 and self._bandwidth[part[0]][part[0]] < width
            if (1 if alone else sum(self._there[sort] for sort in part)) >= self._count:
                parts.append(sorted(part))
        return parts

    def _ways(self, part: list[int]) -> int:
        """How many numbers of each sort make up the count; counted no further than it matters."""
        ways = [1] + [0] * self._count
        for sort in part:
            ways = [sum(ways[at - n] for n in range(min(at, self._there[sort]) + 1)) for at in range(self._count + 1)]
        return ways[self._count]

    def _compare(self, part: list[int], at: int, numbers: list[int], left: int, total: int, worth: int, width: int, top: int, *, meshed: bool) -> None:
        """Every way to choose `left` more from the sorts from `at` on, but those that cannot become better than the best."""
        if not left:
            if (self._best is None or (total, -worth) > self._best) and (meshed or self._connected(numbers, width)):
                self._best, self._numbers = (total, -worth), list(numbers)
            return
        chosen = self._count - left
        if left > sum(self._there[sort] for sort in part[at:]) or (self._best is not None and total + top * (left * chosen + comb(left, 2)) < self._best[0]):
            return
        sort = part[at]
        row = self._weight[sort]
        edges = sum(row[other] * numbers[other] for other in part[:at])
        for n in range(min(left, self._there[sort]), -1, -1):
            numbers[sort] = n
            more = n * edges + comb(n, 2) * row[sort]
            self._compare(part, at + 1, numbers, left - n, total + more, worth + n * self._worth[sort], width, top, meshed=meshed)
        numbers[sort] = 0

    def _connected(self, numbers: list[int], width: int) -> bool:
        """Whether so many of each sort reach each other at `width` without anybody else."""
        used = [sort for sort, n in enumerate(numbers) if n]
        if len(used) == 1:
            return numbers[used[0]] == 1 or self._bandwidth[used[0]][used[0]] >= width
        reached = [used[0]]
        for one in reached:
            reached += [other for other in used if other not in reached and self._bandwidth[one][other] >= width]
        return len(reached) == len(used)

    def _grow_all(self, part: list[int], width: int) -> None:
        """From every sort one set that is grown by its best neighbour and then mended; for graphs too large to compare all."""
        for seed in part:
            numbers = [0] * self._size
            edges = [0] * self._size  # of each sort to what is chosen
            near = [True] * self._size
            for size in range(self._count):
                sort = max((s for s in part if numbers[s] < self._there[s]), key=lambda s: (near[s], edges[s], -self._worth[s], -s)) if size else seed
                numbers[sort] += 1
                edges = [edge + weight for edge, weight in zip(edges, self._weight[sort], strict=True)]
                near = [(was and size > 0) or wide >= width for was, wide in zip(near, self._bandwidth[sort], strict=True)]
            while self._mend(part, numbers, width):
                continue
            self._offer(numbers)

    def _mend(self, part: list[int], numbers: list[int], width: int) -> bool:
        """Exchange one device for another if that makes the set better."""
        edges = [sum(n * w for n, w in zip(numbers, row, strict=True)) for row in self._weight]
        for gone in part:
            if not numbers[gone]:
                continue
            without = edges[gone] - self._weight[gone][gone]
            for came in part:
                gain = edges[came] - self._weight[came][gone] - without, self._worth[gone] - self._worth[came]
                if gone == came or numbers[came] >= self._there[came] or gain <= (0, 0):
                    continue
                numbers[gone] -= 1
                numbers[came] += 1
                if self._connected(numbers, width):
                    return True
                numbers[gone] += 1
                numbers[came] -= 1
        return False

    def _offer(self, numbers: list[int]) -> None:
        edges = (sum(n * w for n, w in zip(numbers, row, strict=True)) - row[at] for at, row in enumerate(self._weight))
        pairs = sum(n * edge for n, edge in zip(numbers, edges, strict=True)) // 2
        value = pairs, -sum(n * worth for n, worth in zip(numbers, self._worth, strict=True))
        if self._best is None or value > self._best:
            self._best, self._numbers = value, list(numbers)
