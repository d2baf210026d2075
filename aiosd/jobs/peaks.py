"""What runs have used at most, and what that says of the next one like them: pure, bounded, of the latest runs only."""

from collections import deque
from dataclasses import dataclass, field
from math import ceil

from aiosd.scheduling.predict import Traits

MOST_GROUPS = 10_000
MOST = 32  # runs of a group
ENOUGH = 3  # runs, before anything is said
QUANTILE = 0.95
LONG_ENOUGH_S = 5.0  # for what a run used of the processors on the average to mean anything
SATURATED_PERMILLE = 900  # of its processors: who used so much may have wanted more
HEADROOM = 1.5  # beyond what a run had when it ran out of memory
LEAST_MEMORY_BYTES, LEAST_CPU_MILLIS = 64 << 20, 250
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Used:
    """Of one run: its memory at most, its processors on the average. `complete`: it did all it had to do."""

    memory_bytes: int
    cpu_millis: int
    had_cpu_millis: int
    ran_s: float
    complete: bool = True
    ran_out: bool = False  # of memory: it would have used more


@dataclass(frozen=True, slots=True)
class Size:
    """What such a run should ask for; 0: nothing is known. `runs`: how many it was learned from."""

    memory_bytes: int = 0
    cpu_millis: int = 0
    runs: int = 0


@dataclass(slots=True)
class Group:
    memory: deque[int] = field(default_factory=lambda: deque(maxlen=MOST))
    cpus: deque[int] = field(default_factory=lambda: deque(maxlen=MOST))


@dataclass(slots=True)
class Peaks:
    """By user and work, and by the exact command, which is asked first."""

    groups: dict[tuple[str, ...], Group] = field(default_factory=dict)

    def learn(self, traits: Traits, used: Used) -> None:
        for key in _keys(traits):
            group = self.groups.pop(key, None) or Group()
            self.groups[key] = group  # the latest is last
            _add(group, used)
        while len(self.groups) > MOST_GROUPS:
            del self.groups[next(iter(self.groups))]

    def size(self, traits: Traits, margin_permille: int) -> Size:
        """A high quantile of the peaks of such runs with a margin, rounded up so that like requests stay alike."""
        for key in _keys(traits):
            group = self.groups.get(key)
            if group is not None and len(group.memory) >= ENOUGH:
                return _size(group, margin_permille)
        return Size()


def _keys(traits: Traits) -> list[tuple[str, ...]]:
    return [(traits.user, traits.work, traits.command), (traits.user, traits.work)]


def _add(group: Group, used: Used) -> None:
    """A run that did not finish may not have come to its peak: it only ever raises what is known."""
    memory = int(used.memory_bytes * HEADROOM) if used.ran_out else used.memory_bytes
    if used.complete or memory > max(group.memory, default=0):
        group.memory.append(memory)
    if used.complete and used.ran_s >= LONG_ENOUGH_S:
        saturated = used.cpu_millis * 1000 >= used.had_cpu_millis * SATURATED_PERMILLE
        group.cpus.append(max(used.cpu_millis, used.had_cpu_millis) if saturated else used.cpu_millis)


def _size(group: Group, margin_permille: int) -> Size:
    memory = _quantile(group.memory) * (1000 + margin_permille) // 1000
    cpus = rounded_cpus(_quantile(group.cpus) * (1000 + margin_permille) // 1000) if len(group.cpus) >= ENOUGH else 0
    return Size(max(LEAST_MEMORY_BYTES, rounded_memory(memory)), cpus, len(group.memory))


def _quantile(values: deque[int]) -> int:
    """By the nearest rank."""
    return sorted(values)[ceil(QUANTILE * len(values)) - 1]


def rounded_memory(amount: int) -> int:
    """Up, to one of eight steps between two powers of two."""
    step = max(MIB, 1 << max(0, amount.bit_length() - 4))
    return -(-amount // step) * step


def rounded_cpus(millis: int) -> int:
    """Up: to whole processors, or to a quarter of the only one."""
    step = 250 if millis <= 1000 else 1000
    return max(LEAST_CPU_MILLIS, -(-millis // step) * step)
