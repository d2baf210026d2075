"""What a job asks for, in integers; complete, with every default already filled in."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DeviceRequest:
    """So many thousandths of a device: a multiple of 1000 is that many whole ones, less than 1000 a part of one.

    `model` is a part of the model's name in any case ("a100"); `memory_bytes` of the device's memory, per device;
    0 asks for memory in proportion to `millis`.
    """

    kind: str
    millis: int
    model: str = ""
    memory_bytes: int = 0

    def __hash__(self) -> int:
        """Of what differs most: requests are looked up many times in a pass."""
        return hash((self.kind, self.millis))


@dataclass(frozen=True, slots=True)
class Request:
    """What one run of a job needs, all at once. Hashable: equal requests share one shape in the scheduler."""

    cpu_millis: int
    memory_bytes: int
    devices: tuple[DeviceRequest, ...] = ()
    disk_bytes: int = 0
    exclusive: bool = False

    def __hash__(self) -> int:
        return hash((self.cpu_millis, self.memory_bytes, self.devices))
