"""Which resource is short, in numbers and in words."""

from typing import NamedTuple

from aiosd.units import format_bytes, format_millis

ONE = 1000  # thousandths
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

    @property
    def sentence(self) -> str:
        """`it needs 2 processors; 1 of 4 is free`."""
        if self.resource == WHOLE_MACHINE:
            return "it needs the whole machine; others run on it"
        if self.resource.endswith(" memory"):
            return f"it needs {self.asked_text} of the memory of one {self.resource.removesuffix(' memory')}; at most {self.free_text} of one is free"
        if self.resource not in (CPU, MEMORY, DISK) and self.asked < ONE:
            return f"it needs {self._needed}; at most {self.free_text} of one is free"
        verb = "are" if self.resource not in (MEMORY, DISK) and self.free > ONE else "is"
        return f"it needs {self._needed}; {self.free_text} of {self.total_text} {verb} free"

    @property
    def _needed(self) -> str:
        if self.resource == CPU:
            return f"{self.asked_text} processor{'s' if self.asked > ONE else ''}"
        if self.resource in (MEMORY, DISK):
            return f"{self.asked_text} of {self.resource}"
        kind, _, model = self.resource.partition(":")
        return f"{self.asked_text} {kind}" + (f" ({model})" if model else "")


def format_amount(resource: str, amount: int) -> str:
    """An amount of `resource` in its unit: `4 GiB`, `0.5`."""
    if resource in (MEMORY, DISK) or resource.endswith(" memory"):
        return format_bytes(amount)
    return format_millis(amount)
