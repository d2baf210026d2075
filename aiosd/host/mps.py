"""Whether NVIDIA's Multi-Process Service runs here, and what holds jobs to their part of a GPU."""

import os
from collections.abc import Sequence

from aiosd.resources.inventory import Inventory
from aiosd.resources.isolation import Isolation

WATCHED = "watched"


def pipe_directory(mode: str, directory: str) -> str:
    """The directory through which jobs reach MPS; "" where it is off or does not run.

    Only one of root's or our own counts: in /tmp anybody could have made it, and would then run the kernels of others.
    """
    if mode == "off":
        return ""
    try:
        found = os.stat(directory)
        os.stat(f"{directory}/control")
    except OSError:
        return ""
    return directory if found.st_uid in (0, os.geteuid()) else ""


def gpu_memory_line(inventory: Inventory, mps_directory: str, foreign_use: str) -> Sequence[Isolation]:
    """How jobs are kept to their memory on GPUs, for `aiosctl node`; nothing without a GPU."""
    if not any(device.kind == "gpu" for device in inventory.devices):
        return ()
    strangers = "a GPU that others use is not handed out" if foreign_use == "avoid" else "use by others is shown and ignored"
    shared = f"; MPS at {mps_directory} limits memory and threads of jobs that share one" if mps_directory else "; no MPS"
    return (Isolation("gpu memory", WATCHED, f"measured per process; a job that uses more than its share is warned, then stopped; {strangers}{shared}"),)
