"""Devices that the configuration declares: by number, or by their device files."""

from collections.abc import Iterator
from pathlib import Path

from aiosd.host.probes.found import Found
from aiosd.host.probes.kernel_files import listing
from aiosd.resources.inventory import Device
from aiosd.resources.settings import DeclaredDevice, ResourceSettings

_MAGIC = frozenset("*?[")


def probe_declared(settings: ResourceSettings, root: Path = Path("/")) -> Found:
    """One device for each file, and `count` of those that have none. A file that is missing makes its device ill."""
    devices: list[Device] = []
    warnings: list[str] = []
    for declared in settings.devices:
        devices += (_device(declared) for _ in range(declared.count if not declared.paths else 0))
        for path in declared.paths:
            found = list(_files(path, root))
            devices += (_device(declared, file, root) for file in found)
            if not found:
                warnings.append(f"no file matches {path}, declared as {declared.kind} in resources.device")
    return Found(tuple(devices), warnings=tuple(warnings))


def _files(path: str, root: Path) -> Iterator[str]:
    """The files that a pattern matches, in natural order; a plain path is itself, whether it is there or not."""
    if not _MAGIC & set(path):
        yield path
        return
    for file in listing(root, [path.lstrip("/")]):
        yield "/" + str(file.relative_to(root))


def _device(declared: DeclaredDevice, file: str = "", root: Path = Path("/")) -> Device:
    missing = bool(file) and not (root / file.lstrip("/")).exists()
    return Device(
        id="",
        kind=declared.kind,
        index=0,
        model=declared.model,
        memory_bytes=declared.memory_bytes,
        paths=(file,) if file else (),
        health=f"{file} does not exist" if missing else "ok",
    )
