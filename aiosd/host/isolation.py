"""What holds a job to its grant on this machine, resource by resource: no more is claimed than is done."""

from aiosd.host import disk
from aiosd.resources.inventory import Inventory
from aiosd.resources.isolation import Isolation

ENFORCED_V2 = "enforced by cgroup v2"
ENFORCED_V1 = "enforced by cgroup v1"
WATCHED = "watched"
NOT_ENFORCED = "not enforced"

_CPU = "CPU affinity and thread counts are set from the grant; a job that changes its affinity can use other processors"
_MEMORY = "the grant is kept apart for the job and told to it in AIOS_MEMORY_BYTES; a job that uses more is not stopped by AIOS"
_GPU = "CUDA_VISIBLE_DEVICES names the granted GPUs and MIG instances; a job that changes it can use others"
_DEVICES = "AIOS_DEVICES names the granted devices; their files stay open to every process of the user"
_NETWORK = "jobs use the machine's network as their user may"


def report(inventory: Inventory, *, disk_enforced: bool = False) -> tuple[Isolation, ...]:
    """One line a resource of this machine, for `aiosctl node`. `disk_enforced`: project quotas hold what runs store."""
    lines = [Isolation("cpu", NOT_ENFORCED, _CPU), Isolation("memory", NOT_ENFORCED, _MEMORY)]
    kinds = {device.kind for device in inventory.devices}
    if "gpu" in kinds:
        lines.append(Isolation("gpu", NOT_ENFORCED, _GPU))
    if kinds - {"gpu"}:
        lines.append(Isolation("devices", NOT_ENFORCED, _DEVICES))
    return (*lines, disk.isolation(disk_enforced), Isolation("network", NOT_ENFORCED, _NETWORK))
