"""More processors than there are, declared by the operator: some are given out twice, under numbers of their own.

A second name of processor 3 is 3 + ALIAS. It is handed out after all first names, so that jobs share a processor only when none is
left for one alone. To the kernel both are processor 3: jobs that share it get it by their weights, and one whose neighbour is idle has
it all. A quota, of a job that was granted a part of a processor, stays what it is.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from aiosd.resources.grant import Grant
from aiosd.resources.inventory import Cpu, Inventory

ALIAS = 1 << 20
NONE = 1000


def oversubscribed(cpus: Sequence[Cpu], permille: int) -> tuple[Cpu, ...]:
    """The processors and as many second (third …) names as it takes; evenly over the NUMA nodes, rounded down."""
    extra = len(cpus) * (permille - NONE) // NONE
    rank: dict[int, int] = defaultdict(int)
    turns = []
    for cpu in sorted(cpus, key=lambda cpu: (cpu.socket, cpu.core, cpu.id)):
        turns.append((rank[cpu.numa_node], cpu.numa_node, cpu))
        rank[cpu.numa_node] += 1
    turns.sort(key=lambda turn: turn[:2])
    more = [(turns[at % len(turns)][2], ALIAS * (1 + at // len(turns))) for at in range(extra)]
    return (*cpus, *sorted((replace(cpu, id=cpu.id + away, core=cpu.core + away) for cpu, away in more), key=lambda cpu: cpu.id))


def physical(number: int) -> int:
    """The kernel's number of a processor, or of a core."""
    return number % ALIAS


def processors(grant: Grant) -> tuple[int, ...]:
    """The kernel's numbers of those that were granted, ascending, each once."""
    return tuple(sorted({physical(cpu.cpu) for cpu in grant.cpus}))


def there_are(cpus: Iterable[Cpu]) -> int:
    """How many processors these really are."""
    return len({physical(cpu.id) for cpu in cpus})


def told(inventory: Inventory) -> str:
    """That processors are given out more than once; "" where they are not."""
    given, real = len(inventory.cpus), there_are(inventory.cpus)
    return f"{given} processors are given out of the {real} there are: jobs that share one get it by their weights" if given > real else ""
