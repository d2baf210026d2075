"""What a probe brings home."""

from dataclasses import dataclass

from aiosd.resources.inventory import Device, DeviceLink


@dataclass(frozen=True, slots=True)
class Found:
    """Devices without a uuid have the id "": they are numbered when all probes have answered. Warnings are for the operator."""

    devices: tuple[Device, ...] = ()
    links: tuple[DeviceLink, ...] = ()
    warnings: tuple[str, ...] = ()
