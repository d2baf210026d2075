"""A pool that counts processors instead of naming them: a machine without a topology, where one is as good as another."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from aiosd.resources.grant import CpuGrant
from aiosd.resources.inventory import Device, Inventory
from aiosd.resources.pool import Pool
from aiosd.resources.processors import Processors
from aiosd.simulation.records import ONE, Machine

ENDLESS = 1 << 62  # bytes of memory, or of disk; thousandths of a processor


@dataclass(frozen=True, slots=True)
class CountedInventory(Inventory):
    """An inventory that says how much processor there is without a record for each."""

    counted_millis: int = 0

    @property
    def cpu_millis(self) -> int:
        return self.counted_millis


class CountedProcessors(Processors):
    """One processor, number 0, that has all the thousandths there are."""

    def __init__(self, millis: int) -> None:
        super().__init__(())
        self.free_millis = millis

    def pick(self, millis: int, near: Collection[int] = ()) -> tuple[CpuGrant, ...]:
        return (CpuGrant(0, millis),) if millis else ()

    def free_of(self, cpu: int) -> int:
        return max(0, self.free_millis) if cpu == 0 else 0

    def change(self, cpus: Iterable[CpuGrant], sign: int) -> None:
        for grant in cpus:
            self.free_millis += sign * grant.millis

    def all_free(self) -> tuple[CpuGrant, ...]:
        return self.pick(max(0, self.free_millis))


class CountingPool(Pool):
    """The Pool of a machine of which only amounts are known; all else of it is as ever."""

    def __init__(self, machine: Machine) -> None:
        super().__init__(inventory_of(machine))
        self._processors = CountedProcessors(self.inventory.cpu_millis)


def inventory_of(machine: Machine) -> CountedInventory:
    """What the machine does not say it has without end."""
    devices = tuple(Device(f"gpu-{at}", "gpu", at) for at in range(machine.gpus))
    memory_bytes = machine.memory_bytes or ENDLESS
    return CountedInventory(
        "simulated", (), memory_bytes, memory_bytes, devices=devices, disk_bytes=ENDLESS, counted_millis=machine.cpu_millis or ONE * 1_000_000
    )
