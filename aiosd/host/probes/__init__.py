"""What this machine has: every probe, and the inventory they make together. A new kind of device is one line in PROBES."""

import os
import queue
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from aiosd.host.probes.cpu import probe_cpu_model, probe_cpus, probe_numa_nodes
from aiosd.host.probes.declared import probe_declared
from aiosd.host.probes.disk import probe_disk
from aiosd.host.probes.found import Found
from aiosd.host.probes.fpga import probe_fpga
from aiosd.host.probes.kernel_files import read_text
from aiosd.host.probes.memory import probe_memory
from aiosd.host.probes.nvidia import probe_nvidia
from aiosd.resources.inventory import Device, Inventory
from aiosd.resources.oversubscription import oversubscribed
from aiosd.resources.settings import ResourceSettings

DeviceProbe = Callable[[ResourceSettings, Path], Found]
PATIENCE_S = 60.0  # with one probe: a driver may take long to wake its devices, but not for ever

PROBES: dict[str, DeviceProbe] = {
    "nvidia": probe_nvidia,
    "declared": probe_declared,  # before the FPGAs: what the operator says of a device file counts
    "fpga": probe_fpga,
}


@dataclass(frozen=True, slots=True)
class Survey:
    """The inventory, and what the operator should know about how it was made."""

    inventory: Inventory
    warnings: tuple[str, ...] = ()


def discover(settings: ResourceSettings) -> Inventory:
    """This machine's inventory. Blocking (NVML may take a second). Raises ConfigError when the reserves leave nothing."""
    return survey(settings).inventory


def survey(settings: ResourceSettings, root: Path = Path("/"), affinity: frozenset[int] | None = None) -> Survey:
    """Ask every probe. `root` is where /proc, /sys and /dev are; `affinity` is this process's own unless given."""
    found = {name: _ask(name, probe, settings, root) for name, probe in PROBES.items()}
    devices = number_devices(_once(device for answer in found.values() for device in answer.devices))
    hostname = read_text(root / "proc/sys/kernel/hostname") or os.uname().nodename
    cpus = probe_cpus(frozenset(os.sched_getaffinity(0)) if affinity is None else affinity, settings.cpus_reserved, hostname, root)
    memory = probe_memory(settings.memory_reserve_bytes, root)
    inventory = Inventory(
        hostname=hostname,
        cpus=oversubscribed(cpus, settings.cpu_oversubscription_permille),
        memory_bytes=memory.for_jobs_bytes,
        memory_total_bytes=memory.total_bytes,
        numa_nodes=probe_numa_nodes(root),
        devices=devices,
        links=tuple(link for answer in found.values() for link in answer.links),
        disk_bytes=probe_disk(Path(settings.state_directory), settings.disk_reserve_bytes),
        cpu_model=probe_cpu_model(root),
        kernel=read_text(root / "proc/sys/kernel/osrelease") or os.uname().release,
    )
    return Survey(inventory, tuple(warning for answer in found.values() for warning in answer.warnings))


def _ask(name: str, probe: DeviceProbe, settings: ResourceSettings, root: Path, patience_s: float = PATIENCE_S) -> Found:
    """A probe that trips over the machine, or is kept by a driver that hangs, costs its own devices, not the daemon."""
    answers: queue.SimpleQueue[Found | Exception] = queue.SimpleQueue()

    def answer() -> None:
        try:
            answers.put(probe(settings, root))
        except Exception as error:  # noqa: BLE001  # it is raised where the answer is waited for
            answers.put(error)

    threading.Thread(target=answer, name=f"probe-{name}", daemon=True).start()  # nothing waits for it at the end
    try:
        found = answers.get(timeout=patience_s)
    except queue.Empty:
        return Found(warnings=(f"the {name} probe has no answer after {patience_s:.0f} s: its devices are not known",))
    if isinstance(found, OSError | ValueError):
        return Found(warnings=(f"the {name} probe failed: {found}",))
    if isinstance(found, Exception):
        raise found
    return found


def _once(devices: Iterable[Device]) -> list[Device]:
    """Without those that share a device file with one found before; MIG instances share their GPU's."""
    kept: list[Device] = []
    seen: set[str] = set()
    for device in devices:
        if not device.paths or device.parent_id or not seen.intersection(device.paths):
            kept.append(device)
            seen.update(device.paths)
    return kept


def number_devices(devices: Iterable[Device]) -> tuple[Device, ...]:
    """Number each kind from 0 in the order given; a device without a uuid is called by kind and number."""
    counts: Counter[str] = Counter()
    numbered = []
    for device in devices:
        index = counts[device.kind]
        counts[device.kind] += 1
        numbered.append(replace(device, index=index, id=device.id or f"{device.kind}-{index}"))
    return tuple(numbered)
