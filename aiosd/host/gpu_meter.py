"""What each process uses of the GPUs, as the meter asks for it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class GpuUse:
    """`permille` of one GPU, summed over the GPUs."""

    memory_bytes: int = 0
    permille: int = 0


class GpuUses(Protocol):
    def by_process(self) -> Mapping[int, GpuUse]:
        """By pid, as it was last seen; from memory, from any thread."""


class NoGpus:
    """For a machine that has none."""

    def by_process(self) -> Mapping[int, GpuUse]:
        return {}
