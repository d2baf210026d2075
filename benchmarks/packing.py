"""One box with GPUs, the ways to choose a GPU on it, and how much of what is free nobody can use."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from aiosd.resources.grant import Grant
from aiosd.resources.inventory import Cpu, Device, DeviceLink, Inventory
from aiosd.resources.pool import Pool
from aiosd.resources.request import DeviceRequest, Request

WHOLE = 1000
MIB = 1 << 20
GPU_MEMORY_BYTES = 16 << 30


class Task(NamedTuple):
    """What one task asks for; `gpu_millis` is a part of one GPU or a multiple of 1000."""

    gpu_millis: int
    cpu_millis: int
    memory_mib: int


Placed = Mapping[int, int]  # by GPU: the thousandths that were taken
Mix = Sequence[tuple[Task, float]]  # tasks with GPUs, with the share of each


@dataclass(slots=True)
class Box:
    """What is free. Processors and memory count as sums, as they do in the paper."""

    gpus: list[int]
    cpu_millis: int
    memory_mib: int

    def holds(self, task: Task) -> bool:
        """Whether there are processors and memory for it."""
        return task.cpu_millis <= self.cpu_millis and task.memory_mib <= self.memory_mib

    def change(self, task: Task, placed: Placed, sign: int) -> None:
        self.cpu_millis += sign * task.cpu_millis
        self.memory_mib += sign * task.memory_mib
        for gpu, millis in placed.items():
            self.gpus[gpu] += sign * millis


def fragmented(box: Box, mix: Mix) -> float:
    """Thousandths of free GPUs that the tasks of the mix cannot use, on the average.

    All of them where a task does not fit on the box at all; else those of GPUs that have less left than it asks of one.
    Source: Weng et al., "Beware of Fragmentation", USENIX ATC 2023, section 3; here over the tasks that ask for GPUs.
    """
    whole, free, total = box.gpus.count(WHOLE), sum(box.gpus), 0.0
    for task, share in mix:
        if not box.holds(task) or (whole * WHOLE < task.gpu_millis if task.gpu_millis >= WHOLE else max(box.gpus) < task.gpu_millis):
            total += share * free
        else:
            least = min(task.gpu_millis, WHOLE)
            total += share * sum(left for left in box.gpus if left < least)
    return total


class Packer:
    """A box that is packed in one way. `place` returns what was taken, or None; `remove` undoes it."""

    def __init__(self, box: Box, choose: Callable[[Box, Sequence[int], int], int]) -> None:
        self.box = box
        self._choose = choose

    def place(self, task: Task) -> Placed | None:
        if not self.box.holds(task):
            return None
        whole = [gpu for gpu, left in enumerate(self.box.gpus) if left == WHOLE]
        if task.gpu_millis >= WHOLE or not task.gpu_millis:
            count = task.gpu_millis // WHOLE
            placed: Placed | None = dict.fromkeys(whole[:count], WHOLE) if len(whole) >= count else None
        else:
            fits = [gpu for gpu, left in enumerate(self.box.gpus) if left >= task.gpu_millis]
            placed = {self._choose(self.box, fits, task.gpu_millis): task.gpu_millis} if fits else None
        if placed is not None:
            self.box.change(task, placed, -1)
        return placed

    def remove(self, task: Task, placed: Placed) -> None:
        self.box.change(task, placed, +1)


class Ours(Packer):
    """The daemon's own pool on the same box; the box keeps the sums."""

    def __init__(self, box: Box) -> None:
        super().__init__(box, lambda _box, fits, _millis: fits[0])
        self._pool = Pool(inventory(box))
        self._grants: dict[int, Grant] = {}  # by the identity of what was placed

    def place(self, task: Task) -> Placed | None:
        wishes = (DeviceRequest("gpu", task.gpu_millis),) if task.gpu_millis else ()
        grant = self._pool.take(Request(task.cpu_millis, task.memory_mib * MIB, wishes))
        if grant is None:
            return None
        placed = {device.index: device.millis for device in grant.devices}
        self._grants[id(placed)] = grant
        self.box.change(task, placed, -1)
        return placed

    def remove(self, task: Task, placed: Placed) -> None:
        self._pool.give_back(self._grants.pop(id(placed)))
        super().remove(task, placed)


def inventory(box: Box) -> Inventory:
    """The box as a machine: two sockets, its GPUs in pairs beneath PCIe switches."""
    count, cpus = len(box.gpus), box.cpu_millis // WHOLE
    devices = tuple(Device(f"GPU-{n}", "gpu", n, "GPU", GPU_MEMORY_BYTES, 2 * n // count) for n in range(count))
    kinds = {(a, b): "pix" if a // 2 == b // 2 else "node" if 2 * a // count == 2 * b // count else "sys" for a in range(count) for b in range(a + 1, count)}
    links = tuple(DeviceLink(f"GPU-{a}", f"GPU-{b}", kind) for (a, b), kind in kinds.items())
    processors = tuple(Cpu(n, n // 2, 2 * n // cpus, 2 * n // cpus) for n in range(cpus))
    return Inventory("box", processors, box.memory_mib * MIB, box.memory_mib * MIB, devices=devices, links=links)


def at_random(seed: int) -> Callable[[Box, Sequence[int], int], int]:
    chance = random.Random(seed)
    return lambda _box, fits, _millis: chance.choice(fits)


def first_fit(_box: Box, fits: Sequence[int], _millis: int) -> int:
    return fits[0]


def worst_fit(box: Box, fits: Sequence[int], _millis: int) -> int:
    """The emptiest: on one box the largest dot product of what is asked and what is free, too."""
    return max(fits, key=lambda gpu: (box.gpus[gpu], -gpu))


def best_fit(box: Box, fits: Sequence[int], _millis: int) -> int:
    """The fullest: on one box the smallest dot product, too."""
    return min(fits, key=lambda gpu: (box.gpus[gpu], gpu))


def descending(mix: Mix) -> Callable[[Box, Sequence[int], int], int]:
    """Fragmentation Gradient Descent: the GPU with which fragmentation grows least (Weng et al., section 4)."""

    def choose(box: Box, fits: Sequence[int], millis: int) -> int:
        def growth(gpu: int) -> float:
            box.gpus[gpu] -= millis
            after = fragmented(box, mix)
            box.gpus[gpu] += millis
            return after

        alike = {box.gpus[gpu]: gpu for gpu in reversed(fits)}  # of those with as much left the first
        return min(sorted(alike.values()), key=growth)

    return choose
