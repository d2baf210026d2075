"""What holds a job to its grant on this machine, resource by resource: no more is claimed than was tried when the daemon started."""

from collections.abc import Iterator

from aiosd.host import disk
from aiosd.host.cells.port import Enforcement
from aiosd.resources.inventory import Inventory
from aiosd.resources.isolation import Isolation
from aiosd.resources.oversubscription import told

ENFORCED_V2 = "enforced by cgroup v2"
ENFORCED_V1 = "enforced by cgroup v1"
WATCHED = "watched"
NOT_ENFORCED = "not enforced"
_BY_VERSION = {2: ENFORCED_V2, 1: ENFORCED_V1}

_CPU = "CPU affinity and thread counts are set from the grant; a job that changes its affinity can use other processors"
_MEMORY = "processes are measured, and a job that uses more than its grant is stopped"
_PROCESSES = "a job that has more than isolation.pids_max is stopped"
_END = "all descendants are killed at its end; the supervisor of a job inherits those that lose their parent"
_IO = "--io-read, --io-write and --io-weight have no effect"
_GPU = "CUDA_VISIBLE_DEVICES names the granted GPUs and MIG instances; a job that changes it can use others"
_DEVICES = "AIOS_DEVICES names the granted devices; their files stay open to every process of the user"
_NETWORK = "jobs use the machine's network as their user may"
_WRITES = {1: "a limit of writing holds for what is written past the page cache (O_DIRECT, fsync)"}
_ESCAPE = {1: "one process is killed for memory, the largest", 2: "the job is killed for memory as a whole"}


def report(inventory: Inventory, enforcement: Enforcement, *, watched: bool, disk_enforced: bool = False) -> tuple[Isolation, ...]:
    """One line a resource of this machine, for `aiosctl node`.

    watched        a watchdog looks at what no kernel holds
    disk_enforced  project quotas hold what runs store
    """
    return (*_lines(inventory, enforcement, watched), disk.isolation(disk_enforced), Isolation("network", NOT_ENFORCED, _NETWORK))


def _lines(inventory: Inventory, enforcement: Enforcement, watched: bool) -> Iterator[Isolation]:
    weak = WATCHED if watched else NOT_ENFORCED
    shared = told(inventory)
    yield _line(enforcement, "cpu", "cpu", NOT_ENFORCED, "; ".join(filter(None, (_CPU, shared))), shared)
    yield _line(enforcement, "memory", "memory", weak, _MEMORY if watched else "", _ESCAPE.get(enforcement.version, ""))
    yield _line(enforcement, "processes", "processes", weak, _PROCESSES if watched else "how many a job starts is not limited")
    yield _line(enforcement, "end of a job", "end", WATCHED, _END)
    yield _line(enforcement, "disk traffic", "io", NOT_ENFORCED, _IO, _io_detail(enforcement))
    kinds = {device.kind for device in inventory.devices}
    with_files = {device.kind for device in inventory.devices if device.paths}
    if "gpu" in kinds:
        yield _device_line(enforcement, "gpu", "gpu" in with_files, _GPU)
    if others := kinds - {"gpu"}:
        yield _device_line(enforcement, "devices", bool(others & with_files), _DEVICES)


def _line(enforcement: Enforcement, name: str, resource: str, otherwise: str, detail: str, held_detail: str = "") -> Isolation:
    """The state of one resource; where the kernel does not hold it, why, and what is done instead."""
    if resource in enforcement.held:
        return Isolation(name, _BY_VERSION[enforcement.version], held_detail)
    return Isolation(name, otherwise, "; ".join(filter(None, (enforcement.lacking.get(resource, ""), detail))))


def _device_line(enforcement: Enforcement, name: str, has_files: bool, detail: str) -> Isolation:
    if not has_files:
        return Isolation(name, NOT_ENFORCED, f"no device file of them is known; {detail}")
    return _line(enforcement, name, "devices", NOT_ENFORCED, detail)


def _io_detail(enforcement: Enforcement) -> str:
    weight = "" if "io weight" in enforcement.held else "--io-weight has no effect: " + enforcement.lacking.get("io weight", "")
    return "; ".join(filter(None, (_WRITES.get(enforcement.version, ""), weight)))
