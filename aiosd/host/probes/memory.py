"""The memory that jobs may have: the machine's, within this process's own limits, less a reserve."""

from pathlib import Path
from typing import NamedTuple

from aiosd.errors import ConfigError
from aiosd.host.probes.cgroup import memory_limit_bytes
from aiosd.host.probes.kernel_files import kilobytes, read_text
from aiosd.units import format_bytes

_LEAST_RESERVE_BYTES = 256 << 20


class Memory(NamedTuple):
    total_bytes: int
    for_jobs_bytes: int


def probe_memory(reserve_bytes: int | None = None, root: Path = Path("/")) -> Memory:
    """What there is and what jobs may have. The automatic reserve (None) is 3 %, at least 256 MiB, at most half.

    Huge pages that are set aside are not counted: only programs that ask for them by name get them.
    Raises ConfigError when the reserve leaves nothing.
    """
    meminfo = read_text(root / "proc/meminfo")
    total = kilobytes(meminfo, "MemTotal") - kilobytes(meminfo, "Hugetlb")
    limit = memory_limit_bytes(root)
    if limit is not None:
        total = min(total, limit)
    reserve = min(total // 2, max(_LEAST_RESERVE_BYTES, total * 3 // 100)) if reserve_bytes is None else reserve_bytes
    if reserve >= total:
        raise ConfigError(
            f"resources.memory_reserve_bytes = {reserve} leaves no memory for jobs: this machine has {format_bytes(total)}",
            hint="reserve less, or remove the setting to let AIOS choose",
            memory_reserve_bytes=reserve,
            memory_bytes=total,
        )
    return Memory(total, total - reserve)
