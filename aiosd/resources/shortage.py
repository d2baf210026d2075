"""Which resource is short, in numbers and in words."""

from typing import NamedTuple

from aiosd.units import format_bytes, format_millis

CPU, MEMORY, DISK, WHOLE_MACHINE = "cpu", "memory", "disk", "the whole machine"


class Shortage(NamedTuple):
    """`resource`: "cpu", "memory", "disk", "gpu", "gpu:a100", "gpu memory", "the whole machine".

    Millis for processors and devices, bytes for memory and disk. Of a part of a device, `free` is the most that any one has.
    """

    resource: str
    asked: int
    free: int
    total: int

    @property
    def asked_text(self) -> str:
        return format_amount(self.resource, self.asked)

    @property
    def free_text(self) -> str:
        return format_amount(self.resource, self.free)

    @property
    def total_text(self) -> str:
        return format_amount(self.resource, self.total)


def format_amount(resource: str, amount: int) -> str:
    """An amount of `resource` in its unit: `4 GiB`, `0.5`."""
    if resource in (MEMORY, DISK) or resource.endswith(" memory"):
        return format_bytes(amount)
    return format_millis(amount)
