"""What a job's programs are told about its grant, as environment variables."""

from aiosd.resources.grant import DeviceGrant, Grant
from aiosd.resources.inventory import Device, Inventory
from aiosd.resources.processors import WHOLE

# Libraries that start a thread for every processor of the machine unless told. Go, Rayon and Julia are not here: they look at
# the CPU affinity by themselves, and at changes of it. VECLIB is of macOS. PyTorch takes OMP's and MKL's numbers.
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
)


def grant_variables(grant: Grant, inventory: Inventory, mps_directory: str = "") -> dict[str, str]:
    """The variables of a grant. Only THREAD_VARIABLES may be overridden by the job's own environment: they are advice.

    mps_directory   through which NVIDIA's MPS is reached; "" where it does not run
    """
    variables = dict.fromkeys(THREAD_VARIABLES, str(max(1, -(-grant.cpu_millis // WHOLE))))
    return variables | _nvidia(grant, inventory, mps_directory) | _others(grant, inventory)


def is_nvidia(device_id: str) -> bool:
    """True for the uuid of an NVIDIA GPU or MIG instance."""
    return device_id.startswith(("GPU-", "MIG-"))


def _nvidia(grant: Grant, inventory: Inventory, mps_directory: str) -> dict[str, str]:
    """CUDA sees exactly what was granted; on a machine with GPUs a job that was granted none sees none."""
    granted = [device for device in grant.devices if is_nvidia(device.device_id)]
    if not granted and not any(is_nvidia(device.id) for device in inventory.devices):
        return {}
    uuids = ",".join(dict.fromkeys(device.device_id for device in granted))
    variables = {"CUDA_VISIBLE_DEVICES": uuids, "CUDA_DEVICE_ORDER": "PCI_BUS_ID", "NVIDIA_VISIBLE_DEVICES": uuids or "void"}
    parts = _parts(granted)
    if parts:
        variables["AIOS_GPU_MEMORY_BYTES"] = str(min(parts.values()))
    if parts and mps_directory and not any(device.device_id.startswith("MIG-") for device in granted):  # an instance has an MPS of its own
        variables |= _mps(granted, parts, mps_directory)
    return variables


def _mps(granted: list[DeviceGrant], parts: dict[str, int], directory: str) -> dict[str, str]:
    """Memory by the number that the job's programs know a GPU by; threads by the smallest part, because there is one number for all."""
    visible = list(dict.fromkeys(device.device_id for device in granted))
    limits = [f"{visible.index(device_id)}={memory_bytes >> 20}M" for device_id, memory_bytes in parts.items() if memory_bytes >> 20]
    millis = [sum(d.millis for d in granted if d.device_id == device_id) for device_id in parts]
    threads = {"CUDA_MPS_PIPE_DIRECTORY": directory, "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE": str(max(1, min(millis) * 100 // WHOLE))}
    return threads | ({"CUDA_MPS_PINNED_DEVICE_MEM_LIMIT": ",".join(limits)} if limits else {})


def _parts(granted: list[DeviceGrant]) -> dict[str, int]:
    """Bytes of memory by device, of those devices of which less than the whole was granted."""
    millis: dict[str, int] = {}
    memory: dict[str, int] = {}
    for device in granted:
        millis[device.device_id] = millis.get(device.device_id, 0) + device.millis
        memory[device.device_id] = memory.get(device.device_id, 0) + device.memory_bytes
    return {device_id: memory[device_id] for device_id in memory if millis[device_id] < WHOLE}


def _others(grant: Grant, inventory: Inventory) -> dict[str, str]:
    """For every other kind: the numbers of what was granted, and its device files where it has some."""
    by_id: dict[str, Device] = {device.id: device for device in inventory.devices}
    indices: dict[str, list[str]] = {}
    paths: dict[str, list[str]] = {}
    for granted in sorted(grant.devices, key=lambda device: device.index):
        if is_nvidia(granted.device_id):
            continue
        name = granted.kind.upper().replace("-", "_")
        indices.setdefault(name, []).append(str(granted.index))
        known = by_id.get(granted.device_id)
        paths.setdefault(name, []).extend(known.paths if known else ())
    variables = {f"AIOS_{name}_INDICES": ",".join(dict.fromkeys(numbers)) for name, numbers in indices.items()}
    return variables | {f"AIOS_{name}_DEVICES": ",".join(dict.fromkeys(files)) for name, files in paths.items() if files}
