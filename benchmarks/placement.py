"""What a grant costs, and how well the GPUs of a job are connected, beside other ways to choose them."""

import heapq
import random
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from pathlib import Path

from aiosd.resources.choosing import Chooser, bits, score
from aiosd.resources.grant import Grant
from aiosd.resources.inventory import Cpu, Device, DeviceLink, Inventory, NumaNode
from aiosd.resources.pool import Pool
from aiosd.resources.request import DeviceRequest, Request
from aiosd.resources.topology import Topology, places_of, topology_of
from benchmarks import machine
from benchmarks.options import count, parser
from benchmarks.report import Report, seconds

GIB = 1 << 30
_GB = 10**9
_SIZES = (1, 1, 1, 1, 2, 2, 2, 4, 4, 8)  # GPUs of jobs that come and go
_LOAD = 0.9
_BATCH = 20  # grants between two looks at the clock, which costs as much as one

Links = Callable[[int, int], tuple[str, int]]  # of two GPUs: the kind, and how many NVLinks of the second version
Choice = Callable[[list[int], int], Sequence[int]]  # of the free GPUs so many


def main(argv: Sequence[str] | None = None) -> None:
    made = parser("placement", __doc__ or "")
    made.add_argument("-n", "--grants", type=count, default=2000, help="grants of each kind that are timed (default: 2000)")
    made.add_argument("--jobs", type=count, default=2000, help="jobs that come to each box (default: 2000)")
    made.add_argument("--seed", type=int, default=1)
    options = made.parse_args(argv)
    facts = machine.facts(Path(), options.wait_quiet) | {"grants": options.grants, "jobs": options.jobs, "seed": options.seed}
    report = Report("placement", facts, ("median", "p99", "floor", "bandwidth", "of the idle box's"))
    for name, pool, request in requests():
        took, floor = timed(pool, request, options.grants)
        report.add(
            name, name, [seconds(machine.median(took)), seconds(machine.percentile(took, 99)), seconds(floor)],
            p50_s=machine.median(took), p99_s=machine.percentile(took, 99), floor_s=floor,
        )  # fmt: skip
    for box, links in (("PCIe", pcie), ("cube mesh", cube_mesh)):
        for way, reached, share in connected(links, options.jobs, options.seed):
            report.add(f"{box}, {way}", f"{box}: {way}", ["", "", "", f"{reached / _GB:.1f} GB/s", f"{share:.0%}"], bytes_per_s=reached, of_idle_share=share)
    report.note("a grant is taken and given back; refused ones are asked for only; the floor is making such a grant and keeping it in a dict")
    report.note(
        "bandwidth: between any two GPUs of a job through its own, the weakest on the way; the mean of jobs with several; by kind of link, not measured"
    )
    report.show()


def requests() -> Iterator[tuple[str, Pool, Request]]:
    """What is asked for, of a box with 8 GPUs and one with 64, both half in use."""
    for gpus, cpus in ((8, 128), (64, 256)):
        inventory = box(gpus, cpus, nvswitch)
        used, idle = Pool(inventory), Pool(inventory)
        for _ in range(gpus // 2):
            used.take(_gpus(1000, 2))
        used.take(_gpus(400, 1))
        for name, request in (("1 cpu", Request(1000, GIB)), ("half a cpu", Request(500, GIB)), ("16 cpus", Request(16_000, GIB))):
            yield f"{gpus} GPUs: {name}", used, request
        yield f"{gpus} GPUs: half a GPU", used, _gpus(500, 1)
        yield f"{gpus} GPUs: 1 GPU, 4 cpus", used, _gpus(1000, 4)
        yield f"{gpus} GPUs: all, {cpus} cpus", idle, _gpus(1000 * gpus, cpus)
        yield f"{gpus} GPUs: all, refused", used, _gpus(1000 * gpus, 1)


def _gpus(millis: int, cpus: int) -> Request:
    return Request(1000 * cpus, GIB, (DeviceRequest("gpu", millis),))


def timed(pool: Pool, request: Request, grants: int) -> tuple[list[float], float]:
    """Seconds of each grant, as means of a batch; and of the floor."""

    def one() -> None:
        grant = pool.take(request)
        if grant is not None:
            pool.give_back(grant)

    held: dict[Grant, int] = {}
    example = pool.take(request)
    if example is not None:
        pool.give_back(example)
    grant = example or Grant((), 0)

    def floor() -> None:
        made = Grant(grant.cpus, grant.memory_bytes, grant.devices, grant.disk_bytes)
        held[made] = 1
        del held[made]

    rounds = max(1, grants // _BATCH)
    return [_batch(one) for _ in range(rounds)], machine.median([_batch(floor) for _ in range(rounds)])


def _batch(step: Callable[[], None]) -> float:
    began_s = time.perf_counter()
    for _ in range(_BATCH):
        step()
    return (time.perf_counter() - began_s) / _BATCH


# Boxes


def nvswitch(_a: int, _b: int) -> tuple[str, int]:
    return "nvlink", 12


def pcie(a: int, b: int) -> tuple[str, int]:
    """Two GPUs beneath each switch, two switches on each of two sockets."""
    return "pix" if a // 2 == b // 2 else "node" if a // 4 == b // 4 else "sys", 0


def cube_mesh(a: int, b: int) -> tuple[str, int]:
    """Each GPU has six NVLinks to four others: NVIDIA's DGX-1 with V100."""
    doubled = {(0, 3), (0, 4), (1, 2), (1, 5), (2, 3), (4, 7), (5, 6), (6, 7)}
    single = {(0, 1), (0, 2), (1, 3), (2, 6), (3, 7), (4, 5), (4, 6), (5, 7)}
    if (a, b) in doubled | single:
        return "nvlink", 2 if (a, b) in doubled else 1
    return "node" if a // 4 == b // 4 else "sys", 0


def box(gpus: int, cpus: int, links: Links, nodes: int = 2) -> Inventory:
    devices = tuple(Device(f"GPU-{n:08x}", "gpu", n, "GPU", 80 * GIB, n * nodes // gpus) for n in range(gpus))
    processors = tuple(Cpu(n, n // 2, n * nodes // cpus, n * nodes // cpus) for n in range(cpus))
    numa = tuple(
        NumaNode(node, tuple(c.id for c in processors if c.numa_node == node), 256 * GIB, (10, 21) if node == 0 else (21, 10)) for node in range(nodes)
    )
    between = []
    for a, b in combinations(range(gpus), 2):
        kind, nvlinks = links(a, b)
        between.append(DeviceLink(devices[a].id, devices[b].id, kind, nvlinks, nvlinks * 20 * _GB))
    return Inventory("box", processors, 512 * GIB, 512 * GIB, numa, devices, tuple(between))


# Connections


def connected(links: Links, jobs: int, seed: int) -> Iterator[tuple[str, float, float]]:
    """For each way to choose: its name, the mean bandwidth of sets of several GPUs, and that over what an idle box would give."""
    inventory = box(8, 64, links)
    topology = topology_of(places_of(inventory.devices), inventory.links)
    chance = random.Random(seed)
    ways: dict[str, Choice] = {"any": chance.sample, "lowest numbers": lambda free, size: free[:size], "best sum of pairs": _best_sum(topology)}
    for name, choose in ways.items():
        yield name, *_mean(topology, _sets(choose, jobs, seed))
    yield "AIOS", *_mean(topology, _sets(_Ours(inventory).choose, jobs, seed))


def _best_sum(topology: Topology) -> Choice:
    """As schedulers do that score pairs: the set with the largest sum, whatever is left to others."""

    def worth(some: Sequence[int]) -> int:
        return sum(topology.bandwidth[a][b] for a, b in combinations(some, 2))

    return lambda free, size: max(combinations(free, size), key=worth)


class _Ours:
    """The daemon's own pool, told which GPUs are free."""

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory
        self._pool = Pool(inventory)

    def choose(self, free: list[int], size: int) -> list[int]:
        taken = tuple(device for device in self._pool.free().devices if device.index not in free)
        with self._pool.trial() as pool:
            pool.assign(Grant((), 0, taken))
            grant = pool.take(_gpus(1000 * size, size))
        assert grant is not None
        return [device.index for device in grant.devices]


def _sets(choose: Choice, jobs: int, seed: int) -> Iterator[list[int]]:
    """The sets of several GPUs that jobs get, which come by chance and end by chance; one for which too few are free is lost."""
    chance = random.Random(seed)
    free, now, ends = list(range(8)), 0.0, list[tuple[float, int, list[int]]]()
    for number in range(jobs):
        now += chance.expovariate(_LOAD * 8 / (sum(_SIZES) / len(_SIZES)))
        size, lasts = chance.choice(_SIZES), chance.expovariate(1.0)
        while ends and ends[0][0] <= now:
            free = sorted(free + heapq.heappop(ends)[2])
        if size <= len(free):
            chosen = list(choose(free, size))
            free = [one for one in free if one not in chosen]
            heapq.heappush(ends, (now + lasts, number, chosen))
            if size > 1:
                yield chosen


def _mean(topology: Topology, sets: Iterator[list[int]]) -> tuple[float, float]:
    everything = range(len(topology.weight))
    best = {size: score(topology, list(bits(Chooser(topology).choose((1 << 8) - 1, size))), everything)[0] for size in set(_SIZES)}
    found = [(score(topology, chosen, everything)[0], best[len(chosen)]) for chosen in sets]
    return sum(got for got, _ in found) / len(found), sum(got / most for got, most in found) / len(found)


if __name__ == "__main__":
    main()
